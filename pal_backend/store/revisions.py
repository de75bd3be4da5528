"""Published beliefs: the posterior after some number of answers, as the web process and exports read it.

Keys:
    ``pal:{p}:revision`` hash: ``next`` last number given out, ``number`` and ``json`` of the current revision, ``fence`` of
    the lease that published it; an older lease is refused.
    ``pal:{p}:latencies`` list of seconds from webhook to revision, newest first, at most 1000.

Artefacts, under ``projects/<p>/revisions/``: a folder for each number (``revision.json``, ``posterior.safetensors``,
``grouping.safetensors``, and those of ``store/reasons.py``), written whole; then the key; then ``CURRENT``, which is read when Redis was lost. The last three are kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from threading import Lock
from typing import Any, TypeVar, cast

import safetensors.numpy
from redis import Redis

from pal_backend.core.grouping import Grouping
from pal_backend.core.paying import Effort
from pal_backend.core.posterior import Posterior
from pal_backend.core.vocabulary import SampleId
from pal_backend.errors import ConflictError, InputError, NotFoundError
from pal_backend.store.artefacts import Artefacts
from pal_backend.store.efforts import effort_fields, load_effort
from pal_backend.store.records import Record, dump
from pal_backend.store.sittings import Lease, fence_key
from pal_backend.store.version_files import load_arrays
from pal_backend.store.versions import Versions

logger = logging.getLogger(__name__)

Loaded = TypeVar("Loaded")

KEPT = 3
"""Revisions whose files stay: a reader may still be at the one before."""
LATENCIES = 1000
READ_ATTEMPTS = 3
"""A revision may be replaced and pruned while its files are being read."""

_FENCED = """
local fence, counter = tonumber(ARGV[1]), tonumber(redis.call('GET', KEYS[2]) or 0)
if fence > counter or fence < tonumber(redis.call('HGET', KEYS[1], 'fence') or 0) then return false end
"""
# A fence above the counter is from before Redis was lost.
_NUMBER = (
    _FENCED
    + """
local last = math.max(tonumber(redis.call('HGET', KEYS[1], 'next') or 0), tonumber(ARGV[2]))
redis.call('HSET', KEYS[1], 'next', last + 1)
return last + 1
"""
)
_COMMIT = (
    _FENCED
    + """
local number = tonumber(redis.call('HGET', KEYS[1], 'number') or 0)
if number == tonumber(ARGV[2]) then return number end
if number > tonumber(ARGV[2]) then return false end
redis.call('HSET', KEYS[1], 'number', ARGV[2], 'json', ARGV[3], 'fence', ARGV[1])
for i = 4, #ARGV do redis.call('LPUSH', KEYS[3], ARGV[i]) end
redis.call('LTRIM', KEYS[3], 0, 999)
return tonumber(ARGV[2])
"""
)


@dataclass(frozen=True)
class Revision:
    """What is known about a published posterior without reading its arrays."""

    number: int
    version: str
    """Model version whose samples it speaks of."""
    answers: int
    """Annotations folded in."""
    cursor: str
    """Last event folded in."""
    groups: int
    contradictions: list[list[str]]
    """Pairs of samples whose answers contradict each other."""
    published_at: float
    """Seconds since 1970."""
    posterior: dict[str, Any] = field(repr=False)
    """The posterior's header."""
    effort: Effort = field(default_factory=Effort, repr=False)
    """What answering costs people, and what it gains."""


class Revisions:
    """The revisions of one project. Threads may share it."""

    def __init__(self, redis: Redis, artefacts: Artefacts, project: str) -> None:
        self._redis = redis
        self._artefacts = artefacts
        self._project = project
        self._key = f"pal:{project}:revision"
        self._latencies = f"pal:{project}:latencies"
        self._fence = fence_key(project)
        self._folder = f"projects/{project}/revisions"
        self._versions = Versions(redis, artefacts, project)
        self._lock = Lock()
        self._posterior: tuple[int, Posterior] | None = None
        self._grouping: tuple[int, Grouping] | None = None
        self._ids: tuple[str, tuple[SampleId, ...]] | None = None

    def publish(
        self,
        posterior: Posterior,
        *,
        version: str,
        answers: int,
        contradictions: Sequence[Sequence[str]],
        lease: Lease,
        now: float,
        latencies: Sequence[float] = (),
        cursor: str = "0-0",
        effort: Effort | None = None,
        more: Mapping[str, bytes] | None = None,
    ) -> Revision:
        """Publish a posterior: readers see it, whole, or the one before.

        Args:
            posterior: over the samples of ``version``, in their order.
            version: id of the model version.
            answers: annotations folded in.
            contradictions: pairs of samples whose answers contradict each other.
            lease: the publisher's.
            now: seconds since 1970.
            latencies: seconds from each webhook folded in until now.
            cursor: last event folded in.
            effort: what answering costs people, if it was looked at.
            more: further files, by name.

        Raises:
            ConflictError: a later lease has published already, or Redis was lost since this one was given; nothing changed.
        """
        floor = max((n for n in self._numbers()), default=0)
        number = self._redis.eval(_NUMBER, 2, self._key, self._fence, str(lease.fence), str(floor))
        if number is None:
            raise self._fenced_off(lease)
        revision = Revision(
            number=int(cast("int", number)),
            version=version,
            answers=answers,
            cursor=cursor,
            groups=len(posterior.groups),
            contradictions=[list(pair) for pair in contradictions],
            published_at=now,
            posterior=posterior.header(),
            effort=effort or Effort(),
        )
        text = dump({**asdict(revision), "effort": effort_fields(revision.effort)})
        files = {
            "revision.json": text.encode(),
            "posterior.safetensors": safetensors.numpy.save(posterior.arrays()),
            "grouping.safetensors": safetensors.numpy.save(Grouping.of(posterior).arrays()),
            **(more or {}),
        }
        self._artefacts.write_folder(f"{self._folder}/{revision.number}", files)
        self._commit(revision, text, lease, latencies)
        return revision

    def _commit(self, revision: Revision, text: str, lease: Lease, latencies: Sequence[float]) -> None:
        seconds = [repr(float(latency)) for latency in latencies]
        keys = (self._key, self._fence, self._latencies)
        done = self._redis.eval(_COMMIT, 3, *keys, str(lease.fence), str(revision.number), text, *seconds[-LATENCIES:])
        if done is None:
            self._artefacts.remove(f"{self._folder}/{revision.number}")
            raise self._fenced_off(lease)
        self._artefacts.write_file(f"{self._folder}/CURRENT", str(revision.number).encode())
        for number in self._numbers():
            if number <= revision.number - KEPT:
                self._artefacts.remove(f"{self._folder}/{number}")

    def current(self) -> Revision | None:
        """The latest revision, or None before there is one.

        Raises:
            InputError: what is kept about it is malformed; the message names where.
        """
        text = cast("str | None", self._redis.hget(self._key, "json"))
        if text is not None:
            return _load(Record(text, f"{self._key} json"))
        number = self._pointer()
        if number is None:
            return None
        path = f"{self._folder}/{number}/revision.json"
        try:
            return _load(Record(self._artefacts.read(path), path))
        except NotFoundError:
            return None

    def posterior(self) -> Posterior | None:
        """The beliefs of the latest revision, or None before there is one; kept in memory until the next one.

        Raises:
            NotFoundError: its files are not there.
            InputError: its files are malformed; the message names the file.
        """
        found = self._posterior = self._latest(self._posterior, self._read_posterior)
        return None if found is None else found[1]

    def grouping(self) -> Grouping | None:
        """The groups of the latest revision, or None before there is one; like :meth:`posterior`, but quick to read."""
        found = self._grouping = self._latest(self._grouping, self._read_grouping)
        return None if found is None else found[1]

    def _latest(self, kept: tuple[int, Loaded] | None, read: Callable[[int], Loaded]) -> tuple[int, Loaded] | None:
        for attempt in range(READ_ATTEMPTS):
            number = self.number()
            if number is None or (kept is not None and kept[0] == number):
                return None if number is None else kept
            try:
                with self._lock:
                    return number, read(number)
            except NotFoundError:
                if attempt == READ_ATTEMPTS - 1:
                    raise
                logger.info("revision %d of %s went while it was read; taking the next", number, self._project)
        return None

    def latencies(self) -> list[float]:
        """Seconds from webhook to revision of the last 1000 answers, newest first."""
        return [float(text) for text in self._redis.lrange(self._latencies, 0, -1)]

    def _read_posterior(self, number: int) -> Posterior:
        if self._posterior is not None and self._posterior[0] == number:
            return self._posterior[1]
        about, ids = self._about(number)
        path = f"{self._folder}/{number}/posterior.safetensors"
        try:
            return Posterior.load(ids, about.posterior, load_arrays(self._artefacts.read(path), path))
        except (KeyError, TypeError, ValueError) as problem:
            raise _unfit(path, problem) from None

    def _read_grouping(self, number: int) -> Grouping:
        if self._grouping is not None and self._grouping[0] == number:
            return self._grouping[1]
        about, ids = self._about(number)
        path = f"{self._folder}/{number}/grouping.safetensors"
        if not self._artefacts.exists(path):  # an earlier release published it
            return Grouping.of(self._read_posterior(number))
        try:
            return Grouping.load(ids, tuple(about.posterior["groups"]), load_arrays(self._artefacts.read(path), path))
        except (KeyError, TypeError, ValueError) as problem:
            raise _unfit(path, problem) from None

    def _about(self, number: int) -> tuple[Revision, tuple[SampleId, ...]]:
        path = f"{self._folder}/{number}/revision.json"
        about = _load(Record(self._artefacts.read(path), path))
        if self._ids is None or self._ids[0] != about.version:
            self._ids = (about.version, self._versions.load_ids(about.version))
        return about, self._ids[1]

    def number(self) -> int | None:
        """Number of the latest revision, or None before there is one."""
        text = cast("str | None", self._redis.hget(self._key, "number"))
        return self._pointer() if text is None else _whole(text, self._key)

    def _pointer(self) -> int | None:
        try:
            return _whole(
                self._artefacts.read(f"{self._folder}/CURRENT").decode(errors="replace"), f"{self._folder}/CURRENT"
            )
        except NotFoundError:
            return None

    def _numbers(self) -> list[int]:
        return sorted(int(name) for name in self._artefacts.list(self._folder) if name.isdecimal())

    def _fenced_off(self, lease: Lease) -> ConflictError:
        return ConflictError(
            f"lease {lease.fence} of {self._project} may not publish; expected the latest lease; "
            "another sitting has taken over, so this one should end"
        )


def _unfit(path: str, problem: Exception) -> InputError:
    return InputError(f"{path} does not fit its revision ({problem}); expected it; publish a new one")


def _whole(text: str, place: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise InputError(f"{place} holds {text!r:.40}; expected a revision's number; remove it and run `pal sync`")
    return int(text)


def _load(record: Record) -> Revision:
    pairs = [[str(sample) for sample in untrusted_pair] for untrusted_pair in record.items("contradictions")]
    return Revision(
        number=record.whole("number"),
        version=record.text("version"),
        answers=record.whole("answers"),
        cursor=record.text("cursor"),
        groups=record.whole("groups"),
        contradictions=pairs,
        published_at=record.number("published_at"),
        posterior=record.mapping("posterior"),
        effort=load_effort(record.value.get("effort"), f"{record.place} effort"),
    )
