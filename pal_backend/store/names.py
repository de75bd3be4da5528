"""What people call the groups.

Key:
    ``pal:{p}:names`` hash sample → JSON of :class:`Name`. Also kept as the artefact ``projects/<p>/names.json``, which is read when
    Redis was lost.

A name is given to a sample, that which founded the group when it was named. Samples stay when groups merge, split or a
new model version comes, so the name goes with its sample.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import cast

from redis import Redis

from pal_backend.core.grouping import Grouping
from pal_backend.core.vocabulary import SampleId
from pal_backend.errors import InputError, NotFoundError
from pal_backend.store.artefacts import Artefacts
from pal_backend.store.records import Record, dump

LONGEST = 60
"""Characters of a name."""


@dataclass(frozen=True)
class Name:
    """A name, and when it was given."""

    text: str
    at: float
    """Seconds since 1970."""


class Names:
    """The names of one project."""

    def __init__(self, redis: Redis, artefacts: Artefacts, project: str) -> None:
        self._redis = redis
        self._artefacts = artefacts
        self._names = f"pal:{project}:names"
        self._file = f"projects/{project}/names.json"

    def give(self, group: SampleId, text: str, now: float, grouping: Grouping) -> None:
        """Call a group so; an empty text takes its name away.

        Args:
            group: its id.
            text: one line of at most 60 characters.
            now: seconds since 1970.
            grouping: what is believed now: other names that have come into this group give way.

        Raises:
            NotFoundError: there is no such group.
            InputError: the text is too long, or no plain line.
        """
        if group not in grouping.numbers:
            raise NotFoundError(f"there is no group {group:.20} any more; it may have merged; look at the groups again")
        text = " ".join(text.split())
        if len(text) > LONGEST or not text.isprintable():
            raise InputError(f"{text!r:.80} cannot be a name; expected one line of at most {LONGEST} characters")
        known = self.all()
        inside = [sample for sample in known if grouping.group_of(sample) == group]
        with self._redis.pipeline() as pipe:
            if inside:
                pipe.hdel(self._names, *inside)
            if text:
                pipe.hset(self._names, group, dump(asdict(Name(text, now))))
            pipe.hlen(self._names)  # a pipeline must not be empty
            pipe.execute()
        kept = {sample: asdict(name) for sample, name in self._kept().items()}
        self._artefacts.write_file(self._file, json.dumps(kept, indent=1).encode())

    def all(self) -> dict[SampleId, Name]:
        """Sample → the name it was given.

        Raises:
            InputError: an entry is malformed; the message names it.
        """
        found = self._kept()
        if not found:
            found = self._restored()
            if found:
                self._redis.hset(self._names, mapping={s: dump(asdict(n)) for s, n in found.items()})
        return found

    def of(self, grouping: Grouping | None) -> dict[SampleId, str]:
        """Group → its name. Where several named groups became one, the name that was given last."""
        if grouping is None or not grouping.groups:
            return {}
        by_time = sorted(self.all().items(), key=lambda item: (item[1].at, item[0]))
        placed = ((grouping.group_of(sample), name.text) for sample, name in by_time)
        return {group: text for group, text in placed if group is not None}

    def stamp(self) -> str:
        """A text that changes with the names."""
        return str(sorted(cast("Mapping[str, str]", self._redis.hgetall(self._names)).items()))

    def _kept(self) -> dict[SampleId, Name]:
        return _load(cast("Mapping[str, str]", self._redis.hgetall(self._names)), self._names)

    def _restored(self) -> dict[SampleId, Name]:
        try:
            value = Record(self._artefacts.read(self._file), self._file).value
        except NotFoundError:
            return {}
        return {sample: _name(Record.of(one, f"{self._file} {sample:.40}")) for sample, one in sorted(value.items())}


def _load(found: Mapping[str, str], place: str) -> dict[SampleId, Name]:
    return {sample: _name(Record(text, f"{place} {sample:.40}")) for sample, text in sorted(found.items())}


def _name(record: Record) -> Name:
    return Name(record.text("text"), record.number("at"))
