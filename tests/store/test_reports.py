"""What the doctor found last."""

from __future__ import annotations

import pytest

from pal_backend.errors import InputError
from pal_backend.store.stores import Stores

FINDINGS = [
    {"check": "redis", "ok": True, "sentence": "Redis answers.", "mend": "", "about": ""},
    {"check": "clock", "ok": None, "sentence": "Not known.", "mend": "look again", "about": "p/pairs"},
]


def test_the_last_report_comes_back_with_its_time(stores: Stores) -> None:
    """A later one takes its place, and the stamp tells them apart."""
    reports = stores.reports("p")
    assert reports.last() is None and reports.stamp() == ""
    reports.put(FINDINGS, 5.0)
    first = reports.stamp()
    reports.put(FINDINGS[1:], 6.0)
    last = reports.last()
    assert last is not None and (last.at, list(last.findings)) == (6.0, FINDINGS[1:])
    assert reports.stamp() != first


def test_what_others_wrote_is_checked(stores: Stores) -> None:
    """A malformed report is an error in words."""
    stores.redis.set("pal:p:report", '{"at":1,"findings":[{"check":1}]}')
    with pytest.raises(InputError, match="pal:p:report"):
        stores.reports("p").last()
