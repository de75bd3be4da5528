"""Signing in to Label Studio: both kinds of token, retries that cannot post twice, and errors that say what to do.

One :class:`httpx.Client` is made here and used by ``label-studio-sdk`` and by our own calls alike, so that tokens are
renewed in one place. Proxies of the environment are not used. No token ever reaches a message or a log.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any

import httpx

from pal_backend.errors import (
    AccessError,
    ConfigError,
    ConflictError,
    InputError,
    NotFoundError,
    PalError,
    UnavailableError,
)

TIMEOUT = httpx.Timeout(30.0, connect=5.0)
"""Seconds; an import of a few hundred tasks takes less than five."""
ATTEMPTS = 3
RENEW_EARLY_S = 30.0
"""An access token lives 300 s; it is renewed this long before its end."""
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"})
MAX_DETAIL = 300
_TAG = re.compile(r"<[^<>]*>")

# What Label Studio 1.23.2 bans by itself (core/utils/io.py, validate_ip); the advice leaves out the one net in the way.
BANNED_SUBNETS = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4", "::/128", "::1/128", "::ffff:0:0/96"),
    *("64:ff9b::/96", "2001:0000::/32", "2002::/16", "fc00::/7", "fe80::/10", "ff00::/8"),
)


def token_kind(token: str) -> str:
    """ "personal" (a JWT refresh token), "access" (what a personal token is exchanged for) or "legacy"."""
    claims = _claims(token)
    if claims is None:
        return "legacy"
    return "access" if claims.get("token_type") == "access" else "personal"


class TokenAuth(httpx.Auth):
    """Adds the ``Authorization`` header: ``Token`` for a legacy token, ``Bearer`` for what a personal one is exchanged for."""

    requires_response_body = True

    def __init__(self, url: str, token: str, clock: Callable[[], float] = time.time) -> None:
        self._url, self._token, self._clock = url, token, clock
        self._kind = token_kind(token)
        self._access = ""
        self._access_ends = 0.0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """One request, with a renewal before it when the access token is old, or after it when it was refused."""
        if self._kind != "personal":
            request.headers["Authorization"] = f"{'Token' if self._kind == 'legacy' else 'Bearer'} {self._token}"
            yield request
            return
        if self._clock() >= self._access_ends - RENEW_EARLY_S:
            yield from self._renew()
        request.headers["Authorization"] = f"Bearer {self._access}"
        response = yield request
        # The clocks of the two machines may differ; a refused token is renewed once whatever its date says.
        if response.status_code == httpx.codes.UNAUTHORIZED:
            yield from self._renew()
            request.headers["Authorization"] = f"Bearer {self._access}"
            yield request

    def _renew(self) -> Generator[httpx.Request, httpx.Response, None]:
        response = yield httpx.Request("POST", f"{self._url}/api/token/refresh", json={"refresh": self._token})
        if response.status_code != httpx.codes.OK:
            raise error_for(
                response.status_code, body_of(response), "signing in with the personal access token", self._url
            )
        self._access = str(response.json()["access"])
        ends = (_claims(self._access) or {}).get("exp")
        self._access_ends = float(ends) if isinstance(ends, int | float) else self._clock() + 60.0


class RetryingTransport(httpx.BaseTransport):
    """Tries again where that is safe: always when nothing was sent, and idempotent requests after any failure.

    A POST whose answer got lost may have been carried out, so it is never repeated (``label-studio-sdk`` would).
    """

    def __init__(
        self, inner: httpx.BaseTransport, *, attempts: int = ATTEMPTS, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._inner, self._attempts, self._sleep = inner, attempts, sleep

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send ``request``, at most ``attempts`` times."""
        for attempt in range(1, self._attempts + 1):
            last = attempt == self._attempts
            try:
                response = self._inner.handle_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if last:
                    raise
            except httpx.TransportError:
                if last or request.method not in IDEMPOTENT:
                    raise
            else:
                # SQLite answers 500 "database is locked" when it is busy, proxies answer 502 to 504.
                if last or response.status_code < 500 or request.method not in IDEMPOTENT:
                    return response
                response.close()
            self._sleep(0.5 * 2 ** (attempt - 1))
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Close the transport inside."""
        self._inner.close()


def open_client(
    url: str,
    token: str,
    *,
    transport: httpx.BaseTransport | None = None,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> httpx.Client:
    """A client that is signed in at ``url``.

    Raises:
        AccessError: ``token`` is empty.
    """
    if not token:
        raise AccessError(
            "there is no Label Studio token; make one under Account & Settings, Personal Access Token, "
            "and set LABEL_STUDIO_API_KEY"
        )
    return httpx.Client(
        base_url=url,
        auth=TokenAuth(url, token, clock),
        transport=RetryingTransport(transport or httpx.HTTPTransport(), sleep=sleep),
        timeout=TIMEOUT,
    )


def body_of(response: httpx.Response) -> Any:
    """The JSON body, or None: Label Studio answers some errors with a page."""
    try:
        return response.json()
    except ValueError:
        return None


def error_for(status: int, body: Any, doing: str, url: str) -> PalError:
    """The error of our tree for an answer of Label Studio's; the message says what to do."""
    detail = detail_of(body)
    if status == httpx.codes.UNAUTHORIZED:
        return AccessError(
            f"Label Studio at {url} refused the token while {doing}: {detail or 'no reason given'}; {_token_advice(detail)}"
        )
    if status == httpx.codes.FORBIDDEN:
        if "reserved network address" in detail:
            return ConfigError(f"Label Studio refused {doing}: {detail}; {address_advice(detail)}")
        return AccessError(
            f"this Label Studio account may not do that ({doing}): {detail}; use an account that owns the project"
        )
    if status == httpx.codes.NOT_FOUND:
        return NotFoundError(f"Label Studio at {url} does not know it ({doing}): {detail or 'not found'}")
    if status == httpx.codes.CONFLICT:
        return ConflictError(f"Label Studio reports a conflict while {doing}: {detail}")
    if 300 <= status < 400:
        return ConfigError(
            f"{url} answers with a redirect while {doing}; set LABEL_STUDIO_URL to the address it leads to"
        )
    if status >= 500:
        return UnavailableError(
            f"Label Studio at {url} failed with {status} while {doing}: {detail or 'see its log'}; try again"
        )
    return InputError(f"Label Studio refused {doing} ({status}): {detail or 'no reason given'}")


def unreachable(problem: Exception, doing: str, url: str) -> UnavailableError:
    """The error for a request that got no answer."""
    return UnavailableError(
        f"Label Studio at {url} cannot be reached while {doing} ({type(problem).__name__}); "
        "start it, or set LABEL_STUDIO_URL to where it is"
    )


def detail_of(body: Any) -> str:
    """What Label Studio says is wrong, in one line, without markup."""
    if not isinstance(body, Mapping):
        return ""
    errors = body.get("validation_errors")
    if isinstance(errors, Mapping) and errors:
        said = "; ".join(
            f"{name}: {' '.join(map(str, texts)) if isinstance(texts, list) else texts}"
            for name, texts in errors.items()
        )
    elif "detail" in body:
        said = str(body["detail"])
    else:
        said = "; ".join(f"{name}: {text}" for name, text in body.items())
    return " ".join(_TAG.sub("", said).split())[:MAX_DETAIL].rstrip(".")


def address_advice(detail: str) -> str:
    """Which settings of Label Studio's let it talk to us, and to nothing else that is private."""
    blocked = detail.rpartition("block:")[2].strip(" )")
    rest = [net for net in BANNED_SUBNETS if not _overlap(net, blocked)]
    return (
        f"start Label Studio with USE_DEFAULT_BANNED_SUBNETS=false USER_ADDITIONAL_BANNED_SUBNETS={','.join(rest)} "
        f"(its own list without {blocked or 'the network of the backend'}; ban parts of that network again as narrowly as you can)"
    )


def _token_advice(detail: str) -> str:
    if "legacy token" in detail:
        return (
            "make a personal access token (Account & Settings, Personal Access Token) and set LABEL_STUDIO_API_KEY to it, "
            "or switch legacy tokens on (Organization, API Tokens Settings)"
        )
    return (
        "set LABEL_STUDIO_API_KEY to a personal access token, copied whole (Account & Settings, Personal Access Token; "
        "it is shown once), or to a legacy token if the organization allows those"
    )


def _overlap(net: str, blocked: str) -> bool:
    try:
        one, other = ipaddress.ip_network(net), ipaddress.ip_network(blocked)
    except ValueError:
        return False
    return one.version == other.version and one.overlaps(other)


def _claims(token: str) -> dict[str, Any] | None:
    """The claims of a JWT, unverified (Label Studio verifies it), or None when it is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
