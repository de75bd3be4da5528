"""Checks of Label Studio as a whole: reachable, signed in, its clock, its rules about addresses, its lock time, re-checks."""

from __future__ import annotations

import ipaddress
import re
import socket
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx

from pal_backend.doctor_parts import Check, Outcome, bad, good, unknown
from pal_backend.doctor_scene import Scene, is_loopback, said
from pal_backend.label_studio_errors import BANNED_SUBNETS
from pal_backend.label_studio_tokens import token_kind
from pal_backend.label_studio_values import DRAFTS_FLAG

CLOCK_SECONDS = 30.0
LONGEST_LOCK_SECONDS = 3600
NO_PROJECT = 0
"""No Label Studio project has this id: what is sent with it is checked and then refused, and nothing is made."""

_LOCK = re.compile(r'"TASK_LOCK_TTL":\s*"?(\d+)')
_DRAFTS = re.compile(rf'"{DRAFTS_FLAG}":\s*(true|false)')
_MAKE_TOKEN = "make a personal access token in Label Studio (Account & Settings, Personal Access Token) and set LABEL_STUDIO_API_KEY to it"  # noqa: S105


def label_studio(scene: Scene) -> Outcome:
    """Label Studio answers."""
    url = scene.label_studio_url
    try:
        response = scene.browser.get(f"{url}/health")
    except httpx.TransportError as problem:
        return bad(
            f"Label Studio cannot be reached at {url} ({type(problem).__name__}).",
            "start Label Studio, or set LABEL_STUDIO_URL to where it is",
        )
    if response.status_code != httpx.codes.OK or "UP" not in response.text:
        return bad(
            f"What answers at {url} is not Label Studio, or it is ill (status {response.status_code} at /health).",
            "set LABEL_STUDIO_URL to Label Studio's address, with its path prefix if it has one",
        )
    return good(f"Label Studio answers at {url}.")


def clock(scene: Scene) -> Outcome:
    """The clocks agree, since ages and the life of tokens are reckoned with both."""
    date = scene.browser.get(f"{scene.label_studio_url}/health").headers.get("date", "")
    try:
        behind = scene.clock() - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return unknown("Label Studio does not say what time it is.")
    if abs(behind) > CLOCK_SECONDS:
        return bad(
            f"Label Studio's clock is {abs(behind):.0f} s {'behind' if behind > 0 else 'ahead of'} ours.",
            "set both clocks by the network: timedatectl set-ntp true",
        )
    return good("Label Studio's clock agrees with ours.")


def token(scene: Scene) -> Outcome:
    """The token is of a kind that lasts, and Label Studio takes it."""
    given = scene.credentials.label_studio_token
    if not given:
        return bad("There is no Label Studio token.", _MAKE_TOKEN)
    kind = token_kind(given)
    if kind == "access":
        return bad("The token is an access token, which lives for five minutes only.", _MAKE_TOKEN)
    return _personal(scene, given) if kind == "personal" else _legacy(scene)


def _personal(scene: Scene, given: str) -> Outcome:
    url = scene.label_studio_url
    response = scene.browser.post(f"{url}/api/token/refresh", json={"refresh": given})
    if response.status_code != httpx.codes.OK:
        what = said(response) or f"status {response.status_code}"
        ended = "expired" in what or "blacklisted" in what
        return bad(
            f"The personal access token {'has ended' if ended else 'is not of this Label Studio, or is not whole'} ({what}).",
            _MAKE_TOKEN,
        )
    if scene.label_studio.get("/api/current-user/whoami").status_code == httpx.codes.UNAUTHORIZED:
        return bad(
            "The personal access token is right, but such tokens are switched off in Label Studio's organization.",
            "switch personal access tokens on (Organization, API Tokens Settings)",
        )
    return good("Label Studio takes the personal access token.")


def _legacy(scene: Scene) -> Outcome:
    response = scene.label_studio.get("/api/current-user/whoami")
    if response.status_code == httpx.codes.OK:
        return good("Label Studio takes the legacy token.")
    what = said(response) or f"status {response.status_code}"
    if "legacy token authentication has been disabled" in what:
        return bad(
            "The token is a legacy token, and those are switched off in Label Studio's organization.",
            f"{_MAKE_TOKEN}; or switch legacy tokens on (Organization, API Tokens Settings)",
        )
    return bad(f"Label Studio refuses the token ({what}).", _MAKE_TOKEN)


def lock_time(scene: Scene) -> Outcome:
    """How long an opened question stays reserved.

    Label Studio tells its settings to a superuser's personal token only, on a page that holds secrets as well: it is read
    line by line, and only the one line is kept. ``custom_task_lock_ttl`` of a project has no effect in Community.
    """
    found = None
    with scene.label_studio.stream("GET", "/version/") as response:
        for line in response.iter_lines():
            if match := _LOCK.search(line):
                found = int(match[1])
                break
    if found is None:
        return unknown(
            "Label Studio tells this token nothing about its lock time; unless TASK_LOCK_TTL was set it is a day.",
            "start Label Studio with TASK_LOCK_TTL=600 (seconds)",
        )
    if found > LONGEST_LOCK_SECONDS:
        return bad(
            f"A question that somebody has opened and left stays locked for {found / 3600:.0f} hours.",
            "start Label Studio with TASK_LOCK_TTL=600 (seconds)",
        )
    if found > scene.settings.task_lock_seconds:
        return bad(
            f"Label Studio keeps an opened question locked for {found} s, and we reckon with "
            f"{scene.settings.task_lock_seconds} s: a question that somebody has open may be removed.",
            f"set PAL_TASK_LOCK_SECONDS={found}",
        )
    return good(f"An opened question stays locked for {found / 60:.0f} minutes.")


def second_person(scene: Scene) -> Outcome:
    """Imports take drafts along, with which a re-check is kept from the person whose answer it checks."""
    page = scene.label_studio.get("/feature-flags/").text
    found = _DRAFTS.search(page)
    if found is None:
        return unknown(
            "Label Studio does not tell whether a re-check can be kept from the person whose answer it checks."
        )
    if found[1] == "false":
        return unknown(
            "Chance alone decides whether a re-check goes to another person than the one whose answer it checks: "
            "this Label Studio does not import drafts.",
            f"start Label Studio with {DRAFTS_FLAG}=true",
        )
    return good("A re-check is kept from the person whose answer it checks while somebody else is there.")


def backend_loopback(scene: Scene) -> Outcome:
    """Our address means the same machine to Label Studio as to us."""
    if is_loopback(scene.settings.backend) and not is_loopback(scene.settings.label_studio_url):
        return bad(
            f"Label Studio is elsewhere ({scene.settings.label_studio_url}) and would look for us on its own machine: "
            f"our address is {scene.settings.backend}.",
            "set PAL_BACKEND_URL to the web process' address as Label Studio sees it",
        )
    return good(f"Label Studio is told to find us at {scene.settings.backend}.")


def backend_address(scene: Scene) -> Outcome:
    """Label Studio's rules let it call us (``ML_BLOCK_LOCAL_IP``)."""
    return _address(scene, "/api/ml", "ML_BLOCK_LOCAL_IP", "call us for predictions")


def webhook_address(scene: Scene) -> Outcome:
    """Label Studio's rules let its webhooks reach us (``SSRF_PROTECTION_ENABLED``)."""
    return _address(
        scene, "/api/webhooks/", "SSRF_PROTECTION_ENABLED", "tell us about answers (it says nothing about it)"
    )


def _address(scene: Scene, path: str, switch: str, purpose: str) -> Outcome:
    """Ask Label Studio to connect us to a project that cannot be: it looks at the address first, and makes nothing."""
    url = scene.settings.backend
    response = scene.label_studio.post(path, json={"url": f"{url}/webhook", "project": NO_PROJECT})
    what = said(response)
    if "reserved network address" in what:
        return bad(
            f"Label Studio's rules about addresses ({switch}) forbid it to {purpose}: {url} is in "
            f"{what.rpartition('block:')[2].strip(' )')}.",
            f"start Label Studio with USE_DEFAULT_BANNED_SUBNETS=false USER_ADDITIONAL_BANNED_SUBNETS={','.join(still_banned(url, what))}",
        )
    if "resolve hostname" in what:
        return bad(
            f"Label Studio does not know the host of {url}.",
            "set PAL_BACKEND_URL to the web process' address as Label Studio sees it",
        )
    if "valid URL" in what:
        return bad(
            f"Label Studio takes no webhook on a bare host name ({url}), and says nothing about it.",
            "set PAL_BACKEND_URL to a name with a dot in it or to an IP address (in compose: a network alias)",
        )
    if response.status_code != httpx.codes.BAD_REQUEST:
        return unknown(f"Whether Label Studio may {purpose} cannot be known (status {response.status_code} {what}).")
    return good(f"Label Studio's rules about addresses let it {purpose.partition(' (')[0]}.")


def still_banned(url: str, detail: str) -> list[str]:
    """Label Studio's default list without the narrowest network that holds the host of ``url``.

    Of a private range only the /24 (IPv6: /64) of the host is let out; of the loopback range all of it. Where the host's
    name means nothing here, the whole range that Label Studio named goes.
    """
    blocked = ipaddress.ip_network(detail.rpartition("block:")[2].strip(" )"))
    host = _resolve(urlsplit(url).hostname or "")
    rest: list[str] = []
    for text in BANNED_SUBNETS:
        net = ipaddress.ip_network(text)
        if host is None or host not in net:
            if net != blocked or host is not None:
                rest.append(text)
        elif not host.is_loopback:
            freed = ipaddress.ip_network(f"{host}/{24 if host.version == 4 else 64}", strict=False)
            rest += [str(part) for part in sorted(net.address_exclude(freed))]  # type: ignore[arg-type]  # same version
    return rest


def _resolve(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(socket.getaddrinfo(host, None)[0][4][0])
    except (OSError, ValueError):
        return None


CHECKS = (
    Check("label-studio", label_studio),
    Check("clock", clock, ("label-studio",)),
    Check("token", token, ("label-studio",)),
    Check("lock-time", lock_time, ("token",)),
    Check("second-person", second_person, ("token",)),
    Check("backend-loopback", backend_loopback),
    Check("backend-address", backend_address, ("token",)),
    Check("webhook-address", webhook_address, ("token",)),
)
