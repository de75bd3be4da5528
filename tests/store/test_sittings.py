"""Wakes, leases and fences."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis
from redis.client import Pipeline

from pal_backend.queues import Queues
from pal_backend.store.connection import connect
from pal_backend.store.sittings import WAKE_TTL_S, Sittings


def count(pipe: Pipeline) -> None:
    """Stands for enqueueing: counts how often it took place."""
    pipe.incr("enqueued")


def enqueued(redis: Redis) -> int:
    """How often :func:`count` took place."""
    return int(redis.get("enqueued") or 0)


def test_two_hundred_wakes_at_once_make_one_job(redis_url: str, redis: Redis) -> None:
    """However many webhooks come at once, RQ gets one learn job, and it joined our transaction."""
    queues = Queues(redis_url)

    def wake(_: int) -> bool:
        with connect(redis_url) as client:
            return Sittings(client, "digits").wake(lambda pipe: queues.learn("digits", pipe) and None)

    with ThreadPoolExecutor(32) as pool:
        woken = list(pool.map(wake, range(200)))
    assert sum(woken) == 1
    assert queues.depths()["learn"] == 1
    [job] = queues.jobs()
    assert (job.kind, job.project, job.state) == ("learn", "digits", "queued")


def test_a_wake_after_the_flag_is_cleared_makes_another_job(redis: Redis) -> None:
    """The job clears the flag first, so what comes while it runs (and holds no lease) wakes another."""
    sittings = Sittings(redis, "digits")
    assert sittings.wake(count)
    assert not sittings.wake(count)
    sittings.clear_wake()
    assert sittings.wake(count)
    assert enqueued(redis) == 2


def test_a_held_lease_makes_no_job(redis: Redis) -> None:
    """Whoever holds the lease reads the stream, so nobody needs to be woken; after the release it is needed again."""
    sittings = Sittings(redis, "digits")
    lease = sittings.take("worker-1", 10)
    assert lease is not None
    assert not sittings.wake(count)
    assert enqueued(redis) == 0
    sittings.release(lease)
    assert sittings.wake(count)


def test_the_flag_expires(redis: Redis) -> None:
    """A lost job does not silence the project: the flag has a time to live."""
    sittings = Sittings(redis, "digits")
    sittings.wake(count)
    assert 0 < redis.ttl("pal:digits:wake") <= WAKE_TTL_S
    redis.pexpire("pal:digits:wake", 1)
    time.sleep(0.01)
    assert sittings.wake(count)


def test_flag_and_job_are_one_transaction(redis: Redis) -> None:
    """If enqueueing fails, no flag is left that would swallow the next wake."""
    sittings = Sittings(redis, "digits")

    def fail(pipe: Pipeline) -> None:
        raise RuntimeError("no queue")

    with pytest.raises(RuntimeError):
        sittings.wake(fail)
    assert not redis.exists("pal:digits:wake")


def test_a_lease_is_exclusive_and_its_fence_grows(redis: Redis) -> None:
    """One holder at a time; each lease has a higher number than all before it, for each project by itself."""
    sittings = Sittings(redis, "digits")
    first = sittings.take("worker-1", 10)
    assert first is not None and sittings.holder() == "worker-1"
    assert sittings.take("worker-2", 10) is None
    sittings.release(first)
    second = sittings.take("worker 2", 10)
    assert second is not None and second.fence > first.fence
    assert sittings.holder() == "worker 2"
    other = Sittings(redis, "letters").take("worker-3", 10)
    assert other is not None and other.fence == 1


def test_a_lease_that_ran_out_cannot_be_renewed_or_release_the_next(redis: Redis) -> None:
    """A sitting that slept too long learns that it is over, and does not harm its successor."""
    sittings = Sittings(redis, "digits")
    late = sittings.take("late", 0.02)
    assert late is not None
    time.sleep(0.05)
    assert sittings.holder() is None
    assert not sittings.renew(late)
    successor = sittings.take("successor", 10)
    assert successor is not None
    assert not sittings.renew(late)
    sittings.release(late)
    assert sittings.holder() == "successor"


def test_renewing_holds_on(redis: Redis) -> None:
    """Each renewal gives the whole time again."""
    sittings = Sittings(redis, "digits")
    lease = sittings.take("worker", 0.3)
    assert lease is not None
    for _ in range(4):
        time.sleep(0.1)
        assert sittings.renew(lease)
    assert sittings.take("other", 1) is None
