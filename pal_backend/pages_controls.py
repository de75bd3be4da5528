"""Routes by which a lead pauses questions, and has them chosen, or learned from, in another way."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from pal_backend.controls import Controls, Wishes
from pal_backend.door import TOKEN_FIELD, Door
from pal_backend.errors import InputError
from pal_backend.gate import Gate
from pal_backend.page_views import PageViews
from pal_backend.pages_parts import PRIVATE, form_of

BY = "a lead"
"""Who chose a recipe here, as the status says it: a lead has no name."""


def control_routes(routes: APIRouter, views: PageViews, door: Door, gate: Gate) -> None:
    """Acts of a lead on the page of questions; each goes back to it."""
    body = Annotated[bytes, Depends(gate.body)]
    controls = Controls(views.stores, views.queues, views.operator, views.clock)

    def back(project: str) -> Response:
        return RedirectResponse(f"/projects/{quote(project)}/questions", 303, PRIVATE)

    @routes.post("/projects/{project}/pause")
    def pause(request: Request, project: str, content: body) -> Response:
        door.lead(request, form_of(content).get(TOKEN_FIELD, ""))
        controls.pause(project)
        return back(project)

    @routes.post("/projects/{project}/resume")
    def resume(request: Request, project: str, content: body) -> Response:
        door.lead(request, form_of(content).get(TOKEN_FIELD, ""))
        controls.resume(project)
        return back(project)

    @routes.post("/projects/{project}/asking")
    def asking(request: Request, project: str, content: body) -> Response:
        form = form_of(content)
        door.lead(request, form.get(TOKEN_FIELD, ""))
        wishes = Wishes(form.get("strategy"), form.get("recipe"), _number(form.get("queue")))
        controls.change(project, wishes, BY)
        return back(project)


def _number(text: str | None) -> int | None:
    """The number in a field; an empty field is 0, one that was not sent None.

    Raises:
        InputError: it holds no whole number.
    """
    if text is None:
        return None
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10) and text:
        raise InputError(f"{text!r:.40} open questions; expected a whole number; give one, or leave the field empty")
    return int(text or 0)
