"""Attempts to sign in that failed, so that nobody can go on guessing.

Key:
    ``pal:logins:{client}`` count of attempts from an address within the last minute; expires by itself.
"""

from __future__ import annotations

from typing import cast

from redis import Redis

WINDOW_S = 60
MOST_TRIES = 10
"""Attempts within a window; behind a proxy that is not named in ``PAL_TRUSTED_PROXIES`` all people share them."""


class Logins:
    """Counts attempts of each address."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def count(self, client: str) -> bool:
        """Count one attempt; False once there were too many within the last minute. A later attempt starts no new minute."""
        key = f"pal:logins:{client[:100]}"
        with self._redis.pipeline() as pipe:
            pipe.set(key, 0, ex=WINDOW_S, nx=True)
            pipe.incr(key)
            tries = cast("int", pipe.execute()[1])
        return tries <= MOST_TRIES

    def forget(self, client: str) -> None:
        """Somebody at that address came in: this attempt does not count. The failed ones do, or whoever has a way in of
        their own could go on guessing another's."""
        key = f"pal:logins:{client[:100]}"
        with self._redis.pipeline() as pipe:
            pipe.set(key, 1, ex=WINDOW_S, nx=True)
            pipe.decr(key)
            pipe.execute()
