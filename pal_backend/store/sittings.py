"""Who learns: one sitting a project at a time, and one waiting job at most.

Keys:
    ``pal:{p}:lease`` "token owner" of the sitting, with a time to live: SET NX at its start, renewed while it lasts,
    deleted at its end, gone by itself when its process is killed.
    ``pal:{p}:fence`` count of leases ever given; each lease carries its number, and publishing refuses older ones.
    ``pal:{p}:wake`` set together with the enqueueing of a learn job, deleted as the first act of that job; it expires, so
    that a lost job does not silence the project.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import WatchError

WAKE_TTL_S = 30
"""A flag that nobody cleared for this long counts as lost together with its job."""

_TAKE = """
local held = redis.call('GET', KEYS[1])
if held == ARGV[1] then return tonumber(redis.call('GET', KEYS[2])) end
if held then return false end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return redis.call('INCR', KEYS[2])
"""
# The second line: the same take asked again after a lost reply.
_RENEW = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end return redis.call('PEXPIRE', KEYS[1], ARGV[2])"
_RELEASE = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end return redis.call('DEL', KEYS[1])"


@dataclass(frozen=True)
class Lease:
    """The right to learn for a project, until it is released or runs out."""

    owner: str
    token: str
    fence: int
    """Higher than that of every lease before it."""
    ttl_s: float

    @property
    def value(self) -> str:
        """What stands under the key while this lease is held."""
        return f"{self.token} {self.owner}"


def fence_key(project: str) -> str:
    """Where the count of leases stands."""
    return f"pal:{project}:fence"


class Sittings:
    """Wakes, leases and fences of one project."""

    def __init__(self, redis: Redis, project: str) -> None:
        self._redis = redis
        self._lease = f"pal:{project}:lease"
        self._fence = fence_key(project)
        self._wake = f"pal:{project}:wake"

    def wake(self, enqueue: Callable[[Pipeline], None]) -> bool:
        """See to it that a sitting takes place: nothing if one holds the lease or a job waits; else ``enqueue``.

        The flag is set and the job enqueued in one MULTI. Append the event first: whoever finds the lease held may go,
        because the holder looks at the stream once more after releasing it.

        Args:
            enqueue: queues the learn job on the pipeline given.

        Returns:
            Whether a job was enqueued.
        """
        with self._redis.pipeline() as pipe:
            while True:
                pipe.watch(self._lease, self._wake)  # type: ignore[no-untyped-call]
                if pipe.exists(self._lease, self._wake):
                    return False
                pipe.multi()
                pipe.set(self._wake, "1", ex=WAKE_TTL_S)
                enqueue(pipe)
                try:
                    pipe.execute()
                except WatchError:
                    continue
                return True

    def is_awake(self, pipe: Pipeline) -> None:
        """Queue the question whether :meth:`wake` would do nothing, so that it can ride along with other commands."""
        pipe.exists(self._lease, self._wake)

    def clear_wake(self, pipe: Pipeline | None = None) -> None:
        """The first act of the learn job: from here on an event wakes another one, unless the lease is held."""
        (self._redis if pipe is None else pipe).delete(self._wake)

    def take(self, owner: str, ttl_s: float) -> Lease | None:
        """The lease, or None while another sitting holds it.

        Args:
            owner: who asks, for people who look (host and process id).
            ttl_s: seconds after which it is free again unless renewed.
        """
        token = secrets.token_hex(8)
        lease = Lease(owner=owner, token=token, fence=0, ttl_s=ttl_s)
        fence = self._redis.eval(_TAKE, 2, self._lease, self._fence, lease.value, str(_milliseconds(ttl_s)))
        return None if fence is None else Lease(owner=owner, token=token, fence=int(cast("int", fence)), ttl_s=ttl_s)

    def renew(self, lease: Lease) -> bool:
        """Hold on for another ``lease.ttl_s``; False if it ran out, and then the sitting must end without publishing."""
        return bool(self._redis.eval(_RENEW, 1, self._lease, lease.value, str(_milliseconds(lease.ttl_s))))

    def release(self, lease: Lease) -> None:
        """Let go, if it is still ours. Afterwards look at the stream once more, and wake if something came."""
        self._redis.eval(_RELEASE, 1, self._lease, lease.value)

    def holder(self) -> str | None:
        """Who learns now, or None."""
        value = cast("str | None", self._redis.get(self._lease))
        return None if value is None else value.partition(" ")[2]


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
