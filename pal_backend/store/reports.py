"""What the doctor found last, so that pages can show it without asking Label Studio.

Key:
    ``pal:{p}:report`` JSON of :class:`Report`, written by the job ``examine``; whoever looks is told how old it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis

from pal_backend.store.records import Record, dump


@dataclass(frozen=True)
class Report:
    """One examination."""

    at: float
    """Seconds since 1970."""
    findings: tuple[Mapping[str, Any], ...]
    """Each as :class:`pal_backend.doctor_parts.Finding` has it."""


class Reports:
    """The last report of one project."""

    def __init__(self, redis: Redis, project: str) -> None:
        self._redis = redis
        self._report = f"pal:{project}:report"

    def put(self, findings: Sequence[Mapping[str, Any]], now: float) -> None:
        """A report takes the place of the one before.

        Args:
            findings: each with ``check``, ``ok``, ``sentence``, ``mend`` and ``about``.
            now: seconds since 1970.
        """
        self._redis.set(self._report, dump({"at": now, "findings": [dict(finding) for finding in findings]}))

    def stamp(self) -> str:
        """A text that changes with the report: that itself."""
        return cast("str | None", self._redis.get(self._report)) or ""

    def last(self) -> Report | None:
        """The last one, or None.

        Raises:
            InputError: it is malformed; the message names its place.
        """
        text = cast("str | None", self._redis.get(self._report))
        if text is None:
            return None
        record = Record(text, self._report)
        return Report(
            record.number("at"), tuple(_finding(Record.of(f, self._report)) for f in record.items("findings"))
        )


def _finding(record: Record) -> Mapping[str, Any]:
    texts = {name: record.text(name) for name in ("check", "sentence", "mend", "about")}
    return {**texts, "ok": None if record.value.get("ok") is None else record.flag("ok")}
