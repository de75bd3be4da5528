"""The stream of events and its cursor."""

from __future__ import annotations

import threading
import time

import pytest
from redis import Redis

from pal_backend import wire
from pal_backend.store.events import LONGEST_BLOCK_MS, START, Events
from pal_backend.store.stores import Stores


def test_events_come_back_in_order_with_desk_and_time(redis: Redis) -> None:
    """What was appended is read in order, in portions, each with the desk it came under and when."""
    events = Events(redis, "p")
    told = [wire.Deleted(annotations=(n,), project=5) for n in range(5)]
    ids = [events.append(event, 1000.5 + n, f"desk-{n}") for n, event in enumerate(told)]
    first = events.read(START, 3)
    rest = events.read(first[-1].id, 3)
    assert [stored.event for stored in first + rest] == told
    assert [stored.id for stored in first + rest] == ids
    assert first[1].desk == "desk-1" and first[1].received_at == 1001.5


def test_the_cursor_only_moves_forward(redis: Redis) -> None:
    """Advancing to an earlier id, or to one with a smaller second part, changes nothing; ids are compared as numbers."""
    events = Events(redis, "p")
    assert events.cursor() == START
    for event_id in ("9-5", "10-0", "10-11", "10-2", "9-99", START):
        events.advance(event_id)
    assert events.cursor() == "10-11"


def test_pending_and_trim(redis: Redis) -> None:
    """Something is pending just while an entry lies beyond the cursor; trimming keeps all that is."""
    events = Events(redis, "p")
    assert not events.pending()
    ids = [events.append(wire.TrainingRequested(), 1.0) for _ in range(4)]
    events.trim()
    assert len(events.read(START, 10)) == 4
    events.advance(ids[1])
    assert events.pending()
    events.trim()
    assert [stored.id for stored in events.read(START, 10)] == ids[1:]
    events.advance(ids[3])
    assert not events.pending()
    events.trim()
    assert [stored.id for stored in events.read(events.cursor(), 10)] == []


def test_a_blocking_read_wakes_with_the_event(redis: Redis) -> None:
    """It waits no longer than asked, and no longer than it takes for an event to come."""
    events = Events(redis, "p")
    started = time.monotonic()
    assert events.read(START, 10, block_ms=150) == []
    assert 0.1 < time.monotonic() - started < 2
    timer = threading.Timer(0.1, events.append, (wire.TrainingRequested(), 1.0))
    started = time.monotonic()
    timer.start()
    assert len(events.read(START, 10, block_ms=LONGEST_BLOCK_MS)) == 1
    assert time.monotonic() - started < 2
    timer.join()


@pytest.mark.parametrize(
    "fields",
    [
        {"x": "y"},
        {"at": "soon", "event": "{}"},
        {"at": "1", "event": "{"},
        {"at": "1", "event": '{"type":"Unknown","project":1}'},
    ],
)
def test_an_unreadable_entry_asks_for_a_reconcile(redis: Redis, fields: dict[str, str]) -> None:
    """What somebody else put into the stream neither stops it nor is lost silently."""
    events = Events(redis, "p")
    redis.xadd("pal:p:events", fields)
    events.append(wire.Deleted(annotations=(1,)), 1.0)
    odd, good = events.read(START, 10)
    assert isinstance(odd.event, wire.ReconcileRequested)
    assert good.event == wire.Deleted(annotations=(1,))


def test_appending_joins_a_callers_transaction(redis: Redis) -> None:
    """With a pipeline nothing is there until it is executed."""
    events = Events(redis, "p")
    with redis.pipeline() as pipe:
        assert events.append(wire.TrainingRequested(), 1.0, pipe=pipe) == ""
        events.advance("1-1", pipe)
        assert not events.read(START, 1) and events.cursor() == START
        pipe.execute()
    assert len(events.read(START, 1)) == 1 and events.cursor() == "1-1"


def test_projects_have_streams_of_their_own(stores: Stores) -> None:
    """An event of one project is not seen in another."""
    stores.events("a").append(wire.TrainingRequested(), 1.0)
    assert stores.events("a").pending() and not stores.events("b").pending()
