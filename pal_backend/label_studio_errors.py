"""Label Studio's refusals as errors of ours that say what to do. No token ever reaches a message."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from pal_backend.errors import (
    AccessError,
    ConfigError,
    ConflictError,
    InputError,
    NotFoundError,
    PalError,
    UnavailableError,
)

MAX_DETAIL = 300
_TAG = re.compile(r"<[^<>]*>")

# What Label Studio 1.23.2 bans by itself (core/utils/io.py, validate_ip); the advice leaves out the one net in the way.
BANNED_SUBNETS = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4", "::/128", "::1/128", "::ffff:0:0/96"),
    *("64:ff9b::/96", "2001:0000::/32", "2002::/16", "fc00::/7", "fe80::/10", "ff00::/8"),
)


def error_for(status: int, body: Any, doing: str, url: str) -> PalError:
    """The error for an answer of Label Studio's; the message says what to do."""
    detail = detail_of(body)
    said = detail or "no reason given"
    if status in (401, 403):
        return _denied(status, detail, doing, url)
    if status in (404, 409):
        kind = NotFoundError if status == 404 else ConflictError
        return kind(f"Label Studio at {url} answered {status} while {doing}: {said}")
    if 300 <= status < 400:
        return ConfigError(
            f"{url} answers with a redirect while {doing}; set LABEL_STUDIO_URL to the address it leads to"
        )
    if status >= 500:
        return UnavailableError(
            f"Label Studio at {url} failed with {status} while {doing}: {said}; look into its log, and try again"
        )
    return InputError(f"Label Studio refused {doing} ({status}): {said}")


def _denied(status: int, detail: str, doing: str, url: str) -> PalError:
    if status == 401:
        return AccessError(f"Label Studio at {url} refused the token while {doing}: {detail}; {_token_advice(detail)}")
    if "reserved network address" in detail:
        return ConfigError(f"Label Studio refused {doing}: {detail}; {address_advice(detail)}")
    return AccessError(
        f"this Label Studio account may not do that ({doing}): {detail}; use the token of an account that may"
    )


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
