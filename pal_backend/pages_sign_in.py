"""The page on which people sign in, and the way in with a Label Studio access token."""

import logging
from typing import Annotated
from urllib.parse import urlsplit

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from pal_backend.door import Door
from pal_backend.errors import AccessError, PalError, UnavailableError
from pal_backend.gate import Gate
from pal_backend.label_studio_people import People
from pal_backend.pages_parts import PRIVATE, Pages, form_of

log = logging.getLogger(__name__)


def token_routes(routes: APIRouter, pages: Pages, door: Door, gate: Gate, people: People) -> None:
    """The only requests in which the web process asks Label Studio anything; they hold no thread while they wait."""
    body = Annotated[bytes, Depends(gate.body)]

    @routes.post("/login/token")
    async def enter(request: Request, content: body) -> Response:
        form = form_of(content)
        try:
            client = await to_thread.run_sync(door.knock_with_token, request)
            person = await people.find(form.get("access", "").strip())
            cookie = await to_thread.run_sync(door.admit, person, client)
        except (AccessError, UnavailableError) as problem:
            return login_page(pages, door, form.get("next", ""), problem)
        log.info("Label Studio's user %d signed in as %s", person.user, "lead" if person.leads_all else "viewer")
        response = RedirectResponse(inside(form.get("next", "")), 303, PRIVATE)
        door.remember(response, cookie)
        return response


def login_page(pages: Pages, door: Door, goal: str, problem: PalError | None = None) -> Response:
    """Where one signs in, with what went wrong."""
    return pages.render(
        "login.html",
        None,
        status=200 if problem is None else problem.status,
        next=inside(goal),
        problem="" if problem is None else str(problem),
        is_open=door.is_open,
        by_token=door.by_token,
    )


def inside(path: str) -> str:
    """A path of ours to go on to, never another host."""
    parts = urlsplit(path)
    plain = path.isascii() and path.isprintable() and "\\" not in path and not path.startswith("//")
    ours = not parts.scheme and not parts.netloc and parts.path.startswith("/projects")
    return path if plain and ours else "/projects"
