"""Fetches remote samples: from hosts that the operator lists and from Label Studio, and from nowhere else.

What an address leads to is decided by whoever wrote a manifest or a task, so each one, and each that a redirect names, is
checked anew: scheme, no user in it, host on the list, and every address its name stands for must be public. The name is
looked up once, and the connection goes to an address that was checked, so that a second look-up cannot lead elsewhere
(DNS rebinding). Label Studio's own origin alone may be private, and it alone is sent our token. Proxies and ``.netrc`` of
the environment are not used, cookies are not kept, compression is not asked for.
"""

from __future__ import annotations

import ipaddress
import ssl
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from urllib.parse import urljoin

import httpcore
import httpx

from pal_backend.errors import InputError, NotFoundError, PalError, UnavailableError
from pal_backend.fetch_connections import Pinned
from pal_backend.fetch_targets import PORTS, Address, AllowList, Lookup, Target, is_public, look_up
from pal_backend.pool_index import SIGNATURE_BYTES, content_type

MAX_REDIRECTS = 5
CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
GIVE_UP_AFTER = 5
"""Failures in a row after which a host is not asked any more by this resolver."""


@dataclass(frozen=True)
class Limits:
    """What one sample may cost: bytes, and seconds from the first look-up to the last byte, redirects included."""

    bytes: int = 20_000_000
    seconds: float = 30.0


@dataclass
class Resolver:
    """Fetches what is at an address; safe to use from several threads, for one ingest.

    Args:
        allowed: hosts that may be asked besides Label Studio.
        limits: of one sample.
        label_studio: its URL; this origin may be private, and needs not be listed.
        authorization: gives the header that opens Label Studio; asked for that origin alone.
        lookup: host names to addresses.
        public: whether an address may be connected to.
        clock: seconds that only rise.
    """

    allowed: AllowList
    limits: Limits = Limits()
    label_studio: str = ""
    authorization: Callable[[], str] | None = field(default=None, repr=False)
    lookup: Lookup = look_up
    public: Callable[[Address], bool] = is_public
    clock: Callable[[], float] = time.monotonic
    _failures: dict[str, int] = field(default_factory=dict, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def fetch(self, url: str) -> bytes:
        """The image at an address.

        Raises:
            InputError: it may not be fetched, is too large, takes too long, or is no image.
            NotFoundError: there is nothing.
            UnavailableError: the host cannot be reached now, or fails.
        """
        deadline = self.clock() + self.limits.seconds
        target = Target.read(url)
        at_home = target.origin == self._home
        for _ in range(MAX_REDIRECTS + 1):
            # Who was sent there by another host is a stranger to Label Studio: no token, and no private address.
            at_home = at_home and target.origin == self._home
            found = self._once(target, deadline, at_home)
            if isinstance(found, bytes):
                return found
            following = Target.read(urljoin(target.url, found))
            if (target.scheme, following.scheme) == ("https", "http"):
                raise InputError(f"{target.host} sends on from https to plain http; give the address it should be")
            target = following
        raise InputError(f"more than {MAX_REDIRECTS} redirects; give the address they end at")

    def label_studio_url(self, path: str) -> str:
        """The address of something that Label Studio keeps.

        Raises:
            InputError: the path is none of Label Studio's.
        """
        if not path.startswith("/") or path.startswith("//"):
            raise InputError(f"{path!r:.80} is no path of Label Studio; expected one such as /data/upload/1/cat.png")
        return self.label_studio.rstrip("/") + path

    def _once(self, target: Target, deadline: float, at_home: bool) -> bytes | str:
        """What one address gives: the image, or where it sends on."""
        self._admit(target, at_home)
        try:
            found = self._ask(target, deadline, at_home)
        except UnavailableError:
            with self._lock:
                self._failures[target.host] = self._failures.get(target.host, 0) + 1
            raise
        with self._lock:
            self._failures.pop(target.host, None)
        return found

    def _admit(self, target: Target, at_home: bool) -> None:
        if not at_home and not self.allowed.allows(target):
            usual = target.port == PORTS[target.scheme]
            entry = target.host if usual else f"{target.host}:{target.port}"
            raise InputError(
                f"the host {entry:.100} is not allowed; expected one of PAL_ALLOWED_HOSTS ({self.allowed!s:.300}); add it there"
            )
        with self._lock:
            if self._failures.get(target.host, 0) >= GIVE_UP_AFTER:
                raise UnavailableError(f"{target.host} failed {GIVE_UP_AFTER} times in a row and is left alone for now")

    @cached_property
    def _home(self) -> tuple[str, str, int] | None:
        return Target.read(self.label_studio).origin if self.label_studio else None

    @cached_property
    def _certificates(self) -> ssl.SSLContext:
        return httpx.create_ssl_context(trust_env=False)

    @cached_property
    def _names(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(16, "look-up")

    def _ask(self, target: Target, deadline: float, at_home: bool) -> bytes | str:
        headers: dict[bytes | str, bytes | str] = {
            "Host": _host_header(target),
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "User-Agent": "pal",
        }
        if at_home and self.authorization is not None:
            headers["Authorization"] = self.authorization()
        backend = Pinned(self._addresses(target, deadline, at_home), lambda: deadline - self.clock())
        waits = {"connect": CONNECT_SECONDS, "read": READ_SECONDS, "write": READ_SECONDS, "pool": CONNECT_SECONDS}
        context = self._certificates if target.scheme == "https" else None
        try:
            with (
                httpcore.ConnectionPool(ssl_context=context, network_backend=backend) as pool,
                pool.stream("GET", target.url, headers=headers, extensions={"timeout": waits}) as answer,
            ):
                return self._answer(target, answer)
        except PalError:
            raise
        except httpcore.TimeoutException:
            raise UnavailableError(
                f"{target.host} did not give it in time ({self.limits.seconds:g} seconds in all, {READ_SECONDS:g} for a part)"
            ) from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.ProxyError, OSError, ValueError) as problem:
            raise UnavailableError(
                f"{target.host} cannot be asked: {type(problem).__name__} {problem!s:.100}"
            ) from None

    def _answer(self, target: Target, answer: httpcore.Response) -> bytes | str:
        said = {name.lower(): value for name, value in reversed(answer.headers)}
        if answer.status in (301, 302, 303, 307, 308):
            return said.get(b"location", b"").decode("latin-1") or _nothing(target, answer.status)
        if answer.status in (404, 410):
            raise NotFoundError(f"{target.host} has nothing there (status {answer.status})")
        if answer.status in (401, 403):
            raise InputError(
                f"{target.host} refuses it (status {answer.status}); only what is open to all can be fetched"
            )
        if answer.status != 200:
            _nothing(target, answer.status)
        if said.get(b"content-encoding", b"identity").lower() != b"identity":
            raise InputError(f"{target.host} sends it compressed though that was not asked for")
        announced = said.get(b"content-length", b"")
        if announced.isdigit() and len(announced) < 20 and int(announced) > self.limits.bytes:
            raise self._too_large()
        return self._body(answer.iter_stream())

    def _body(self, parts: Iterable[bytes]) -> bytes:
        content = bytearray()
        for part in parts:
            content += part
            if len(content) > self.limits.bytes:
                raise self._too_large()
            if len(content) >= SIGNATURE_BYTES and content_type(bytes(content[:SIGNATURE_BYTES])) is None:
                break
        if content_type(bytes(content[:SIGNATURE_BYTES])) is None:
            raise InputError("what is there is no image of a known type; expected PNG, JPEG, WebP, GIF or BMP")
        return bytes(content)

    def _too_large(self) -> InputError:
        return InputError(f"larger than the {self.limits.bytes / 1e6:g} MB that are fetched (PAL_FETCH_BYTES)")

    def _addresses(self, target: Target, deadline: float, at_home: bool) -> list[str]:
        """What the host's name stands for, each of it checked."""
        wait = min(CONNECT_SECONDS, deadline - self.clock())
        try:
            found = [
                ipaddress.ip_address(one)
                for one in self._names.submit(self.lookup, target.host, target.port).result(wait)
            ]
        except NotInTime:
            raise UnavailableError(f"the name {target.host} is not found in time") from None
        except (OSError, UnicodeError, ValueError) as problem:
            raise UnavailableError(f"the name {target.host} is not found: {problem!s:.100}") from None
        refused = [] if at_home else [address for address in found if not self.public(address)]
        if refused or not found:
            raise InputError(
                f"{target.host} stands for {refused[0] if refused else 'no address'}, which is not on the public internet; only "
                "Label Studio may be there; serve the pictures from elsewhere, or give them as files"
            )
        return [str(address) for address in found]


def _nothing(target: Target, status: int) -> str:
    raise UnavailableError(f"{target.host} answers with status {status}")


def _host_header(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return host if target.port == PORTS[target.scheme] else f"{host}:{target.port}"
