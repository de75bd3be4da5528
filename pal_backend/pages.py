"""Routes of the pages a team sees. Each asks the door, makes one view, and renders a template."""

import logging
from collections.abc import Callable, Coroutine
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute

from pal_backend.core.asking import names
from pal_backend.core.vocabulary import Medium, SampleId
from pal_backend.door import TOKEN_FIELD, Door, Visitor
from pal_backend.errors import AccessError, NotFoundError, PalError
from pal_backend.gate import Gate
from pal_backend.label_studio_people import People
from pal_backend.live import short
from pal_backend.media import MediaFiles, Picture
from pal_backend.page_views import PageViews
from pal_backend.pages_controls import control_routes
from pal_backend.pages_export import export_routes
from pal_backend.pages_map import map_routes
from pal_backend.pages_parts import FOR_EVER, HERE, MEDIA_TYPES, PRIVATE, Pages, Static, form_of, stream
from pal_backend.pages_review import review_routes
from pal_backend.pages_sign_in import inside, login_page, token_routes
from pal_backend.pool_index import local_root
from pal_backend.text_cards import STYLE_HASH, TextCards
from pal_backend.thumbnails import Thumbnails
from pal_backend.views_controls import controls_view

log = logging.getLogger(__name__)

Page = Annotated[int, Query(ge=1, le=1_000_000)]


class PageRoute(APIRoute):
    """A route whose errors are pages for people: whoever has not signed in is sent to sign in."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with our errors answered as HTML."""
        handle = super().get_route_handler()

        async def handle_for_people(request: Request) -> Response:
            try:
                return await handle(request)
            except AccessError as problem:
                if problem.status != AccessError.status or request.url.path.startswith("/login"):
                    return _problem_page(request, str(problem), problem.status)
                goal = quote(request.url.path) if request.method == "GET" else "/projects"
                return RedirectResponse(f"/login?next={goal}", 303, PRIVATE)
            except PalError as problem:
                if problem.status >= 500:
                    log.error("%s answers %d: %s", request.url.path, problem.status, problem)
                return _problem_page(request, str(problem), problem.status)
            except RequestValidationError:
                return _problem_page(
                    request, "this address has a part that cannot be read; go back to the projects", 400
                )

        return handle_for_people


def page_routes(
    views: PageViews, door: Door, gate: Gate, files: MediaFiles, people: People, *, closing: Callable[[], bool]
) -> APIRouter:
    """All pages.

    Args:
        views: what they show.
        door: who may see them.
        gate: reads the bodies of forms.
        files: pictures of the pools.
        people: tells whose a Label Studio token is.
        closing: whether the server is about to end; live pages are then let go.
    """
    cards = TextCards(views.stores.artefacts, views.clock)
    pages = Pages(Static.load(HERE / "static"), _words(views, cards))
    routes = APIRouter(route_class=PageRoute, dependencies=[Depends(_remember(pages))])
    _way_in(routes, pages, door, gate)
    token_routes(routes, pages, door, gate, people)
    _reading(routes, pages, views, door)
    _acting(routes, views, door, gate)
    control_routes(routes, views, door, gate)
    map_routes(routes, pages, views, door)
    review_routes(routes, pages, views, door, gate)
    export_routes(routes, pages, views, door, gate, closing=closing)
    _pictures(routes, views, door, files, cards)
    _streams(routes, views, door, closing)
    return routes


def _way_in(routes: APIRouter, pages: Pages, door: Door, gate: Gate) -> None:
    body = Annotated[bytes, Depends(gate.body)]

    @routes.get("/")
    def root() -> Response:
        return RedirectResponse("/projects", 303, PRIVATE)

    @routes.get("/login")
    def login(next: str = "") -> Response:
        return login_page(pages, door, next)

    @routes.post("/login")
    def enter(request: Request, content: body) -> Response:
        form = form_of(content)
        try:
            role, cookie = door.enter(request, form.get("password", ""))
        except AccessError as problem:
            return login_page(pages, door, form.get("next", ""), problem)
        log.info("somebody signed in as %s", role)
        response = RedirectResponse(inside(form.get("next", "")), 303, PRIVATE)
        door.remember(response, cookie)
        return response

    @routes.post("/logout")
    def leave(request: Request, content: body) -> Response:
        door.act(request, form_of(content).get(TOKEN_FIELD, ""))
        response = RedirectResponse("/login", 303, PRIVATE)
        door.forget(response)
        return response

    @routes.get("/static/{name}")
    def static(name: str) -> Response:
        content = pages.static.files.get(name)
        if content is None:
            return Response(status_code=404, headers=PRIVATE)
        return Response(content, media_type=MEDIA_TYPES[Path(name).suffix], headers=FOR_EVER)


def _reading(routes: APIRouter, pages: Pages, views: PageViews, door: Door) -> None:
    seen = Annotated[Visitor, Depends(door.visitor)]
    strategies = names.known()  # once: looking through the installed packages takes longer than the page

    @routes.get("/projects")
    def projects(visitor: seen) -> Response:
        return pages.render("projects.html", visitor, cards=views.projects())

    @routes.get("/projects/{project}")
    def project(visitor: seen, project: str) -> Response:
        stamp = short(views.stamp(project))
        return pages.render("project.html", visitor, stamp=stamp, view=views.project(project), project=project)

    @routes.get("/projects/{project}/groups")
    def groups(visitor: seen, project: str, page: Page = 1) -> Response:
        stamp = short(views.stamp(project))
        return pages.render("groups.html", visitor, stamp=stamp, view=views.groups(project, page), project=project)

    @routes.get("/projects/{project}/groups/{group}")
    def gallery(visitor: seen, project: str, group: str, order: str = "typical", page: Page = 1) -> Response:
        stamp = short(views.stamp(project))
        view = views.gallery(project, group, order, page)
        return pages.render("group.html", visitor, stamp=stamp, view=view, project=project)

    @routes.get("/projects/{project}/questions")
    def questions(visitor: seen, project: str) -> Response:
        stamp = short(views.stamp(project))
        found, controls = views.questions(project), controls_view(views, project, strategies)
        return pages.render("questions.html", visitor, stamp=stamp, questions=found, controls=controls, project=project)


def _acting(routes: APIRouter, views: PageViews, door: Door, gate: Gate) -> None:
    body = Annotated[bytes, Depends(gate.body)]

    @routes.post("/projects/{project}/groups/{group}/name")
    def name(request: Request, project: str, group: str, content: body) -> Response:
        form = form_of(content)
        door.lead(request, form.get(TOKEN_FIELD, ""))
        views.name_group(project, group, form.get("name", ""))
        return RedirectResponse(f"/projects/{quote(project)}/groups/{quote(group)}", 303, PRIVATE)

    @routes.post("/projects/{project}/examine")
    def examine(request: Request, project: str, content: body) -> Response:
        door.lead(request, form_of(content).get(TOKEN_FIELD, ""))
        views.examine(project)
        return RedirectResponse(f"/projects/{quote(project)}", 303, PRIVATE)


def _words(views: PageViews, cards: TextCards) -> Callable[[str, SampleId, str], str]:
    """What stands for a picture in words: of a text its beginning, where the page says anything at all."""

    @cache  # a pool never becomes another kind, and a page asks for hundreds of pictures
    def medium(project: str) -> Medium:
        return views.stores.projects.get(project).medium

    def words(project: str, sample: SampleId, alt: str) -> str:
        if not alt or medium(project) is not Medium.TEXT:
            return alt
        try:
            return cards.excerpt(project, sample)
        except NotFoundError:
            return alt

    return words


def _pictures(routes: APIRouter, views: PageViews, door: Door, files: MediaFiles, cards: TextCards) -> None:
    signed_in = [Depends(door.visitor)]
    thumbnails = Thumbnails(files)

    def pool(project: str) -> Path | None:
        return local_root(views.stores.projects.get(project).pool)

    def is_text(project: str) -> bool:
        return views.stores.projects.get(project).medium is Medium.TEXT

    @routes.get("/projects/{project}/thumbs/{sample}", dependencies=signed_in)
    def thumb(project: str, sample: SampleId) -> Response:
        if is_text(project):
            return _picture(cards.card(project, sample))
        return _picture(thumbnails.get(project, pool(project), sample))

    @routes.get("/projects/{project}/pictures/{sample}", dependencies=signed_in)
    def picture(project: str, sample: SampleId) -> Response:
        if is_text(project):
            return _picture(cards.whole(project, sample))
        return _picture(files.read(project, pool(project), sample))


def _streams(routes: APIRouter, views: PageViews, door: Door, closing: Callable[[], bool]) -> None:
    @routes.get("/projects/{project}/changes", dependencies=[Depends(door.visitor)])
    def live(project: str) -> Response:
        views.stores.projects.get(project)
        return stream(lambda: views.stamp(project), closing)


def _picture(found: Picture) -> Response:
    styles = f"; style-src {STYLE_HASH}" if found.media_type == "image/svg+xml" else ""
    headers = {**FOR_EVER, "Content-Security-Policy": f"default-src 'none'{styles}"}
    return Response(found.content, media_type=found.media_type, headers=headers)


def _remember(pages: Pages) -> Callable[[Request], None]:
    """A dependency that leaves the renderer where :class:`PageRoute` finds it."""

    def remember(request: Request) -> None:
        request.state.pages = pages

    return remember


def _problem_page(request: Request, sentence: str, status: int) -> Response:
    pages: Pages | None = getattr(request.state, "pages", None)
    if pages is None:
        return Response(sentence, status, PRIVATE, "text/plain")
    return pages.render("problem.html", None, status=status, sentence=sentence, number=status)
