"""The page of exports: who sees it, what a lead may do there, and what goes out."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer

from pal_backend.choosing import Operator
from pal_backend.exports.kinds import KINDS, LABEL_STUDIO
from pal_backend.exports.making import make_and_keep
from pal_backend.exports.snapshot import Snapshot
from pal_backend.queues import Queues
from pal_backend.settings import Settings
from pal_backend.store.exports import Export
from pal_backend.store.stores import Stores
from tests.test_pages import entered, token_of
from tests.web_side import NOW, PROJECT, WebSide

EXPORT = f"/projects/{PROJECT}/export"


@pytest.fixture
def web(settings: Settings, stores: Stores, tmp_path: Path) -> WebSide:
    """The web side with a pool, a model version, and a revision of two groups."""
    side = WebSide(settings, stores, tmp_path / "pool")
    side.version()
    side.fill_pool()
    side.revision([0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    return side


def made(web: WebSide, kind: str = "csv") -> Export:
    """A worker makes one kind."""
    return make_and_keep(Snapshot.of(web.stores, PROJECT, Operator(), now=NOW), kind)


def test_nobody_sees_or_takes_anything_without_signing_in(web: WebSide) -> None:
    """Page, stream and files lead to the form."""
    made(web)
    for path in (EXPORT, f"{EXPORT}/changes", f"{EXPORT}/csv"):
        answer = web.client.get(path, follow_redirects=False)
        assert answer.status_code == 303 and answer.headers["location"].startswith("/login")
    assert web.client.post(f"{EXPORT}/csv", follow_redirects=False).headers["location"].startswith("/login")


def test_a_viewer_looks_and_takes_nothing(web: WebSide) -> None:
    """What was made is shown, without buttons; files and acts are refused."""
    export = made(web)
    viewer = entered(web, "viewer")
    page = viewer.get(EXPORT).text
    assert export.holds in page and "<button>Push" not in page and "download>" not in page
    assert viewer.get(f"{EXPORT}/csv").status_code == 403
    for path in ("csv", "label-studio"):
        assert viewer.post(f"{EXPORT}/{path}", data={"token": token_of(viewer)}).status_code == 403
    assert Queues(web.settings.redis_url).jobs() == []


def test_a_lead_asks_for_each_kind_once(web: WebSide) -> None:
    """One job of each kind, however often the button is pressed; without the form's token nothing happens."""
    lead = entered(web, "lead")
    page = lead.get(EXPORT).text
    assert all(f'id="make-{kind.name}"' in page for kind in KINDS)
    for _ in range(2):
        assert lead.post(f"{EXPORT}/card", data={"token": token_of(lead)}).status_code == 200
    assert lead.post(f"{EXPORT}/card").status_code == 403
    assert lead.post(f"{EXPORT}/nothing", data={"token": token_of(lead)}).status_code == 400
    assert [(job.kind, job.id) for job in Queues(web.settings.redis_url).jobs()] == [
        ("export", f"export-{PROJECT}-card")
    ]
    assert "Waits for a worker" in lead.get(EXPORT).text


def test_a_lead_takes_a_file_home(web: WebSide) -> None:
    """As an attachment under a plain name, kept by no cache, run by no browser."""
    export = made(web)
    lead = entered(web, "lead")
    answer = lead.get(f"{EXPORT}/csv")
    assert (
        answer.text.splitlines()[0] == "sample,path,group,name,confidence,answered"
        and len(answer.content) == export.size
    )
    assert answer.headers["content-disposition"] == f'attachment; filename="{PROJECT}-v0000-r1-groups.csv"'
    assert answer.headers["cache-control"] == "no-store" and "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert lead.get(f"{EXPORT}/model").status_code == 404
    assert lead.get(f"{EXPORT}/..%2f..%2fsecrets.json").status_code in (400, 404)


def test_a_name_out_of_redis_says_nothing_to_a_browser(web: WebSide) -> None:
    """Neither a header more, nor a link that runs."""
    bad = Export("csv", 'a"\r\nSet-Cookie: x=1;.html', 3, "<b>", "v0", NOW)
    web.stores.exports(PROJECT).put(bad, b"abc")
    web.stores.exports(PROJECT).put(Export(LABEL_STUDIO, "", 0, "<i>", "v0", NOW, "javascript:alert(1)", ("<u>",)))
    lead = entered(web, "lead")
    answer = lead.get(f"{EXPORT}/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="a-Set-Cookie-x-1-.html"'
    assert "set-cookie" not in answer.headers
    page = lead.get(EXPORT).text
    assert "javascript:" not in page and "&lt;i&gt;" in page and "&lt;u&gt;" in page.lower() and "<b>" not in page


def test_a_push_asks_for_a_number_or_nothing(web: WebSide) -> None:
    """Anything else is told; one push at a time."""
    lead = entered(web, "lead")
    for target in ("abc", "-1", "1e9", "99999999999"):
        assert lead.post(f"{EXPORT}/label-studio", data={"token": token_of(lead), "target": target}).status_code == 400
    for target in ("", " 12 "):
        answer = lead.post(f"{EXPORT}/label-studio", data={"token": token_of(lead), "target": target})
        assert answer.status_code == 200
    [job] = Queues(web.settings.redis_url).jobs()
    assert (job.kind, job.id) == ("push", f"push-{PROJECT}")


def test_progress_failure_and_what_is_behind_are_shown(web: WebSide) -> None:
    """And the stamp that the stream tells changes with each of them."""
    made(web)
    lead = entered(web, "lead")
    queues = Queues(web.settings.redis_url)
    stamps = {_stamp(lead.get(EXPORT).text)}
    with Redis.from_url(web.settings.redis_url) as redis:
        job = Job.fetch(queues.push(PROJECT, None), connection=redis, serializer=JSONSerializer)
        job.meta.update({"doing": "writing predictions", "done": 30, "of": 120})
        job.save_meta()
        job.set_status("started")
    page = lead.get(EXPORT).text
    assert "Writing predictions · 25 %" in page and 'aria-label="predictions: 25 %"' in page
    stamps.add(_stamp(page))
    web.revision([0] * 6 + [1] * 6)
    page = lead.get(EXPORT).text
    assert f"{PROJECT} as it is now: v0000-r2" in page and '<span class="chip">v0000-r1</span>' in page
    stamps.add(_stamp(page))
    made(web)
    page = lead.get(EXPORT).text
    assert '<span class="chip good">v0000-r2</span>' in page
    stamps.add(_stamp(page))
    assert len(stamps) == 4


def _stamp(page: str) -> str:
    return page.partition('data-stamp="')[2][:16]
