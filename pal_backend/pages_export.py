"""Routes of the page of exports: the page, what is made, and the files to take home."""

import re
from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from pal_backend.door import TOKEN_FIELD, Door, Visitor
from pal_backend.errors import AccessError
from pal_backend.gate import Gate
from pal_backend.live import short
from pal_backend.page_views import PageViews
from pal_backend.pages_parts import PRIVATE, Pages, form_of, stream
from pal_backend.views_export import ExportViews

TYPES = {"csv": "text/csv; charset=utf-8", "html": "text/html; charset=utf-8", "zip": "application/zip"}
TO_TAKE = {
    **PRIVATE,
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox",
}
"""Whatever stands in a file, it is saved and never run here."""
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")


def export_routes(
    routes: APIRouter, pages: Pages, views: PageViews, door: Door, gate: Gate, *, closing: Callable[[], bool]
) -> None:
    """The page and its stream for everybody; making, pushing and taking home for leads."""
    seen = Annotated[Visitor, Depends(door.visitor)]
    body = Annotated[bytes, Depends(gate.body)]
    exports = ExportViews(views)

    @routes.get("/projects/{project}/export")
    def page(visitor: seen, project: str) -> Response:
        stamp = short(exports.stamp(project))
        return pages.render("export.html", visitor, stamp=stamp, view=exports.page(project), project=project)

    @routes.get("/projects/{project}/export/changes", dependencies=[Depends(door.visitor)])
    def live(project: str) -> Response:
        exports.stamp(project)
        return stream(lambda: exports.stamp(project), closing)

    @routes.post("/projects/{project}/export/label-studio")
    def push(request: Request, project: str, content: body) -> Response:
        form = form_of(content)
        door.lead(request, form.get(TOKEN_FIELD, ""))
        exports.push(project, form.get("target", ""))
        return _back(project)

    @routes.post("/projects/{project}/export/{kind}")
    def make(request: Request, project: str, kind: str, content: body) -> Response:
        door.lead(request, form_of(content).get(TOKEN_FIELD, ""))
        exports.ask(project, kind)
        return _back(project)

    @routes.get("/projects/{project}/export/{kind}")
    def take(visitor: seen, project: str, kind: str) -> Response:
        if not visitor.leads:
            raise AccessError("viewers take nothing home; sign in with the lead's password", status=403)
        found, pieces = exports.read(project, kind)
        name = _UNSAFE.sub("-", found.file).strip(".-") or "export"
        headers = {
            **TO_TAKE,
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Length": str(found.size),
        }
        media = TYPES.get(name.rpartition(".")[2], "application/octet-stream")
        return StreamingResponse(pieces, media_type=media, headers=headers)


def _back(project: str) -> Response:
    return RedirectResponse(f"/projects/{quote(project)}/export", 303, PRIVATE)
