"""Fetching remote samples, against real HTTP servers on this machine."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pal_backend.errors import ConfigError, InputError, NotFoundError, UnavailableError
from pal_backend.fetch_targets import AllowList, Target, is_public
from pal_backend.resolver import GIVE_UP_AFTER, Limits, Resolver
from tests.web_side import png

PUBLIC = ipaddress.ip_address("127.0.0.9")
"""Stands for an address on the internet."""
PICTURE = png(7)


class Site(BaseHTTPRequestHandler):
    """Serves one picture, in good ways and in bad ones."""

    seen: list[tuple[str, dict[str, str]]]
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""

    def do_GET(self) -> None:
        """By the path."""
        where = urlsplit(self.path)
        self.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        self.close_connection = True
        asked = {name: values[0] for name, values in parse_qs(where.query, keep_blank_values=True).items()}
        getattr(self, "on_" + where.path.strip("/").replace("-", "_").split(".")[0], self.on_nothing)(asked)

    def on_ok(self, asked: dict[str, str]) -> None:
        self.give(200, PICTURE)

    def on_nothing(self, asked: dict[str, str]) -> None:
        self.give(404, b"")

    def on_status(self, asked: dict[str, str]) -> None:
        self.give(int(asked["is"]), PICTURE)

    def on_to(self, asked: dict[str, str]) -> None:
        self.give(302, b"", Location=asked["url"])

    def on_round(self, asked: dict[str, str]) -> None:
        self.give(302, b"", Location=self.path)

    def on_page(self, asked: dict[str, str]) -> None:
        self.give(200, b"<html>" + b"x" * 50_000_000, **{"Content-Type": "image/png"})

    def on_gzip(self, asked: dict[str, str]) -> None:
        self.give(200, PICTURE, **{"Content-Encoding": "gzip"})

    def on_big(self, asked: dict[str, str]) -> None:
        self.give(200, PICTURE + bytes(100_000))

    def on_endless(self, asked: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.parts(iter(lambda: b"2000\r\n" + (PICTURE + bytes(0x2000))[:0x2000] + b"\r\n", None), 0)

    def on_drip(self, asked: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(PICTURE) + 1000))
        self.end_headers()
        self.parts((bytes([one]) for one in PICTURE + bytes(1000)), 0.02)

    def on_slow_head(self, asked: dict[str, str]) -> None:
        self.parts((bytes([one]) for one in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000), 0.02)

    def give(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.parts([body], 0)

    def parts(self, parts: Any, pause: float) -> None:
        try:
            for part in parts:
                self.wfile.write(part)
                time.sleep(pause)
        except OSError:
            self.close_connection = True


@contextmanager
def site(host: str) -> Iterator[tuple[ThreadingHTTPServer, list[tuple[str, dict[str, str]]]]]:
    """A server, and what it was asked."""
    seen: list[tuple[str, dict[str, str]]] = []
    server = ThreadingHTTPServer((host, 0), type("Here", (Site,), {"seen": seen}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server, seen
    finally:
        server.shutdown()
        server.server_close()


class Net:
    """Label Studio on a private address, and a host on what counts as the internet here."""

    def __init__(self, inner: Any, outer: Any) -> None:
        (home, self.home_saw), (away, self.away_saw) = inner, outer
        self.home = f"http://127.0.0.1:{home.server_port}"
        self.port = away.server_port
        self.away = f"http://pictures.example:{self.port}"
        self.names = {"pictures.example": [str(PUBLIC)], "127.0.0.1": ["127.0.0.1"]}
        self.looked_up: list[str] = []

    def lookup(self, host: str, port: int) -> list[str]:
        self.looked_up.append(host)
        try:
            return self.names[host]
        except KeyError:
            raise OSError("no such name") from None

    def resolver(self, hosts: str = "", seconds: float = 5.0, most: int = 50_000) -> Resolver:
        return Resolver(
            AllowList.parse(hosts or f"pictures.example:{self.port}, *.example:{self.port}"),
            Limits(most, seconds),
            self.home,
            lambda: "Token secret",
            lookup=self.lookup,
            public=lambda address: address == PUBLIC or is_public(address),
        )


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Any, Any]]:
    """Both of them."""
    with site("127.0.0.1") as home, site(str(PUBLIC)) as away:
        yield home, away


@pytest.fixture
def net(servers: tuple[Any, Any]) -> Net:
    """With nothing asked yet."""
    for _, seen in servers:
        seen.clear()
    return Net(*servers)


def test_a_listed_host_gives_its_picture_and_gets_no_token(net: Net) -> None:
    """What goes there says nothing about us; redirects within the list are followed."""
    assert net.resolver().fetch(f"{net.away}/ok.png") == PICTURE
    assert net.resolver().fetch(f"{net.away}/to?url=/ok.png%3Fa=1") == PICTURE
    assert [path for path, _ in net.away_saw] == ["/ok.png", "/to?url=/ok.png%3Fa=1", "/ok.png?a=1"]
    for _, headers in net.away_saw:
        assert headers["host"] == f"pictures.example:{net.port}"
        assert set(headers) == {"host", "accept", "accept-encoding", "user-agent"}


def test_label_studio_alone_may_be_private_and_gets_the_token(net: Net) -> None:
    """Nor does the token follow when Label Studio sends on to its storage."""
    resolver = net.resolver()
    assert resolver.fetch(resolver.label_studio_url("/ok.png")) == PICTURE
    assert resolver.fetch(f"{net.home}/to?url={net.away}/ok.png") == PICTURE
    assert [headers.get("authorization") for _, headers in net.home_saw] == ["Token secret", "Token secret"]
    assert [headers.get("authorization") for _, headers in net.away_saw] == [None]
    for path in ("//evil.example/x", "data/x", "http://x/"):
        with pytest.raises(InputError, match="no path of Label Studio"):
            resolver.label_studio_url(path)


def test_nobody_sends_us_to_label_studio_or_another_private_place(net: Net) -> None:
    """Each redirect is checked anew; nothing arrives there."""
    net.names["inner.example"] = ["127.0.0.1"]
    inner = f"http://inner.example:{urlsplit(net.home).port}"
    hosts = f"*.example:{net.port}, *.example:{urlsplit(net.home).port}"
    for target, message in (
        (f"{net.home}/ok.png", "is not allowed"),
        (f"{inner}/ok.png", "stands for 127.0.0.1, which is not on the public internet"),
        ("http://169.254.169.254/latest/meta-data/", "is not allowed"),
        ("file:///etc/passwd", "scheme 'file'"),
        ("gopher://127.0.0.1:6379/_FLUSHALL", "scheme 'gopher'"),
        ("//elsewhere.org/x", "the host elsewhere.org is not allowed"),
        ("http://a:b@pictures.example/x", "a user or password in it"),
    ):
        with pytest.raises(InputError, match=message):
            net.resolver(hosts).fetch(f"{net.away}/to?url={target}")
    assert not net.home_saw


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200", "0.0.0.0"),
        *(
            "224.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "192.0.2.1",
            "::1",
            "::",
            "fe80::1",
            "fd00:ec2::254",
            "ff02::1",
        ),
        *(
            "::ffff:127.0.0.1",
            "::ffff:a9fe:a9fe",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:0:0:0:0:0:80ff:fffe",
            "fec0::1",
        ),
    ],
)
def test_names_of_private_addresses_are_refused(net: Net, address: str) -> None:
    """However they are written, and also where a public one stands beside them."""
    assert not is_public(ipaddress.ip_address(address))
    for answer in ([address], [str(PUBLIC), address]):
        net.names["pictures.example"] = answer
        with pytest.raises(InputError, match="not on the public internet"):
            net.resolver().fetch(f"{net.away}/ok.png")
    assert not net.away_saw


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_public_addresses_are_public(address: str) -> None:
    """Also where IPv6 stands for IPv4."""
    assert is_public(ipaddress.ip_address(address))


def test_a_name_is_looked_up_once_and_the_connection_goes_to_what_was_checked(net: Net) -> None:
    """A second answer, to the same name, would be another machine (rebinding)."""
    answers = iter([[str(PUBLIC)], ["127.0.0.1"]])
    resolver = net.resolver()
    resolver.lookup = lambda host, port: next(answers)
    assert resolver.fetch(f"{net.away}/ok.png") == PICTURE
    assert next(answers) == ["127.0.0.1"]


def test_the_next_address_is_tried_where_the_first_does_not_answer(net: Net) -> None:
    """A host with an IPv6 address that leads nowhere is still reached."""
    net.names["pictures.example"] = ["127.0.0.8", str(PUBLIC)]
    resolver = net.resolver()
    resolver.public = lambda address: True
    assert resolver.fetch(f"{net.away}/ok.png") == PICTURE


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://me:secret@pictures.example/x.png", "a user or password"),
        ("https://pictures.example@elsewhere.org/x.png", "a user or password"),
        ("ftp://pictures.example/x.png", "scheme 'ftp'"),
        ("data:image/png;base64,AAAA", "scheme 'data'"),
        ("http:///x.png", "without a host"),
        ("http://[::1/x.png", "cannot be read"),
        ("http://pictures.example:99999/x.png", "cannot be read"),
        ("http://pictures.example/a b.png", "blanks"),
        ("http://pictures.example\\@127.0.0.1/", "backslashes"),
        ("http://pictures.example/\r\nX: y", "blanks"),
        ("http://pictüres.example/x.png", "punycode"),
        ("http://[fe80::1%25eth0]/x.png", "punycode"),
        ("http://pictures.example/" + "x" * 5000, "characters"),
        ("http://2130706433/x.png", "not allowed"),
        ("http://[::ffff:127.0.0.1]/x.png", "not allowed"),
    ],
)
def test_addresses_that_cannot_be_meant_well_are_refused(net: Net, url: str, message: str) -> None:
    """Before any name is looked up; a password never gets into a message."""
    with pytest.raises(InputError, match=message) as refusal:
        net.resolver().fetch(url)
    assert "secret" not in str(refusal.value)
    assert not net.looked_up


def test_what_takes_too_long_is_left(net: Net) -> None:
    """A body or a head that drips is cut off when the time is up, not when the next part fails to come."""
    for path in ("drip", "slow-head"):
        began = time.monotonic()
        with pytest.raises(UnavailableError, match="in time"):
            net.resolver(seconds=0.4).fetch(f"{net.away}/{path}")
        assert time.monotonic() - began < 2.0


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("big", InputError, r"larger than the 0\.05 MB"),
        ("endless", InputError, r"larger than the 0\.05 MB"),
        ("page", InputError, "larger than|no image of a known type"),
        ("gzip", InputError, "compressed"),
        ("nothing", NotFoundError, "nothing there"),
        ("status?is=403", InputError, "open to all"),
        ("status?is=500", UnavailableError, "status 500"),
        ("status?is=304", UnavailableError, "status 304"),
        ("to?url=", UnavailableError, "status 302"),
        ("round", InputError, "more than 5 redirects"),
    ],
)
def test_what_is_no_picture_is_refused(net: Net, path: str, kind: type[Exception], message: str) -> None:
    """Too large, announced or not, another type whatever it says it is, an error, a circle."""
    with pytest.raises(kind, match=message):
        net.resolver().fetch(f"{net.away}/{path}")


def test_a_page_is_left_after_its_first_bytes(net: Net) -> None:
    """It is not read to its end to find out that it is none."""
    with pytest.raises(InputError, match="no image of a known type"):
        net.resolver(most=60_000_000).fetch(f"{net.away}/page")


def test_a_host_that_fails_is_left_alone_after_a_while(net: Net) -> None:
    """Ten thousand addresses of a dead host must not take a day; one that answers again is forgiven."""
    resolver = net.resolver()
    for _ in range(GIVE_UP_AFTER - 1):
        with pytest.raises(UnavailableError):
            resolver.fetch(f"{net.away}/status?is=500")
    assert resolver.fetch(f"{net.away}/ok.png") == PICTURE
    for _ in range(GIVE_UP_AFTER + 1):
        with pytest.raises(UnavailableError):
            resolver.fetch("http://gone.example:" + str(net.port))
    assert net.looked_up.count("gone.example") == GIVE_UP_AFTER


def test_the_list_of_hosts_is_read_as_it_is_written() -> None:
    """A star stands for what lies below a domain; another port must be named."""
    allowed = AllowList.parse("images.example.org, *.cdn.example , box.example:8443,")
    for url in (
        "https://images.example.org/a",
        "http://IMAGES.example.org./a",
        "https://a.b.cdn.example",
        "https://box.example:8443",
    ):
        assert allowed.allows(Target.read(url))
    for url in (
        *("https://example.org", "https://ximages.example.org", "https://cdn.example", "https://evilcdn.example"),
        *("https://images.example.org:8443", "https://box.example", "https://images.example.org.evil.org"),
    ):
        assert not allowed.allows(Target.read(url))
    assert str(allowed) == "*.cdn.example, box.example:8443, images.example.org"
    assert not AllowList.parse("").allows(Target.read("https://images.example.org"))
    for wrong in ("*", "https://x.org", "a.*.org", "x.org/y", "me@x.org", "x.org:y"):
        with pytest.raises(ConfigError, match="PAL_ALLOWED_HOSTS"):
            AllowList.parse(wrong)
