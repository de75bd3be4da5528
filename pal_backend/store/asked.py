"""What Label Studio's projects ask for in their ML backend's extra parameters: how to learn, by desk.

Key:
    ``pal:{p}:asked`` hash desk → JSON of recipe, backbone, weights and tuning. Written by ``/setup``, which Label Studio
    calls whenever it looks at its ML backends; so `pal sync` brings back what Redis lost.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import cast

from redis import Redis

from pal_backend.core.choice import Choice
from pal_backend.store.records import Record, dump


class Asked:
    """What the desks of one project ask for."""

    def __init__(self, redis: Redis, project: str) -> None:
        self._redis = redis
        self._asked = f"pal:{project}:asked"

    def put(self, desk: str, choice: Choice) -> None:
        """A desk asks for this from now on; for nothing, if it is empty."""
        if choice == Choice():
            self._redis.hdel(self._asked, desk)
        else:
            self._redis.hset(self._asked, desk, dump(asdict(choice)))

    def all(self) -> dict[str, Choice]:
        """Desk → what it asks for.

        Raises:
            InputError: an entry is malformed; the message names it.
        """
        found = cast("dict[str, str]", self._redis.hgetall(self._asked))
        records = {desk: Record(text, f"{self._asked} {desk:.40}") for desk, text in sorted(found.items())}
        return {
            desk: Choice(*(record.text(name, "") for name in ("recipe", "backbone", "weights", "tuning")))
            for desk, record in records.items()
        }
