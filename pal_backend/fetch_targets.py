"""What may be fetched: addresses that can be read, hosts on a list, numbers that are on the public internet."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from pal_backend.errors import ConfigError, InputError

MAX_URL = 4_000
PORTS = {"http": 80, "https": 443}
REFUSED = (ipaddress.ip_network("168.63.129.16/32"),)
"""Public by their number, yet answered by the machine's own cloud: Azure's WireServer."""
NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Lookup = Callable[[str, int], Sequence[str]]
"""Host and port to the addresses its name stands for."""


def look_up(host: str, port: int) -> Sequence[str]:
    """What the system's resolver says."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: Address) -> bool:
    """Whether an address is somebody else's on the internet: not private, loopback, link-local, shared, multicast, reserved
    or a cloud's own, nor an IPv6 address that stands for such an IPv4 one.
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if inner is None and address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    refused = any(address.version == net.version and address in net for net in REFUSED)
    site_local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return address.is_global and not (address.is_multicast or address.is_reserved or site_local or refused)


@dataclass(frozen=True)
class Target:
    """An address that was read: where a connection goes, and what is asked for there."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: what a credential belongs to."""
        return self.scheme, self.host, self.port

    @property
    def url(self) -> str:
        """As it is sent."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"

    @classmethod
    def read(cls, url: str) -> Target:
        """Read an address.

        Raises:
            InputError: it is none that could be fetched; the message says why.
        """
        if len(url) > MAX_URL:
            raise InputError(f"an address of {len(url):,} characters; {MAX_URL:,} are read")
        if any(ord(sign) <= 0x20 or sign in "\\\x7f" for sign in url):
            raise InputError("an address with blanks, backslashes or control signs in it; write it percent-encoded")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as problem:
            raise InputError(f"an address that cannot be read: {problem}") from None
        if parts.scheme not in PORTS:
            raise InputError(f"the scheme {parts.scheme or 'none'!r:.20}; expected http or https")
        if "@" in parts.netloc:
            raise InputError("an address with a user or password in it; give one without, they would be kept and shown")
        host = (parts.hostname or "").rstrip(".")
        if not host or not host.isascii() or "%" in host:
            raise InputError("an address without a host in ASCII; write international names in punycode")
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=-._~")
        query = f"?{quote(parts.query, safe='/%:@!$&()*+,;=-._~?')}" if parts.query else ""
        return cls(parts.scheme, host, PORTS[parts.scheme] if port is None else port, path + query)


@dataclass(frozen=True)
class AllowList:
    """Hosts that may be asked: ``host``, ``*.domain`` (any below it), either with ``:port`` for another than the usual."""

    entries: frozenset[tuple[str, int | None]] = frozenset()

    @classmethod
    def parse(cls, text: str) -> AllowList:
        """Read a list with commas.

        Raises:
            ConfigError: an entry is no host.
        """
        entries = set()
        for entry in filter(None, (part.strip().lower() for part in text.split(","))):
            host, _, port = entry.rpartition(":") if ":" in entry and not entry.endswith("]") else (entry, "", "")
            name = host.removeprefix("*.").strip("[]")
            if not name or set(name) & set("/*@ ") or not name.isascii() or not (port.isdigit() or not port):
                raise ConfigError(
                    f"PAL_ALLOWED_HOSTS has {entry!r:.80}; expected hosts such as images.example.org, *.example.org or "
                    "images.example.org:8443, with commas between them"
                )
            entries.add((host.strip("[]"), int(port) if port else None))
        return cls(frozenset(entries))

    def allows(self, target: Target) -> bool:
        """Whether the target's host and port are listed."""
        host, usual = target.host.lower(), target.port == PORTS[target.scheme]
        names = [host] + [f"*.{host[at + 1 :]}" for at, sign in enumerate(host) if sign == "."]
        return any((name, target.port) in self.entries or (usual and (name, None) in self.entries) for name in names)

    def __str__(self) -> str:
        shown = sorted(host if port is None else f"{host}:{port}" for host, port in self.entries)
        return ", ".join(shown) or "none"
