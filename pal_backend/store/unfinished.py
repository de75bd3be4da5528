"""A training under way: what it started from and its last checkpoint, so that a killed one goes on where it was.

Key:
    ``pal:{p}:training`` number of the last attempt at a training. Each attempt takes the next one and writes only while it
    is the last, so that an orphan ends instead of writing over its successor.

Artefacts, under ``projects/<p>/training/``: the folder ``start`` (``start.json``, ``answers.jsonl``, and ``prior.safetensors``
where prior neighbours were worked out), put there whole, and ``checkpoint.safetensors``, replaced whole. The answers
themselves are kept, not a digest of them: those of the project change while it trains. All of it goes when the training
has published its version.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import cast

from redis import Redis

from pal_backend.core.choice import Choice
from pal_backend.core.vocabulary import Annotation
from pal_backend.errors import ConflictError, InputError, NotFoundError
from pal_backend.store.artefacts import Artefacts
from pal_backend.store.records import Record, dump, dump_lines, load_lines

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Start:
    """What a training started from.

    Args:
        revision: of the job that began it; another job begins anew.
        version: the model version that was current.
        choice: how it learns.
        annotations: the answers.
    """

    revision: int
    version: str
    choice: Choice
    annotations: tuple[Annotation, ...]

    def begun_by(self, revision: int, version: str, choice: Choice) -> bool:
        """Whether a job of that revision, on that version and choice, is the one that began it."""
        return (self.revision, self.version, self.choice) == (revision, version, choice)


class Unfinished:
    """The training under way of one project."""

    def __init__(self, redis: Redis, artefacts: Artefacts, project: str) -> None:
        self._redis = redis
        self._artefacts = artefacts
        self._project = project
        self._key = f"pal:{project}:training"
        self._folder = f"projects/{project}/training"

    def claim(self) -> int:
        """The number of a new attempt; those before it may write no more."""
        return int(self._redis.incr(self._key))

    def start(self) -> Start | None:
        """What the unfinished training started from; None if there is none, or it cannot be read."""
        path = f"{self._folder}/start/start.json"
        answers = f"{self._folder}/start/answers.jsonl"
        try:
            record = Record(self._artefacts.read(path), path)
            choice = Record.of(record.mapping("choice"), path)
            return Start(
                revision=record.whole("revision"),
                version=record.text("version"),
                choice=Choice(*(choice.text(name) for name in ("recipe", "backbone", "weights", "tuning"))),
                annotations=tuple(load_lines(self._artefacts.read(answers), answers)),
            )
        except NotFoundError:
            return None
        except InputError as problem:
            log.warning("%s: what its unfinished training started from cannot be read: %s", self._project, problem)
            return None

    def begin(self, attempt: int, start: Start) -> None:
        """Note what a training starts from; an unfinished one before it is forgotten.

        Raises:
            ConflictError: a later attempt has begun.
        """
        self._check(attempt)
        self._artefacts.remove(f"{self._folder}/checkpoint.safetensors")
        about = {"revision": start.revision, "version": start.version, "choice": asdict(start.choice)}
        files = {"start.json": dump(about).encode(), "answers.jsonl": dump_lines(start.annotations)}
        self._artefacts.write_folder(f"{self._folder}/start", files)

    def keep_prior(self, attempt: int, prior: bytes) -> None:
        """Keep the prior neighbours, a safetensors file: on a GPU working them out again may give others.

        Raises:
            ConflictError: a later attempt has begun; end this one.
        """
        self._check(attempt)
        self._artefacts.write_file(f"{self._folder}/start/prior.safetensors", prior)

    def prior(self) -> bytes | None:
        """The prior neighbours that were kept, None before there are any."""
        return self._read("start/prior.safetensors")

    def keep(self, attempt: int, checkpoint: bytes) -> None:
        """Replace the checkpoint.

        Raises:
            ConflictError: a later attempt has begun; end this one.
        """
        self._check(attempt)
        self._artefacts.write_file(f"{self._folder}/checkpoint.safetensors", checkpoint)

    def checkpoint(self) -> bytes | None:
        """The last one, None before there is any."""
        return self._read("checkpoint.safetensors")

    def finish(self, attempt: int) -> None:
        """Forget the training: its version is published. Where a later attempt has begun nothing happens."""
        if self._last() == attempt:
            self._artefacts.remove(self._folder)

    def _read(self, file: str) -> bytes | None:
        try:
            return self._artefacts.read(f"{self._folder}/{file}")
        except NotFoundError:
            return None

    def _check(self, attempt: int) -> None:
        if self._last() != attempt:
            raise ConflictError(
                f"attempt {attempt} at a training of {self._project} was overtaken; expected the last one to go on; "
                "nothing is lost, let it end"
            )

    def _last(self) -> int:
        return int(cast("str | None", self._redis.get(self._key)) or 0)
