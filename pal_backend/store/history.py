"""How a project came along: one point for each number of annotations, with what was then believed of the accuracy.

Key:
    ``pal:{p}:history`` sorted set, score the number of annotations, member JSON of :class:`Point`; at most 1000, beyond that
    every other one is dropped. Written by the learn job after it has published. It cannot be made anew: lost with
    Redis, the curve begins again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import cast

from redis import Redis

from pal_backend.core.quality import Quality
from pal_backend.store.records import Record, dump

MOST = 1000
"""Points kept: more than a curve has pixels to draw."""


@dataclass(frozen=True)
class Point:
    """What was believed after some number of annotations."""

    annotations: int
    """Folded in."""
    answers: int
    """Pairs answered by them; a screen has one for each candidate."""
    groups: int
    version: str
    at: float
    """Seconds since 1970."""
    estimate: float | None = None
    """Accuracy, 0..1; None before there were checks."""
    low: float | None = None
    high: float | None = None
    next_hundred: float | None = None
    """Expected gain in accuracy of the next hundred answers."""

    def judged(self, quality: Quality | None) -> Point:
        """The point with the accuracy that a revision states."""
        if quality is None or quality.accuracy is None:
            return self
        known = quality.accuracy
        return replace(self, estimate=known.estimate, low=known.low, high=known.high, next_hundred=quality.next_hundred)


class History:
    """The points of one project."""

    def __init__(self, redis: Redis, project: str) -> None:
        self._redis = redis
        self._history = f"pal:{project}:history"

    def note(self, point: Point) -> None:
        """Keep a point. It takes the place of the one with as many annotations; those with more rested on withdrawn ones."""
        with self._redis.pipeline() as pipe:
            pipe.zremrangebyscore(self._history, point.annotations, "+inf")
            pipe.zadd(self._history, {dump(asdict(point)): point.annotations})
            pipe.zcard(self._history)
            count = cast("int", pipe.execute()[2])
        if count > MOST:
            members = cast("list[str]", self._redis.zrange(self._history, 0, -1))
            self._redis.zrem(self._history, *members[1:-1:2])

    def points(self) -> list[Point]:
        """All points, by number of annotations.

        Raises:
            InputError: one of them is malformed.
        """
        return [
            _load(Record(text, self._history)) for text in cast("list[str]", self._redis.zrange(self._history, 0, -1))
        ]


def _load(record: Record) -> Point:
    return Point(
        annotations=record.whole("annotations"),
        answers=record.whole("answers"),
        groups=record.whole("groups"),
        version=record.text("version"),
        at=record.number("at"),
        estimate=record.number_or_none("estimate"),
        low=record.number_or_none("low"),
        high=record.number_or_none("high"),
        next_hundred=record.number_or_none("next_hundred"),
    )
