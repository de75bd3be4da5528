"""Every annotation that Label Studio holds and we understand.

Keys:
    ``pal:{p}:answers`` hash AnnotationKey → JSON of Annotation: the newest ``updated_at`` wins, a withdrawal removes it.
    ``pal:{p}:tombstones`` hash AnnotationKey → "updated_at question", the newest seen of it: set by a withdrawal, for ever, so that
    a late update does not revive what was deleted.
    ``pal:{p}:latest`` sorted set of the thousand keys changed last by ``updated_at``, so that looking at them does not read all.
    ``pal:{p}:held`` JSON of :class:`Held`: annotations that vanished all at once and wait for a person's decision.

The state is a function of the set of puts and withdrawals, whatever their order and however often each came.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, TypeVar, cast

from redis import Redis
from redis.client import Pipeline

from pal_backend.core.vocabulary import Annotation, AnnotationKey
from pal_backend.errors import InputError
from pal_backend.store.events import ADVANCE, Events
from pal_backend.store.records import Record, dump, dump_annotation, load_annotation, read_key

Item = TypeVar("Item")

BATCH = 500
"""Annotations in one script call, so that Redis is never busy for long; in :meth:`Answers.apply` all go together."""

_APPLY = (
    ADVANCE
    + """
local answers, tombstones = KEYS[1], KEYS[2]
local puts, at, changed, gone = tonumber(ARGV[2]), 3, {}, {}
local function time_of(json) return tonumber(string.match(json, '^{"updated_at":(%d+)')) or -1 end
local function tombstone(json)
  local time, question = string.match(json, '^{"updated_at":(%d+),"question":"([^"]*)"')
  return time and (time .. ' ' .. question) or '0 '
end
local function later(a, b)
  local time_a, time_b = tonumber(string.match(a, '^%d+')) or -1, tonumber(string.match(b, '^%d+')) or -1
  return time_a > time_b or (time_a == time_b and a > b)
end
for _ = 1, puts do
  local key, json = ARGV[at], ARGV[at + 1]
  at = at + 2
  local dead = redis.call('HGET', tombstones, key)
  if dead then
    if later(tombstone(json), dead) then redis.call('HSET', tombstones, key, tombstone(json)) end
  else
    local old = redis.call('HGET', answers, key)
    local new_time, old_time = time_of(json), old and time_of(old) or -1
    if new_time > old_time or (new_time == old_time and json > old) then
      redis.call('HSET', answers, key, json)
      redis.call('ZADD', KEYS[4], new_time, key)
      changed[#changed + 1] = key
    end
  end
end
for i = at, #ARGV do
  local key = ARGV[i]
  local old = redis.call('HGET', answers, key)
  if old then
    redis.call('HSET', tombstones, key, tombstone(old))
    redis.call('HDEL', answers, key)
    redis.call('ZREM', KEYS[4], key)
    gone[#gone + 1] = key
  else
    redis.call('HSETNX', tombstones, key, '0 ')
  end
end
redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -1001)
if ARGV[1] ~= '' then advance(KEYS[3], ARGV[1]) end
return {changed, gone}
"""
)
# Of two texts with the same time the greater one wins: any rule does that does not depend on which came first.


class Applied(NamedTuple):
    """What a transaction really changed."""

    put: list[Annotation]
    withdrawn: list[AnnotationKey]


@dataclass(frozen=True)
class Withdrawn:
    """What is remembered of an annotation that was withdrawn; zero and nothing if it was never seen."""

    key: AnnotationKey
    updated_at: int
    """The newest that was seen, microseconds since the epoch."""
    question: str
    """Our question id."""


@dataclass(frozen=True)
class Held:
    """Annotations that vanished from Label Studio all at once; nothing is withdrawn until a person decides."""

    keys: tuple[AnnotationKey, ...]
    reason: str


class Answers:
    """The annotations of one project."""

    def __init__(self, redis: Redis, project: str) -> None:
        self._redis = redis
        self._answers = f"pal:{project}:answers"
        self._tombstones = f"pal:{project}:tombstones"
        self._cursor = Events(redis, project).cursor_key
        self._latest = f"pal:{project}:latest"
        self._held = f"pal:{project}:held"

    def apply(
        self,
        *,
        put: Iterable[Annotation] = (),
        withdraw: Iterable[AnnotationKey] = (),
        cursor: str = "",
        events: Events | None = None,
    ) -> Applied:
        """Put, withdraw and move the cursor of the event stream, all in one transaction.

        Applying the same events twice changes nothing the second time, so a worker killed before or after is no loss.

        Args:
            put: annotations as they stand now; an older one than the one kept, or of a withdrawn key, changes nothing.
            withdraw: annotations that are gone for ever, known to us or not.
            cursor: id of the last event that this is the effect of; empty leaves the cursor alone.
            events: whose cursor moves; this project's if not given.

        Returns:
            The annotations that made a difference and are kept now, and the keys of those that were there and are gone.
        """
        newest: dict[AnnotationKey, tuple[int, str, Annotation]] = {}
        for annotation in put:
            text = dump_annotation(annotation)
            if annotation.key not in newest or newest[annotation.key][:2] < (annotation.updated_at, text):
                newest[annotation.key] = (annotation.updated_at, text, annotation)
        arguments: list[str] = [cursor, str(len(newest))]
        for key, (_, text, _) in newest.items():
            arguments += [str(key), text]
        arguments += [str(key) for key in dict.fromkeys(withdraw)]
        cursor_key = self._cursor if events is None else events.cursor_key
        keys = (self._answers, self._tombstones, cursor_key, self._latest)
        reply = self._redis.eval(_APPLY, 4, *keys, *arguments)
        changed, gone = ([AnnotationKey.parse(key) for key in keys] for keys in cast("list[list[str]]", reply))
        dropped = set(gone)
        return Applied([newest[key][2] for key in changed if key not in dropped], gone)

    def put(self, annotations: Iterable[Annotation]) -> list[Annotation]:
        """Keep annotations as they stand now; those that made a difference are returned."""
        return [kept for batch in _batches(annotations) for kept in self.apply(put=batch).put]

    def withdraw(self, keys: Iterable[AnnotationKey]) -> list[AnnotationKey]:
        """Forget annotations for ever; those that were there are returned."""
        return [key for batch in _batches(keys) for key in self.apply(withdraw=batch).withdrawn]

    def all(self) -> list[Annotation]:
        """Every annotation kept, by key.

        Raises:
            InputError: one of them is malformed; the message names its field.
        """
        found = cast("dict[str, str]", self._redis.hgetall(self._answers))
        return sorted((self._load(field, text) for field, text in found.items()), key=lambda a: a.key)

    def latest(self, most: int) -> list[Annotation]:
        """The annotations that were made or changed last, newest first, at most ``most`` (and a thousand).

        Raises:
            InputError: one of them is malformed; the message names its field.
        """
        fields = cast("list[str]", self._redis.zrevrange(self._latest, 0, most - 1))
        texts = cast("list[str | None]", self._redis.hmget(self._answers, fields)) if fields else []
        return [self._load(field, text) for field, text in zip(fields, texts, strict=True) if text is not None]

    def get(self, key: AnnotationKey) -> Annotation | None:
        """One annotation, or None if it is not kept.

        Raises:
            InputError: it is malformed.
        """
        text = cast("str | None", self._redis.hget(self._answers, str(key)))
        return None if text is None else self._load(str(key), text)

    def some(self, keys: Iterable[AnnotationKey]) -> dict[AnnotationKey, Annotation]:
        """Those of the annotations that are kept, in one round trip.

        Raises:
            InputError: one of them is malformed; the message names its field.
        """
        fields = [str(key) for key in dict.fromkeys(keys)]
        texts = cast("list[str | None]", self._redis.hmget(self._answers, fields)) if fields else []
        found = (self._load(field, text) for field, text in zip(fields, texts, strict=True) if text is not None)
        return {annotation.key: annotation for annotation in found}

    def count(self) -> int:
        """How many annotations are kept."""
        return self._redis.hlen(self._answers)

    def keys(self) -> dict[AnnotationKey, int]:
        """Key of every annotation kept → its ``updated_at`` in µs.

        Raises:
            InputError: one of them is malformed; the message names its field.
        """
        return {annotation.key: annotation.updated_at for annotation in self.all()}

    def withdrawn(self, keys: Iterable[AnnotationKey] | None = None) -> list[Withdrawn]:
        """What is remembered of withdrawn annotations: those among ``keys``, or all of them; by key.

        Raises:
            InputError: one of them is malformed.
        """
        if keys is None:
            found = cast("dict[str, str]", self._redis.hgetall(self._tombstones))
        else:
            fields = [str(key) for key in keys]
            texts = cast("list[str | None]", self._redis.hmget(self._tombstones, fields)) if fields else []
            found = {field: text for field, text in zip(fields, texts, strict=True) if text is not None}
        return sorted((self._tombstone(field, text) for field, text in found.items()), key=lambda w: w.key)

    def hold(self, keys: Iterable[AnnotationKey], reason: str, pipe: Pipeline | None = None) -> None:
        """Report annotations that vanished all at once; a later report replaces this one."""
        value = dump({"keys": [str(key) for key in sorted(keys)], "reason": reason})
        (self._redis if pipe is None else pipe).set(self._held, value)

    def held(self) -> Held | None:
        """What waits for a person's decision, or None.

        Raises:
            InputError: the report is malformed.
        """
        text = cast("str | None", self._redis.get(self._held))
        if text is None:
            return None
        record = Record(text, self._held)
        return Held(tuple(read_key(key, self._held) for key in record.texts("keys")), record.text("reason"))

    def release(self, pipe: Pipeline | None = None) -> None:
        """The decision is made, or they came back: nothing is held any more."""
        (self._redis if pipe is None else pipe).delete(self._held)

    def _tombstone(self, field: str, text: str) -> Withdrawn:
        time, _, question = text.partition(" ")
        key = read_key(field, self._tombstones)
        if not time.isdecimal():
            raise InputError(
                f"{self._tombstones} {field} holds {text!r:.60}; expected a time; remove it and run `pal sync`"
            )
        return Withdrawn(key, int(time), question)

    def _load(self, field: str, text: str) -> Annotation:
        place = f"{self._answers} {field}"
        return load_annotation(read_key(field, self._answers), Record(text, place))


def _batches(items: Iterable[Item]) -> Iterator[Sequence[Item]]:
    rest = iter(items)
    while batch := list(islice(rest, BATCH)):
        yield batch
