"""What leads decided by hand, and what of it was undone.

Key:
    ``pal:{p}:decisions`` hash number → JSON of :class:`~pal_backend.core.decisions.Decision`. Also kept as the artefacts
    ``projects/<p>/decisions/<number>.json``, which are read when Redis was lost: Label Studio knows nothing of them.

A decision is written down first, then sent through the event stream, by which the sitting learns it: so it counts within a
second or two, and the sitting stays the only writer of answers. A number is never given twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import cast

from redis import Redis

from pal_backend import wire
from pal_backend.core.decisions import Act, Decision, Said
from pal_backend.core.vocabulary import HOUSE, SampleId, Verdict
from pal_backend.errors import ConflictError, NotFoundError
from pal_backend.store.artefacts import Artefacts
from pal_backend.store.events import Events
from pal_backend.store.records import Record, dump


class Decisions:
    """The decisions of one project."""

    def __init__(self, redis: Redis, artefacts: Artefacts, project: str) -> None:
        self._redis = redis
        self._artefacts = artefacts
        self._decisions = f"pal:{project}:decisions"
        self._folder = f"projects/{project}/decisions"
        self._events = Events(redis, project)

    def make(self, act: Act, about: Sequence[SampleId], said: Sequence[Said], now: float) -> Decision:
        """Keep a decision and send it to whoever learns.

        Args:
            act: its kind.
            about: groups or samples, see :class:`~pal_backend.core.decisions.Decision`.
            said: on which pairs it speaks.
            now: seconds since 1970; a little later is taken where a decision has that very moment.
        """
        number = round(now * 1e6)
        while self._artefacts.exists(self._file(number)):
            number += 1
        decision = Decision(number, act, tuple(about), tuple(said))
        self._keep(decision, now)
        return decision

    def undo(self, number: int, now: float) -> Decision:
        """Take a decision back.

        Raises:
            NotFoundError: there is none of that number.
            ConflictError: it was undone before.
        """
        decision = self.get(number)
        if decision is None:
            raise NotFoundError(f"there is no decision {number}; `pal decisions` lists them")
        if decision.undone_at is not None:
            raise ConflictError(f"decision {number} was undone already; nothing is left to undo")
        undone = replace(decision, undone_at=now)
        self._keep(undone, now)
        return undone

    def get(self, number: int) -> Decision | None:
        """The decision of that number, or None.

        Raises:
            InputError: what is kept about it is malformed; the message names it.
        """
        text = cast("str | None", self._redis.hget(self._decisions, str(number)))
        if text is not None:
            return _load(Record(text, f"{self._decisions} {number}"))
        return self._read(number)

    def all(self) -> list[Decision]:
        """Every decision ever made, the newest first, those undone among them.

        Raises:
            InputError: one of them is malformed; the message names it.
        """
        found = cast("Mapping[str, str]", self._redis.hgetall(self._decisions))
        made = [_load(Record(text, f"{self._decisions} {field:.20}")) for field, text in found.items()]
        return sorted(made or self.restored(), key=lambda decision: -decision.number)

    def restored(self) -> list[Decision]:
        """Every decision in the artefact folder, put back into Redis; oldest first."""
        numbers = (name.removesuffix(".json") for name in self._artefacts.list(self._folder))
        read = (self._read(int(number)) for number in numbers if number.isdecimal())
        found = [decision for decision in read if decision is not None]
        if found:
            self._redis.hset(self._decisions, mapping={str(one.number): _dump(one) for one in found})
        return sorted(found, key=lambda decision: decision.number)

    def send(self, numbers: Iterable[int], now: float) -> None:
        """Let whoever learns look at decisions again."""
        self._events.append(wire.Decided(tuple(numbers)), now, HOUSE)

    def _keep(self, decision: Decision, now: float) -> None:
        # The folder first: what Redis has, and what is learned from, can be put back from it, not the other way round.
        self._artefacts.write_file(self._file(decision.number), _dump(decision).encode())
        with self._redis.pipeline() as pipe:
            pipe.hset(self._decisions, str(decision.number), _dump(decision))
            self._events.append(wire.Decided((decision.number,)), now, HOUSE, pipe)
            pipe.execute()

    def _read(self, number: int) -> Decision | None:
        try:
            return _load(Record(self._artefacts.read(self._file(number)), self._file(number)))
        except NotFoundError:
            return None

    def _file(self, number: int) -> str:
        return f"{self._folder}/{number}.json"


def _dump(decision: Decision) -> str:
    return dump(
        {
            "number": decision.number,
            "act": decision.act,
            "about": list(decision.about),
            "said": [list(one) for one in decision.said],
            "undone_at": decision.undone_at,
        }
    )


def _load(record: Record) -> Decision:
    said = []
    for item in record.items("said"):
        fits = isinstance(item, list) and len(item) == 3 and all(isinstance(text, str) for text in item)
        if not fits or item[0] == item[1]:
            raise record.wrong(f"{item!r:.60}", "[two different samples, verdict]")
        said.append(Said(item[0], item[1], record.as_choice(item[2], Verdict)))
    return Decision(
        number=record.whole("number"),
        act=record.choice("act", Act),
        about=record.texts("about"),
        said=tuple(said),
        undone_at=record.number_or_none("undone_at"),
    )
