"""What Label Studio told us, in the order in which it arrived.

Keys:
    ``pal:{p}:events`` stream, one entry an event (``at`` seconds since 1970, ``desk``, ``event`` JSON): appended by the web process,
    trimmed by the learn job once applied.
    ``pal:{p}:cursor`` id of the last entry whose effect is in the answers; it only moves forward, in the same
    transaction as that effect (:meth:`pal_backend.store.answers.Answers.apply`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis
from redis.client import Pipeline

from pal_backend import wire
from pal_backend.errors import InputError
from pal_backend.store.records import Record, dump

logger = logging.getLogger(__name__)

START = "0-0"
"""The cursor before the first event."""
LONGEST_BLOCK_MS = 4000
"""A longer wait would meet the client's own time limit and look like a dead server."""

ADVANCE = """
local function later(a, b)
  local a1, a2 = string.match(a, '^(%d+)-(%d+)$')
  local b1, b2 = string.match(b, '^(%d+)-(%d+)$')
  if not b1 then return true end
  a1, a2, b1, b2 = tonumber(a1), tonumber(a2), tonumber(b1), tonumber(b2)
  return a1 > b1 or (a1 == b1 and a2 > b2)
end
local function advance(key, id)
  if later(id, redis.call('GET', key) or '') then redis.call('SET', key, id) end
end
"""
"""Lua: ``advance(key, id)`` moves a cursor forward, never back."""


@dataclass(frozen=True)
class StoredEvent:
    """An event as it stands in the stream."""

    id: str
    received_at: float
    """When the webhook came, seconds since 1970."""
    event: wire.Event
    desk: str = ""
    """Name of the desk under whose URL it came."""


class Events:
    """The stream of one project."""

    def __init__(self, redis: Redis, project: str) -> None:
        self._redis = redis
        self._stream = f"pal:{project}:events"
        self._cursor = f"pal:{project}:cursor"

    @property
    def cursor_key(self) -> str:
        """Where the cursor stands, for the transaction that moves it together with the answers."""
        return self._cursor

    def append(self, event: wire.Event, received_at: float, desk: str = "", pipe: Pipeline | None = None) -> str:
        """Add an event that came under a desk's URL at ``received_at`` (seconds since 1970).

        Returns:
            Its id; empty inside a caller's transaction, where it is not known yet.
        """
        target = self._redis if pipe is None else pipe
        fields: dict[Any, Any] = {"at": repr(float(received_at)), "desk": desk, "event": dump(event.to_json())}
        entry = target.xadd(self._stream, fields)
        return cast("str", entry) if pipe is None else ""

    def read(self, after: str, count: int, block_ms: int = 0) -> list[StoredEvent]:
        """Up to ``count`` events later than the id ``after``, in order.

        Args:
            after: an id, such as :meth:`cursor`.
            count: most events to return.
            block_ms: how long to wait for the first one, at most 4000; 0 does not wait.
        """
        found = self._redis.xrange(self._stream, min=f"({after}", count=count)
        if not found and block_ms > 0:
            self._redis.xread({self._stream: after}, count=1, block=min(block_ms, LONGEST_BLOCK_MS))
            found = self._redis.xrange(self._stream, min=f"({after}", count=count)
        return [_load(self._stream, entry, fields) for entry, fields in cast("list[tuple[str, dict[str, str]]]", found)]

    def cursor(self) -> str:
        """Id of the last event whose effect is in the answers; "0-0" at the start."""
        return cast("str | None", self._redis.get(self._cursor)) or START

    def advance(self, event_id: str, pipe: Pipeline | None = None) -> None:
        """Move the cursor to ``event_id``, unless it is there or beyond."""
        script = ADVANCE + "advance(KEYS[1], ARGV[1])"
        (self._redis if pipe is None else pipe).eval(script, 1, self._cursor, event_id)

    def pending(self) -> bool:
        """Whether an event lies beyond the cursor."""
        return bool(self._redis.xrange(self._stream, min=f"({self.cursor()}", count=1))

    def trim(self, pipe: Pipeline | None = None) -> None:
        """Forget the events up to the cursor, but for the very last."""
        cursor = self.cursor()
        if cursor != START:
            (self._redis if pipe is None else pipe).xtrim(self._stream, minid=cursor, approximate=False)


def _load(stream: str, entry: str, fields: dict[str, Any]) -> StoredEvent:
    try:
        return StoredEvent(
            id=entry,
            received_at=float(fields["at"]),
            event=wire.event_from_json(Record(fields["event"], f"{stream} {entry}").value),
            desk=fields.get("desk", ""),
        )
    except (KeyError, ValueError, InputError) as problem:
        # It must not stop the stream for ever; what it said is still in Label Studio, where a reconcile finds it.
        logger.warning(
            "entry %s of %s cannot be read (%s); asking for a reconcile instead", entry, stream, type(problem).__name__
        )
        return StoredEvent(entry, 0.0, wire.ReconcileRequested(f"unreadable entry {entry} of the event stream"))
