"""Connections to addresses that were checked before, with one limit of time on everything that is sent and received."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpcore


class Pinned(httpcore.NetworkBackend):
    """Connects to addresses that were checked, whatever the name, until the time is up."""

    def __init__(self, addresses: Sequence[str], left: Callable[[], float]) -> None:
        self._addresses, self._left, self._inner = addresses, left, httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that answers."""
        for number, address in enumerate(self._addresses, start=1):
            try:
                wait = _shorter(timeout, self._left())
                return _Timed(self._inner.connect_tcp(address, port, wait, local_address, socket_options), self._left)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if number == len(self._addresses):
                    raise
        raise httpcore.ConnectError("no address")


class _Timed(httpcore.NetworkStream):
    """A connection that ends when the time is up, however small the parts in which it gives."""

    def __init__(self, inner: httpcore.NetworkStream, left: Callable[[], float]) -> None:
        self._inner, self._left = inner, left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read a part."""
        return self._inner.read(max_bytes, _shorter(timeout, self._left()))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of it."""
        self._inner.write(buffer, _shorter(timeout, self._left()))

    def close(self) -> None:
        """End it."""
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Go on encrypted; the certificate must be that of the name, not of the address."""
        wait = _shorter(timeout, self._left())
        return _Timed(self._inner.start_tls(ssl_context, server_hostname, wait), self._left)

    def get_extra_info(self, info: str) -> Any:
        """What is known of the connection."""
        return self._inner.get_extra_info(info)


def _shorter(timeout: float | None, left: float) -> float:
    if left <= 0:
        raise httpcore.ReadTimeout("the time is up")
    return left if timeout is None else min(timeout, left)
