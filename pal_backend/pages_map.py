"""Routes of the map: its page, and the numbers that a script draws on it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse

from pal_backend.door import Door, Visitor
from pal_backend.live import short
from pal_backend.page_views import PageViews
from pal_backend.pages_parts import FOR_EVER, PRIVATE, Pages
from pal_backend.views_map import MapViews

NUMBERS = "application/octet-stream"


def map_routes(routes: APIRouter, pages: Pages, views: PageViews, door: Door) -> None:
    """The page, places of samples (for ever the same), their groups (of one revision), and one sample."""
    seen = Annotated[Visitor, Depends(door.visitor)]
    signed_in = [Depends(door.visitor)]
    maps = MapViews(views)

    @routes.get("/projects/{project}/map")
    def page(visitor: seen, project: str) -> Response:
        stamp = short(views.stamp(project))
        return pages.render("map.html", visitor, stamp=stamp, view=maps.page(project), project=project)

    @routes.get("/projects/{project}/map/{version}/places", dependencies=signed_in)
    def places(project: str, version: str) -> Response:
        return Response(maps.places(project, version), media_type=NUMBERS, headers=FOR_EVER)

    @routes.get("/projects/{project}/map/{version}/groups", dependencies=signed_in)
    def groups(project: str, version: str, revision: int = 0) -> Response:
        number, content = maps.groups(project, version)
        # One that was published since the page was made is right, but must not be kept under the old number.
        return Response(content, media_type=NUMBERS, headers=FOR_EVER if number == revision else PRIVATE)

    @routes.get("/projects/{project}/map/{version}/samples/{at}", dependencies=signed_in)
    def sample(project: str, version: str, at: int) -> Response:
        return JSONResponse(maps.sample(project, version, at), headers=PRIVATE)
