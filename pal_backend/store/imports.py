"""Answers that came from another project, by the file with which they came.

No Redis key is owned here. Artefacts: ``projects/<p>/imports/<id>.jsonl``, annotations as :func:`~pal_backend.store.records.dump_lines` writes
them, under the desk :data:`IMPORTED`, each with ``from``: who it was there. An annotation stands in one file only, that which
brought it last. The learn sitting makes its answers follow (:meth:`Imports.follow`), so Redis may be lost.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count

from pal_backend.core.vocabulary import Annotation, AnnotationKey
from pal_backend.errors import NotFoundError
from pal_backend.store.answers import Answers, Applied
from pal_backend.store.artefacts import Artefacts
from pal_backend.store.records import Record, dump_annotation, load_annotation, read_key

IMPORTED = "imported"
"""The desk of imported answers. No desk in Label Studio may have this name, so no reconcile ever looks for them there."""
_ID = re.compile(r"[0-9a-f]{12}\Z")


@dataclass(frozen=True)
class Foreign:
    """An annotation of another project."""

    origin: str
    """Desk of that project, as its export names it, with the key it had there."""
    annotation: Annotation
    """Under a key of ours."""


@dataclass(frozen=True)
class Import:
    """A file of answers that was taken in."""

    id: str
    annotations: int
    answers: int


class Imports:
    """The imports of one project."""

    def __init__(self, artefacts: Artefacts, project: str) -> None:
        self._artefacts = artefacts
        self._folder = f"projects/{project}/imports"

    def known(self) -> list[Import]:
        """All of them, by id.

        Raises:
            InputError: a file is malformed; the message names it.
        """
        found = ((name, self._load(name)) for name in self._ids())
        return [Import(name, len(lines), sum(len(one.annotation.answers) for one in lines)) for name, lines in found]

    def all(self) -> list[Foreign]:
        """Every imported annotation.

        Raises:
            InputError: a file is malformed; the message names it.
        """
        return [one for name in self._ids() for one in self._load(name)]

    def add(self, found: Sequence[Foreign]) -> str:
        """Keep annotations as one import, whose id is returned; older ones of the same origin go from the other files."""
        data = _dump(found)
        name = hashlib.sha256(data).hexdigest()[:12]
        fresh = {one.origin for one in found}
        # First the new file: killed in between, an annotation stands in two files, and the newest of each counts.
        self._artefacts.write_file(self._path(name), data)
        for other in self._ids():
            if other != name:
                self._keep(other, [one for one in self._load(other) if one.origin not in fresh])
        return name

    def remove(self, name: str) -> None:
        """Forget an import.

        Raises:
            NotFoundError: there is none of that id.
        """
        if not _ID.match(name) or name not in self._ids():
            known = ", ".join(self._ids()) or "none"
            raise NotFoundError(
                f"there is no import {name!r:.40}; expected one of: {known}; see `pal import-answers --list`"
            )
        self._artefacts.remove(self._path(name))

    def follow(self, answers: Answers) -> Applied:
        """Put and withdraw until the answers hold just what was imported; returns what that changed. For the learn sitting, the
        only writer of answers; killed on the way it is done again.

        Raises:
            InputError: a file is malformed; the message names it.
        """
        held = {key: at for key, at in answers.keys().items() if key.desk == IMPORTED}
        wanted = [one.annotation for one in self.all()]
        put = answers.put(one for one in wanted if held.get(one.key, -1) < one.updated_at)
        return Applied(put, answers.withdraw(sorted(held.keys() - {one.key for one in wanted})))

    def _ids(self) -> list[str]:
        names = (name.removesuffix(".jsonl") for name in self._artefacts.list(self._folder) if name.endswith(".jsonl"))
        return sorted(name for name in names if _ID.match(name))

    def _keep(self, name: str, left: Sequence[Foreign]) -> None:
        if not left:
            self._artefacts.remove(self._path(name))
        elif len(left) < len(self._load(name)):
            self._artefacts.write_file(self._path(name), _dump(left))

    def _load(self, name: str) -> list[Foreign]:
        path = self._path(name)
        found = []
        for number, line in enumerate(self._artefacts.read(path).splitlines(), start=1):
            record = Record(line, f"{path} line {number}", "remove the file and import the answers again")
            key = read_key(record.text("key"), record.place, record.mend)
            if key.desk != IMPORTED:
                raise record.wrong(f"the key {key}", f"one of the desk {IMPORTED}")
            found.append(Foreign(record.text("from"), load_annotation(key, record)))
        return found

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}.jsonl"


def under(annotation: Annotation, key: AnnotationKey, annotator: str) -> Annotation:
    """The annotation, with its answers, under another key and as another person's."""
    answers = tuple(replace(answer, annotation=key, annotator=annotator) for answer in annotation.answers)
    return replace(annotation, key=key, annotator=annotator, answers=answers)


def key_of(origin: str, taken: Container[AnnotationKey]) -> AnnotationKey:
    """The key of an annotation of that origin, another one than those that were withdrawn for ever."""
    digests = (hashlib.sha256(f"{attempt} {origin}".encode()).hexdigest() for attempt in count())
    keys = (AnnotationKey(IMPORTED, int(digest[:13], 16)) for digest in digests)
    return next(key for key in keys if key not in taken)


def _dump(found: Iterable[Foreign]) -> bytes:
    ordered = sorted(found, key=lambda one: one.annotation.key)
    return "".join(
        f'{{"key":{json.dumps(str(one.annotation.key))},"from":{json.dumps(one.origin)},{dump_annotation(one.annotation)[1:]}\n'
        for one in ordered
    ).encode()
