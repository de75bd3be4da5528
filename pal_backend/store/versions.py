"""Model versions: features of every sample, the weights that made them, and the answers that went in.

Keys:
    ``pal:{p}:version`` hash: ``current`` the id that is in use (compare-and-set, so that an orphan of a killed training
    cannot publish over a newer version).
    ``pal:{p}:version:claim:{id}`` who writes that id into an object store, where nothing is atomic; expires.

Artefacts, under ``projects/<p>/versions/``: a folder for each id (``version.json``, ``samples.json`` ids in the order of
the rows, ``features.safetensors``, ``weights.safetensors``, ``answers.jsonl``), written whole and never changed but for a
``refused.json`` and a map (:mod:`pal_backend.store.maps`) added later; ``CURRENT``, replaced after the key, is read when Redis was lost. All versions are kept.
The neighbour graph is not: it follows from the features.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from redis import Redis

from pal_backend.core.vocabulary import Annotation, SampleId
from pal_backend.errors import ConflictError, InputError, NotFoundError
from pal_backend.store.artefacts import Artefacts
from pal_backend.store.records import Record, dump
from pal_backend.store.version_files import Version, VersionFiles, files_of

VERSION_ID = re.compile(r"v\d{4,9}\Z", re.ASCII)
CLAIM_TTL_S = 600
"""Longest time that writing a version into an object store may take."""

_MAKE_CURRENT = """
local found = redis.call('HGET', KEYS[1], 'current') or ARGV[3]
if found == ARGV[1] then redis.call('HSET', KEYS[1], 'current', found) return found end
if found ~= ARGV[2] then return found end
redis.call('HSET', KEYS[1], 'current', ARGV[1])
return ARGV[1]
"""
# ARGV: the new id, the one expected, and what CURRENT says in case Redis was lost. Asked twice it is still a success.


class Versions:
    """The model versions of one project."""

    def __init__(self, redis: Redis, artefacts: Artefacts, project: str) -> None:
        self._redis = redis
        self._artefacts = artefacts
        self._project = project
        self._key = f"pal:{project}:version"
        self._folder = f"projects/{project}/versions"

    def next_id(self) -> str:
        """An id above all there are. Two trainings may be told the same one; :meth:`write` lets one of them have it."""
        ids = self._ids()
        return f"v{int(ids[-1][1:]) + 1 if ids else 0:04d}"

    def write(self, version: Version, weights: bytes | None, answers: Sequence[Annotation]) -> None:
        """Put a version's folder in its place, whole. It is not current yet.

        Args:
            version: what to keep.
            weights: the backbone as safetensors bytes; None where nothing was trained.
            answers: the annotations it was made from.

        Raises:
            ConflictError: there is a version of that id, or somebody is writing one.
            InputError: the id, or the number of rows, is not as expected.
        """
        files = files_of(version, weights, answers)
        with self._claim(version.id):
            self._artefacts.write_folder(self._path(version.id), files, replace=False)

    def make_current(self, version_id: str, expected: str | None) -> None:
        """Let a version that was written be the one in use.

        Args:
            version_id: the new one.
            expected: the one that must be current until now; None if there must be none.

        Raises:
            ConflictError: another one is current; nothing has changed.
            NotFoundError: there is no such version.
        """
        if not self._artefacts.exists(self._path(version_id, "version.json")):
            raise self._missing(version_id)
        found = self._redis.eval(_MAKE_CURRENT, 1, self._key, version_id, expected or "", self._pointer() or "")
        if found != version_id:
            raise ConflictError(
                f"version {found or 'none'} of {self._project} is current; expected {expected or 'none'}; "
                f"judge {version_id} against it again"
            )
        # Whoever writes the file looks at the key once more, so the last writer leaves them equal.
        written = None
        while (current := self._kept()) is not None and current != written:
            self._artefacts.write_file(f"{self._folder}/CURRENT", current.encode())
            written = current

    def current(self) -> str | None:
        """Id of the version in use, or None before there is one."""
        return self._kept() or self._pointer()

    def current_or_fail(self) -> str:
        """Id of the version in use.

        Raises:
            NotFoundError: there is none yet.
        """
        current = self.current()
        if current is None:
            raise NotFoundError(
                f"project {self._project} has no model version yet; expected version 0, which taking in the pool makes; "
                "see that a worker serves the queue `desk`, or run `pal init` again"
            )
        return current

    def load(self, version_id: str) -> Version:
        """A version with its features.

        Raises:
            NotFoundError: there is none of that id.
            InputError: its files are malformed; the message names the file.
        """
        return self._files(version_id).load()

    def load_ids(self, version_id: str) -> tuple[SampleId, ...]:
        """The samples of a version, in the order of its rows.

        Raises:
            NotFoundError: there is none of that id.
            InputError: the file is malformed.
        """
        return self._files(version_id).load_ids()

    def describe(self, version_id: str) -> dict[str, Any]:
        """What is known about a version: id, samples (how many), recipe, made_from_answers, note, metrics.

        Raises:
            NotFoundError: there is none of that id.
            InputError: the file is malformed.
        """
        return self._files(version_id).describe()

    def weights_of(self, version_id: str) -> bytes | None:
        """The backbone as safetensors bytes, None where nothing was trained."""
        return self._files(version_id).weights()

    def answers_of(self, version_id: str) -> list[Annotation]:
        """The annotations a version was made from.

        Raises:
            NotFoundError: there is none of that id.
            InputError: the file is malformed.
        """
        return self._files(version_id).answers()

    def refuse(self, version_id: str, reason: str) -> None:
        """Note why a version did not become current; it is kept all the same.

        Raises:
            NotFoundError: there is none of that id.
        """
        if not self._artefacts.exists(self._path(version_id, "version.json")):
            raise self._missing(version_id)
        self._artefacts.write_file(self._path(version_id, "refused.json"), dump({"reason": reason}).encode())

    def refused(self) -> dict[str, str]:
        """Versions that did not become current → why."""
        return {i: reason for i in self._ids() if (reason := self._reason(i)) is not None}

    def _reason(self, version_id: str) -> str | None:
        path = self._path(version_id, "refused.json")
        try:
            return Record(self._artefacts.read(path), path).text("reason")
        except NotFoundError:
            return None

    def _ids(self) -> list[str]:
        names = (name for name in self._artefacts.list(self._folder) if VERSION_ID.match(name))
        return sorted(names, key=lambda name: int(name[1:]))

    def _path(self, version_id: str, file: str = "") -> str:
        if not VERSION_ID.match(version_id):
            raise InputError(
                f"{version_id!r:.40} is no model version; expected v and four digits, such as v0001; take such an id"
            )
        return f"{self._folder}/{version_id}" + (f"/{file}" if file else "")

    def _files(self, version_id: str) -> VersionFiles:
        return VersionFiles(self._artefacts, self._path(version_id))

    def _missing(self, version_id: str) -> NotFoundError:
        return NotFoundError(
            f"there is no version {version_id} of {self._project}; expected one of: {', '.join(self._ids()) or 'none yet'}; "
            "write it first"
        )

    def _kept(self) -> str | None:
        return cast("str | None", self._redis.hget(self._key, "current"))

    def _pointer(self) -> str | None:
        try:
            return self._artefacts.read(f"{self._folder}/CURRENT").decode().strip()
        except NotFoundError:
            return None

    @contextmanager
    def _claim(self, version_id: str) -> Iterator[None]:
        """Writing to an object store is many steps: two trainings must not mix their files under one id."""
        if self._artefacts.local:
            yield
            return
        key = f"{self._key}:claim:{version_id}"
        token = secrets.token_hex(8)
        # GET, since a lost reply makes the client ask again.
        if not self._redis.set(key, token, nx=True, ex=CLAIM_TTL_S) and self._redis.get(key) != token:
            raise ConflictError(
                f"somebody writes version {version_id} of {self._project}; expected a free id; take the next one"
            )
        try:
            yield
        finally:
            self._redis.delete(key)

    def list(self) -> list[dict[str, Any]]:
        """What is known about every version, by id, as :meth:`describe` states it."""
        return [self.describe(version_id) for version_id in self._ids()]
