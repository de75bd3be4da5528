"""Open questions that are kept from the people whose answers they re-check.

Key:
    ``pal:{p}:withheld`` hash question id → JSON of desk and annotators. Written before the question is journalled, so that
    what stands in Label Studio because of it is never forgotten; removed by refill once nothing stands there any more.
    Losing it costs nothing but the second opinion: refill then opens the question to everybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from redis import Redis

from pal_backend.store.records import Record, dump


class Withheld:
    """Which questions of one project are kept from whom."""

    def __init__(self, redis: Redis, project: str) -> None:
        self._redis = redis
        self._withheld = f"pal:{project}:withheld"

    def keep(self, question: str, desk: str, annotators: Iterable[str]) -> None:
        """Keep a question from these annotators (Label Studio's user ids); one that is kept already stays as it is."""
        people = sorted(set(annotators))
        if people:
            self._redis.hsetnx(self._withheld, question, dump({"desk": desk, "annotators": people}))

    def give_back(self, questions: Iterable[str]) -> None:
        """These are for everybody from now on; refill sees to it. Unknown ones are passed over."""
        known = cast("dict[str, str]", self._redis.hgetall(self._withheld))
        for question in questions:
            if question in known:
                desk = self._load(question, known[question]).text("desk")
                self._redis.hset(self._withheld, question, dump({"desk": desk, "annotators": []}))

    def all(self, desk: str | None = None) -> dict[str, tuple[str, ...]]:
        """Question id → annotators it is kept from, of a desk or of all; none of them once it was given back.

        Raises:
            InputError: an entry is malformed; the message names it.
        """
        found = cast("dict[str, str]", self._redis.hgetall(self._withheld))
        records = {question: self._load(question, text) for question, text in found.items()}
        return {i: r.texts("annotators") for i, r in sorted(records.items()) if desk in (None, r.text("desk"))}

    def forget(self, question: str) -> None:
        """Nothing stands in Label Studio because of it any more."""
        self._redis.hdel(self._withheld, question)

    def _load(self, question: str, text: str) -> Record:
        return Record(text, f"{self._withheld} {question:.40}")
