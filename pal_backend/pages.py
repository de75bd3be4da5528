"""Routes of the pages a team sees. Each asks the door, makes one view, and renders a template."""

import hashlib
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import parse_qs, quote, urlsplit

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pal_backend.core.quality import percent
from pal_backend.core.vocabulary import Medium, SampleId
from pal_backend.door import TOKEN_FIELD, Door, Visitor
from pal_backend.errors import AccessError, NotFoundError, PalError
from pal_backend.gate import Gate
from pal_backend.live import changes, short
from pal_backend.media import MediaFiles, Picture
from pal_backend.page_views import PageViews
from pal_backend.pool_index import local_root
from pal_backend.text_cards import STYLE_HASH, TextCards
from pal_backend.thumbnails import Thumbnails

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
MEDIA_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PRIVATE = {**SECURITY_HEADERS, "Cache-Control": "no-store"}
FOR_EVER = {**SECURITY_HEADERS, "Cache-Control": "private, max-age=31536000, immutable"}
"""Of what is named by its content: samples and static files."""
Page = Annotated[int, Query(ge=1, le=1_000_000)]


@dataclass(frozen=True)
class Static:
    """The files of ``static/``, read once."""

    files: Mapping[str, bytes]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read them."""
        return cls({path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in MEDIA_TYPES})

    def url(self, name: str) -> str:
        """Its address, which changes with its content."""
        return f"/static/{name}?v={hashlib.sha256(self.files[name]).hexdigest()[:12]}"


class PageRoute(APIRoute):
    """A route whose errors are pages for people: whoever has not signed in is sent to sign in."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with our errors answered as HTML."""
        handle = super().get_route_handler()

        async def handle_for_people(request: Request) -> Response:
            try:
                return await handle(request)
            except AccessError as problem:
                if problem.status != AccessError.status or request.url.path == "/login":
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


class Pages:
    """Renders templates."""

    def __init__(
        self, static: Static, words: Callable[[str, SampleId, str], str] = lambda project, sample, alt: alt
    ) -> None:
        self.static = static
        self._environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals["static"] = static.url
        self._environment.globals["words"] = words
        self._environment.filters["moment"] = _moment
        self._environment.filters["percent"] = lambda share: f"{percent(share)} %"

    def render(self, template: str, visitor: Visitor | None, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A page."""
        text = self._environment.get_template(template).render(visitor=visitor, **values)
        return HTMLResponse(text, status, PRIVATE)


def page_routes(views: PageViews, door: Door, gate: Gate, files: MediaFiles, closing: Callable[[], bool]) -> APIRouter:
    """All pages.

    Args:
        views: what they show.
        door: who may see them.
        gate: reads the bodies of forms.
        files: pictures of the pools.
        closing: whether the server is about to end; live pages are then let go.
    """
    cards = TextCards(views.stores.artefacts, views.clock)
    pages = Pages(Static.load(HERE / "static"), _words(views, cards))
    routes = APIRouter(route_class=PageRoute, dependencies=[Depends(_remember(pages))])
    _way_in(routes, pages, door, gate)
    _reading(routes, pages, views, door)
    _acting(routes, views, door, gate)
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
        return pages.render("login.html", None, next=_inside(next), problem="", is_open=door.is_open)

    @routes.post("/login")
    def enter(request: Request, content: body) -> Response:
        form = _form(content)
        goal = _inside(form.get("next", ""))
        try:
            role, cookie = door.enter(request, form.get("password", ""))
        except AccessError as problem:
            return pages.render(
                "login.html", None, status=problem.status, next=goal, problem=str(problem), is_open=door.is_open
            )
        log.info("somebody signed in as %s", role)
        response = RedirectResponse(goal, 303, PRIVATE)
        door.remember(response, cookie)
        return response

    @routes.post("/logout")
    def leave(request: Request, content: body) -> Response:
        door.act(request, _form(content).get(TOKEN_FIELD, ""))
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
        return pages.render("questions.html", visitor, stamp=stamp, questions=views.questions(project), project=project)


def _acting(routes: APIRouter, views: PageViews, door: Door, gate: Gate) -> None:
    body = Annotated[bytes, Depends(gate.body)]

    @routes.post("/projects/{project}/groups/{group}/name")
    def name(request: Request, project: str, group: str, content: body) -> Response:
        form = _form(content)
        door.lead(request, form.get(TOKEN_FIELD, ""))
        views.name_group(project, group, form.get("name", ""))
        return RedirectResponse(f"/projects/{quote(project)}/groups/{quote(group)}", 303, PRIVATE)

    @routes.post("/projects/{project}/examine")
    def examine(request: Request, project: str, content: body) -> Response:
        door.lead(request, _form(content).get(TOKEN_FIELD, ""))
        views.examine(project)
        return RedirectResponse(f"/projects/{quote(project)}", 303, PRIVATE)


def _words(views: PageViews, cards: TextCards) -> Callable[[str, SampleId, str], str]:
    """What stands for a picture in words: of a text its beginning, where the page says anything at all."""

    def words(project: str, sample: SampleId, alt: str) -> str:
        if not alt or views.stores.projects.get(project).medium is not Medium.TEXT:
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
        return StreamingResponse(
            changes(lambda: views.stamp(project), closing),
            media_type="text/event-stream",
            headers={**PRIVATE, "X-Accel-Buffering": "no"},
        )


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


def _form(content: bytes) -> dict[str, str]:
    """The fields of a form, each once; what is no form has none."""
    try:
        fields = parse_qs(content.decode("utf-8", "replace"), max_num_fields=20, keep_blank_values=True)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


def _inside(path: str) -> str:
    """A path of ours to go on to, never another host."""
    parts = urlsplit(path)
    plain = path.isascii() and path.isprintable() and "\\" not in path and not path.startswith("//")
    ours = not parts.scheme and not parts.netloc and parts.path.startswith("/projects")
    return path if plain and ours else "/projects"


def _moment(at: float) -> str:
    """A time for people, in UTC: the server does not know where they are."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
