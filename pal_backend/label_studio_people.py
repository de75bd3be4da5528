"""Who somebody is to Label Studio, told by an access token: the one thing that the web process asks it.

Why not in a worker: the token would have to pass through Redis, and wait there behind imports and exports, while a person
waits. Why it may be asked here: no annotator's click waits for it, it holds no thread, no more than a few are under way
at a time, each for a few seconds at most; and nothing that Label Studio does to answer calls us back.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from pal_backend.errors import AccessError, InputError, PalError, UnavailableError
from pal_backend.label_studio_tokens import TokenAuth
from pal_backend.store.projects import Projects

log = logging.getLogger(__name__)

SECONDS = 3.0
"""Longest wait for one answer of Label Studio."""
IN_ALL_SECONDS = 8.0
AT_ONCE = 4
"""People who sign in at a time; further ones are asked to try again."""
TOKEN_CHARACTERS = 2_000
ANSWER_BYTES = 1_000_000
LISTED = 100
"""Projects asked about at a time."""
NOT_TAKEN = (
    "Label Studio does not take this token; copy it again from Account & Settings: it may have been replaced, or tokens of its "
    "kind may be switched off there"
)


@dataclass(frozen=True)
class Person:
    """Somebody whom Label Studio knows.

    Args:
        user: Label Studio's id.
        name: their e-mail address there.
        leads_all: whether they own the organization.
        leads: projects of ours of which they created a desk's project.
    """

    user: int
    name: str
    leads_all: bool
    leads: tuple[str, ...] = ()


class People:
    """Asks Label Studio whose a token is. Keeps no token.

    Args:
        url: of Label Studio; a token is sent nowhere else, redirects are not followed.
        projects: ours.
        transport: for tests.
    """

    def __init__(self, url: str, projects: Projects, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url = url.rstrip("/")
        self._projects = projects
        self._transport = transport
        self._under_way = 0

    async def find(self, token: str) -> Person:
        """The person of a token, if Label Studio shows them one of our desks, or they own the organization.

        Raises:
            AccessError: no token, one that Label Studio does not take, or somebody who sees none of our desks (403).
            UnavailableError: Label Studio does not answer, or too many people sign in just now.
        """
        if not token or len(token) > TOKEN_CHARACTERS or not (token.isascii() and token.isprintable()) or " " in token:
            raise AccessError("that is no access token; copy one from Label Studio, Account & Settings")
        if self._under_way >= AT_ONCE:
            raise UnavailableError("too many people sign in just now; try again in a few seconds")
        self._under_way += 1
        try:
            async with asyncio.timeout(IN_ALL_SECONDS):
                return await self._find(token)
        except AccessError as problem:
            if problem.status == AccessError.status:
                raise AccessError(NOT_TAKEN) from None
            raise
        except (TimeoutError, httpx.HTTPError, PalError, KeyError, ValueError, TypeError) as problem:
            log.warning("nobody can sign in with a token: %s while asking %s", type(problem).__name__, self._url)
            raise UnavailableError(
                "Label Studio does not answer as expected; try again, or sign in with the team's password"
            ) from None
        finally:
            self._under_way -= 1

    async def _find(self, token: str) -> Person:
        desks = await asyncio.to_thread(self._desks)
        transport = self._transport or httpx.AsyncHTTPTransport(verify=not self._url.startswith("http://"))
        async with httpx.AsyncClient(
            base_url=self._url, auth=TokenAuth(self._url, token), transport=transport, timeout=SECONDS
        ) as http:
            me = _mapping(await _ask(http, "/api/current-user/whoami"))
            user, organization = _number(me, "id"), me.get("active_organization")
            owner = False
            if isinstance(organization, int):
                about = _mapping(await _ask(http, f"/api/organizations/{organization:d}"))
                owner = about.get("created_by") == user
            created, seen = await _projects(http, sorted(desks), user)
        if not (owner or seen):
            raise AccessError(
                "Label Studio knows you, but shows you none of the projects that PAL asks in; "
                "let somebody add you there, or sign in with the team's password",
                status=403,
            )
        leads = sorted({desks[number] for number in created})
        return Person(user, str(me.get("email", ""))[:200], owner, tuple(leads))

    def _desks(self) -> dict[int, str]:
        """Label Studio's projects in which we ask, by number, and our project of each."""
        found: dict[int, str] = {}
        for name in self._projects.names():
            try:
                desks = self._projects.get(name).desks
            except PalError:
                continue
            found |= {
                desk.project_id: name
                for desk in desks
                if not desk.retired and (desk.label_studio_url or self._url).rstrip("/") == self._url
            }
        return found


async def _projects(http: httpx.AsyncClient, numbers: list[int], user: int) -> tuple[set[int], bool]:
    """Those of the projects that the user created, and whether they see any of them."""
    created: set[int] = set()
    seen = False
    for start in range(0, len(numbers), LISTED):
        wanted = set(numbers[start : start + LISTED])
        query = {"ids": ",".join(map(str, wanted)), "include": "id,created_by", "page_size": str(LISTED)}
        for found in _mapping(await _ask(http, "/api/projects", query)).get("results", []):
            number = _number(_mapping(found), "id")
            if number in wanted:
                seen = True
                maker = found.get("created_by")
                if isinstance(maker, Mapping) and maker.get("id") == user:
                    created.add(number)
    return created, seen


async def _ask(http: httpx.AsyncClient, path: str, query: Mapping[str, str] | None = None) -> Any:
    """The JSON of one answer.

    Raises:
        AccessError: Label Studio does not take the token.
        UnavailableError: it answers with anything else but what was asked for.
        InputError: its answer is no JSON, or too large.
    """
    async with http.stream("GET", path, params=query) as response:
        if response.status_code in (401, 403):
            raise AccessError(NOT_TAKEN)
        if response.status_code != httpx.codes.OK:
            raise UnavailableError(f"Label Studio answers {response.status_code}")
        content = b""
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > ANSWER_BYTES:
                raise InputError("Label Studio sent too much")
    try:
        return json.loads(content)
    except ValueError:
        raise InputError("Label Studio sent no JSON") from None


def _mapping(found: Any) -> Mapping[str, Any]:
    if not isinstance(found, Mapping):
        raise InputError("Label Studio sent no object")
    return found


def _number(found: Mapping[str, Any], name: str) -> int:
    number = found.get(name)
    if not isinstance(number, int) or isinstance(number, bool):
        raise InputError(f"Label Studio sent no {name}")
    return number
