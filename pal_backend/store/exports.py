"""What was made to be taken home: the newest of each kind.

Key:
    ``pal:{p}:exports`` hash kind → JSON of :class:`Export`, as it also stands beside the file; read from there when Redis was lost.

Artefacts: ``projects/<p>/exports/<kind>/``, the file and ``about.json``, replaced whole when that kind is made anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, cast

from redis import Redis

from pal_backend.errors import NotFoundError
from pal_backend.store.artefacts import Artefacts
from pal_backend.store.records import Record, dump

ABOUT = "about.json"


@dataclass(frozen=True)
class Export:
    """Something that was made to be taken home."""

    kind: str
    file: str
    """Its name; empty where it is none but something elsewhere."""
    size: int
    """Bytes."""
    holds: str
    """What it holds, in words."""
    label: str
    """Version and revision that it was made from."""
    made_at: float
    """Seconds since 1970."""
    url: str = ""
    """Where it is, if it is no file."""
    notes: tuple[str, ...] = ()
    """What somebody should know about it, in sentences."""


class Exports:
    """The exports of one project."""

    def __init__(self, redis: Redis, artefacts: Artefacts, project: str) -> None:
        self._redis = redis
        self._artefacts = artefacts
        self._exports = f"pal:{project}:exports"
        self._folder = f"projects/{project}/exports"

    def put(self, export: Export, data: bytes = b"") -> None:
        """Keep it in the place of the last one of its kind."""
        about = json.dumps(asdict(export), indent=1).encode()
        files = {export.file: data} if export.file else {}
        self._artefacts.write_folder(f"{self._folder}/{export.kind}", {**files, ABOUT: about})
        self._redis.hset(self._exports, export.kind, dump(asdict(export)))

    def all(self) -> dict[str, Export]:
        """Kind → the newest of it.

        Raises:
            InputError: an entry is malformed; the message names it.
        """
        found = cast("dict[str, str]", self._redis.hgetall(self._exports))
        if not found:
            for kind in self._artefacts.list(self._folder):
                try:
                    found[kind] = self._artefacts.read(f"{self._folder}/{kind}/{ABOUT}").decode()
                except NotFoundError:
                    continue
            if found:
                self._redis.hset(self._exports, mapping=cast("Any", found))
        return {kind: _load(Record(text, f"{self._exports} {kind:.40}")) for kind, text in sorted(found.items())}

    def read(self, kind: str) -> tuple[Export, Iterator[bytes]]:
        """The newest of a kind, and its file piece by piece.

        Raises:
            NotFoundError: there is none (any more), or it is no file.
        """
        found = self.all().get(kind)
        if found is None or not found.file:
            raise NotFoundError(f"there is no {kind:.40} to take home yet; let it be made first")
        return found, self._artefacts.pieces(f"{self._folder}/{kind}/{found.file}")

    def stamp(self) -> str:
        """A text that changes with what is there."""
        return str(sorted(cast("dict[str, str]", self._redis.hgetall(self._exports)).items()))


def _load(record: Record) -> Export:
    return Export(
        kind=record.text("kind"),
        file=record.text("file"),
        size=record.whole("size"),
        holds=record.text("holds"),
        label=record.text("label"),
        made_at=record.number("made_at"),
        url=record.text("url", ""),
        notes=record.texts("notes"),
    )
