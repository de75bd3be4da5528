"""Routes of the pages on which a lead looks closer and decides: a sample, the review, merging, splitting, undoing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qs, quote

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from pal_backend.core.vocabulary import Pair, SampleId, Verdict
from pal_backend.deciding import MOST_SAMPLES
from pal_backend.door import TOKEN_FIELD, Door, Visitor
from pal_backend.errors import InputError
from pal_backend.gate import Gate
from pal_backend.live import short
from pal_backend.page_views import PageViews
from pal_backend.pages_parts import PRIVATE, Pages
from pal_backend.views_review import ReviewViews

Form = Mapping[str, Sequence[str]]
Page = Annotated[int, Query(ge=1, le=1_000_000)]
Chosen = TypeVar("Chosen")


def review_routes(routes: APIRouter, pages: Pages, views: PageViews, door: Door, gate: Gate) -> None:
    """The pages for everybody; deciding and undoing for leads."""
    reviews = ReviewViews(views.stores, views.queues, views.house.settings.label_studio_url, views.clock)
    _looking(routes, pages, views, reviews, door)
    _deciding(routes, reviews, door, gate)


def _looking(routes: APIRouter, pages: Pages, views: PageViews, reviews: ReviewViews, door: Door) -> None:
    seen = Annotated[Visitor, Depends(door.visitor)]

    def show(template: str, visitor: Visitor, project: str, make: Callable[[], Any]) -> Response:
        now = short(views.stamp(project))
        return pages.render(template, visitor, stamp=now, view=make(), project=project)

    @routes.get("/projects/{project}/samples/{sample}")
    def sample(visitor: seen, project: str, sample: SampleId) -> Response:
        return show("sample.html", visitor, project, lambda: reviews.sample(project, sample))

    @routes.get("/projects/{project}/review")
    def review(visitor: seen, project: str, page: Page = 1) -> Response:
        return show("review.html", visitor, project, lambda: reviews.review(project, page))


def _deciding(routes: APIRouter, views: ReviewViews, door: Door, gate: Gate) -> None:
    body = Annotated[bytes, Depends(gate.body)]

    def acting(request: Request, content: bytes) -> Form:
        form = _form(content)
        door.lead(request, _one(form, TOKEN_FIELD))
        return form

    def back(project: str, page: str) -> Response:
        return RedirectResponse(f"/projects/{quote(project)}/{page}", 303, PRIVATE)

    @routes.post("/projects/{project}/merge")
    def merge(request: Request, project: str, content: body) -> Response:
        form = acting(request, content)
        views.deciding.merge(project, form.get("group", ()))
        return back(project, "groups")

    @routes.post("/projects/{project}/groups/{group}/split")
    def split(request: Request, project: str, group: str, content: body) -> Response:
        form = acting(request, content)
        together = _choice(form, {"split": True, "remove": False})
        views.deciding.split(project, group, form.get("sample", ()), together=together)
        return back(project, "groups")

    @routes.post("/projects/{project}/pairs")
    def settle(request: Request, project: str, content: body) -> Response:
        form = acting(request, content)
        first, second = _one(form, "first"), _one(form, "second")
        if first == second:
            raise InputError("a pair of two different samples was expected; load the page again")
        act = _choice(form, {name: name for name in ("same", "different", "ask", "part")})
        if act == "ask":
            views.deciding.ask(project, first, second)
        elif act == "part":
            views.part(project, Pair.of(first, second))
        else:
            views.deciding.settle(project, first, second, Verdict(act))
        origin = _one(form, "back")
        return back(project, f"samples/{first}" if origin == "sample" else "review")

    @routes.post("/projects/{project}/decisions/{number}/undo")
    def undo(request: Request, project: str, number: int, content: body) -> Response:
        acting(request, content)
        views.deciding.undo(project, number)
        return back(project, "groups")


def _form(content: bytes) -> Form:
    """The fields of a form with all their values; what is no form has none."""
    try:
        return parse_qs(content.decode("utf-8", "replace"), max_num_fields=MOST_SAMPLES + 20, keep_blank_values=True)
    except ValueError:
        return {}


def _one(form: Form, name: str) -> str:
    return next(iter(form.get(name, ())), "")


def _choice(form: Form, known: Mapping[str, Chosen]) -> Chosen:
    act = _one(form, "act")
    if act not in known:
        raise InputError(f"{act!r:.20} is nothing to be done here; expected {', '.join(known)}; load the page again")
    return known[act]
