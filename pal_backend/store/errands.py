"""Errands that talk to Label Studio for a long moment, each run by one process at a time.

Keys:
    ``pal:{p}:errand:{name}`` token of the process that runs it, with a time to live, so that a killed one frees it.
    ``pal:{p}:errand:{name}:begun`` set while a call is under way whose effect is unknown until its answer is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from redis import Redis
from redis.exceptions import LockError
from redis.lock import Lock

from pal_backend.errors import UnavailableError

POLL_S = 0.1


class Errand:
    """The right to run an errand, until its ``with`` block ends or its time runs out."""

    def __init__(self, redis: Redis, lock: Lock, begun: str) -> None:
        self._redis = redis
        self._lock = lock
        self._begun = begun
        self._uncertain = False
        self.interrupted = bool(redis.exists(begun))
        """Whether an earlier run ended, killed or not, without knowing the effect of its last uncertain call."""

    def renew(self) -> None:
        """Let its time to live start anew.

        Raises:
            UnavailableError: the errand is ours no longer.
        """
        try:
            self._lock.reacquire()
        except LockError:
            raise UnavailableError(
                "this errand took too long and is somebody else's now; it will be tried again"
            ) from None

    @contextmanager
    def uncertain(self) -> Iterator[None]:
        """Around a call that may be carried out even though its answer is lost.

        The time to live starts anew, and if the call fails so that nobody knows, the errand stays taken until that time
        is over: by then the call has had its effect or will have none.

        Raises:
            UnavailableError: the errand is ours no longer.
        """
        self.renew()
        self._redis.set(self._begun, "1")
        self._uncertain = True
        try:
            yield
        except UnavailableError:
            raise
        except Exception:
            self._settled()
            raise
        self._settled()

    def recovered(self) -> None:
        """What an interrupted run left behind is taken care of."""
        self.interrupted = False
        self._redis.delete(self._begun)

    def _settled(self) -> None:
        self._uncertain = False
        self._redis.delete(self._begun)

    def end(self) -> None:
        """Free it, unless a call is uncertain."""
        if not self._uncertain:
            with suppress(LockError):
                self._lock.release()


class Errands:
    """The errands of one project."""

    def __init__(self, redis: Redis, project: str) -> None:
        self._redis = redis
        self._prefix = f"pal:{project}:errand:"

    @contextmanager
    def run(self, name: str, ttl_s: float, wait_s: float = 5.0) -> Iterator[Errand]:
        """Run the errand ``name`` alone.

        Args:
            name: which one.
            ttl_s: seconds after which it is free again when its process was killed.
            wait_s: how long to wait for another process to end it.

        Raises:
            UnavailableError: another process is still at it.
        """
        lock = Lock(self._redis, self._prefix + name, timeout=ttl_s, sleep=POLL_S, thread_local=False)
        if not lock.acquire(blocking_timeout=wait_s):
            raise UnavailableError(
                f"{name} is being done by another process, or one was killed at it less than {ttl_s:.0f} s ago; "
                "it will be tried again"
            )
        errand = Errand(self._redis, lock, f"{self._prefix}{name}:begun")
        try:
            yield errand
        finally:
            errand.end()
