"""Clients of Redis whose failures read as ours: a server that cannot be reached is an :class:`UnavailableError`.

No key is owned here. Values come back as text (``decode_responses``); RQ needs bytes and gets a client of its own.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import AuthenticationError, BusyLoadingError, ConnectionError, TimeoutError
from redis.retry import Retry

from pal_backend.errors import ConfigError, UnavailableError

SOCKET_TIMEOUT_S = 10.0
"""Longest wait for one reply; a blocking read must ask for less."""
HEALTH_CHECK_S = 30
"""A connection idle for longer is pinged before it is used again."""
RETRIES = 2
"""Every write of the store may be sent twice without harm, so a lost reply is simply asked for again."""


def connect(url: str, *, text: bool = True, timeout_s: float = SOCKET_TIMEOUT_S) -> redis.Redis:
    """A client for ``url`` (redis://, rediss:// or unix://). Nothing is sent until it is used.

    Args:
        url: where the server is; it may hold a password, which no message repeats.
        text: answers as ``str``; False gives ``bytes``, as RQ needs them.
        timeout_s: longest wait for one reply.

    Raises:
        ConfigError: the URL is not one of Redis.
    """
    try:
        client: redis.Redis = Client.from_url(
            url,
            decode_responses=text,
            socket_timeout=timeout_s,
            socket_connect_timeout=min(timeout_s, 2.0),
            health_check_interval=HEALTH_CHECK_S,
            retry=Retry(ExponentialBackoff(cap=0.2, base=0.02), RETRIES),
        )
    except ValueError:
        raise ConfigError(
            f"REDIS_URL has the scheme {urlsplit(url).scheme!r}; expected redis://host:port/number, rediss:// or unix://; "
            "set REDIS_URL to such an address"
        ) from None
    return client


class Pipeline(redis.client.Pipeline):
    """Redis' pipeline with our errors."""

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Send what was queued, in one MULTI.

        Raises:
            UnavailableError: no server answered.
        """
        try:
            return super().execute(raise_on_error)
        except (ConnectionError, TimeoutError) as problem:
            raise _unavailable(self, problem) from problem

    def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        """Send one command at once, as after WATCH.

        Raises:
            UnavailableError: no server answered.
        """
        try:
            return super().immediate_execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except (ConnectionError, TimeoutError) as problem:
            raise _unavailable(self, problem) from problem


class Client(redis.Redis):
    """Redis' client with our errors."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send one command.

        Raises:
            UnavailableError: no server answered.
        """
        try:
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except (ConnectionError, TimeoutError) as problem:
            raise _unavailable(self, problem) from problem

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        """A pipeline with our errors."""
        return Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


def address(client: redis.Redis) -> str:
    """Where a client's server is, without user or password."""
    kwargs = client.connection_pool.connection_kwargs
    if "path" in kwargs:
        return str(kwargs["path"])
    return f"{kwargs.get('host', 'localhost')}:{kwargs.get('port', 6379)}"


def _unavailable(client: redis.Redis, problem: Exception) -> UnavailableError:
    place = address(client)
    if isinstance(problem, AuthenticationError):
        return UnavailableError(
            f"Redis at {place} refused the user or password; expected those it was started with; "
            "correct the password in REDIS_URL"
        )
    if isinstance(problem, BusyLoadingError):
        return UnavailableError(f"Redis at {place} is still loading its data; expected it to be ready; try again soon")
    if isinstance(problem, TimeoutError):
        return UnavailableError(
            f"Redis at {place} did not answer in time; expected an answer within seconds; see whether it is overloaded"
        )
    return UnavailableError(
        f"no Redis answers at {place}; expected a running server; start it, or set REDIS_URL to where it is"
    )
