"""How a project came along."""

from __future__ import annotations

import pytest

from pal_backend.core.quality import Accuracy, Quality
from pal_backend.errors import InputError
from pal_backend.store import history as history_module
from pal_backend.store.history import Point
from pal_backend.store.stores import Stores


def point(annotations: int, at: float = 0.0) -> Point:
    """A point without an estimate."""
    return Point(annotations, 2 * annotations, 3, "v0000", at)


def test_points_come_back_by_number_of_annotations(stores: Stores) -> None:
    """With the accuracy of their revision, where there was one."""
    history = stores.history("p")
    later = point(20).judged(Quality(Accuracy(0.9, 0.8, 0.95, 12), 0.02))
    history.note(point(10).judged(None))
    history.note(later)
    assert history.points() == [point(10), later]
    assert (later.estimate, later.low, later.high, later.next_hundred) == (0.9, 0.8, 0.95, 0.02)


def test_a_point_replaces_its_own_and_those_of_answers_withdrawn_since(stores: Stores) -> None:
    """The curve never shows what rests on answers that do not count any more."""
    history = stores.history("p")
    for count in (10, 20, 30):
        history.note(point(count))
    history.note(point(20, at=5.0))
    assert history.points() == [point(10), point(20, at=5.0)]


def test_the_history_is_bounded_and_keeps_its_ends(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit every other point goes, never the first nor the last."""
    monkeypatch.setattr(history_module, "MOST", 20)
    history = stores.history("p")
    for count in range(100):
        history.note(point(count))
        found = [p.annotations for p in history.points()]
        assert len(found) <= 20
        assert (found[0], found[-1]) == (0, count)


def test_what_others_wrote_is_checked(stores: Stores) -> None:
    """A malformed point is an error in words."""
    stores.redis.zadd("pal:p:history", {"{}": 1})
    with pytest.raises(InputError, match="pal:p:history"):
        stores.history("p").points()
