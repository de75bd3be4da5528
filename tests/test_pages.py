"""The team's pages: who comes in, what they show, what a lead may do."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from redis import Redis
from rq.job import Job
from rq.serializers import JSONSerializer
from starlette.testclient import TestClient

from pal_backend.core.paying import Effort, Person
from pal_backend.core.quality import Accuracy, Quality, StoppingVerdict
from pal_backend.core.vocabulary import (
    Annotation,
    AnnotationKey,
    Answer,
    Medium,
    Pair,
    Purpose,
    Question,
    QuestionKind,
    Verdict,
)
from pal_backend.door import COOKIE
from pal_backend.pool_index import load_samples
from pal_backend.pool_manifest import ManifestPool
from pal_backend.queues import Queues
from pal_backend.samples import ingest
from pal_backend.settings import Settings
from pal_backend.store.history import Point
from pal_backend.store.stores import Stores
from pal_backend.team import change_password
from tests.web_side import NOW, PROJECT, SAMPLES, WebSide

OVERVIEW, GROUPS, QUESTIONS = (f"/projects/{PROJECT}{place}" for place in ("", "/groups", "/questions"))
GROUP = f"{GROUPS}/{SAMPLES[0]}"
GUARDED = [
    "/projects",
    OVERVIEW,
    GROUPS,
    GROUP,
    QUESTIONS,
    f"{OVERVIEW}/changes",
    f"{OVERVIEW}/thumbs/{SAMPLES[0]}",
    f"{OVERVIEW}/pictures/{SAMPLES[0]}",
]


@pytest.fixture
def web(settings: Settings, stores: Stores, tmp_path: Path) -> WebSide:
    """The web side with a pool, a model version, and a revision of two groups: seven samples and five."""
    side = WebSide(settings, stores, tmp_path / "pool")
    side.version()
    side.fill_pool()
    side.revision([0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    return side


def entered(web: WebSide, role: str) -> TestClient:
    """A browser that has signed in."""
    password = change_password(web.settings, role)
    client = web.client
    answer = client.post("/login", data={"password": password or ""}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/projects")
    return client


def token_of(client: TestClient, path: str = "/projects") -> str:
    """The token that this visitor's forms carry."""
    [token] = set(re.findall(r'name="token" value="([0-9a-f]+)"', client.get(path).text))
    return str(token)


# ---- the way in ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", GUARDED)
def test_nobody_sees_anything_without_signing_in(web: WebSide, path: str) -> None:
    """Whoever has not signed in is sent to do so, and back again afterwards; nothing of a project is told."""
    answer = web.client.get(path, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/login?next={path}")
    assert not answer.content


def test_an_act_without_signing_in_is_not_gone_on_to(web: WebSide) -> None:
    """A form's address is no page: after signing in one begins at the projects."""
    answer = web.client.post(f"{GROUP}/name", data={"name": "x"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/projects")
    assert web.stores.names(PROJECT).all() == {}


def test_before_there_is_a_password_nobody_comes_in(web: WebSide) -> None:
    """A new installation is closed, and the page says which command opens it; an empty password is no way in."""
    assert "pal password" in web.client.get("/login").text
    for password in ("", "closed", "pal"):
        assert web.client.post("/login", data={"password": password}).status_code == 401


@pytest.mark.parametrize("role", ["lead", "viewer"])
def test_a_password_opens_its_role(web: WebSide, role: str) -> None:
    """The cookie is not for scripts nor for other sites, and pages say as whom one is there."""
    client = entered(web, role)
    assert f'<span class="chip">{role}</span>' in client.get("/projects").text
    answer = client.post("/login", data={"password": change_password(web.settings, role)}, follow_redirects=False)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "secure" not in cookie


def test_over_https_the_cookie_is_never_sent_without_it(settings: Settings, stores: Stores, tmp_path: Path) -> None:
    """Where browsers come over https the cookie is Secure."""
    public = Settings(home=settings.home, redis_url=settings.redis_url, public_url="https://pal.example.com")
    web = WebSide(public, stores, tmp_path / "pool")
    password = change_password(public, "lead")
    answer = web.client.post("/login", data={"password": password or ""}, follow_redirects=False)
    assert "secure" in answer.headers["set-cookie"].lower()


def test_a_new_password_ends_the_sessions_of_the_old_one(web: WebSide) -> None:
    """At once, without a restart; and sessions of the other role go on."""
    lead, viewer = entered(web, "lead"), entered(web, "viewer")
    change_password(web.settings, "lead")
    assert lead.get(OVERVIEW, follow_redirects=False).status_code == 303
    assert viewer.get(OVERVIEW, follow_redirects=False).status_code == 200
    change_password(web.settings, "viewer", remove=True)
    assert viewer.get(OVERVIEW, follow_redirects=False).status_code == 303


def test_passwords_are_kept_as_hashes(web: WebSide) -> None:
    """Who reads secrets.json has no password by it."""
    password = change_password(web.settings, "lead")
    text = (web.settings.home / "secrets.json").read_text()
    assert password and password not in text
    assert "scrypt$" in text


@pytest.mark.parametrize("cookie", ["", "x", "a.b.c", "e30.Zg.AAAA", "\x7f" * 50])
def test_a_forged_cookie_opens_nothing(web: WebSide, cookie: str) -> None:
    """Only what we sealed counts."""
    change_password(web.settings, "lead")
    client = web.client
    assert client.get(OVERVIEW, headers={"Cookie": f"{COOKIE}={cookie}"}, follow_redirects=False).status_code == 303


def test_guessing_is_stopped(web: WebSide) -> None:
    """After ten wrong passwords within a minute even the right one waits."""
    password = change_password(web.settings, "lead")
    client = web.client
    answers = [client.post("/login", data={"password": f"guess {number}"}).status_code for number in range(10)]
    assert set(answers) == {401}
    late = client.post("/login", data={"password": password or ""}, follow_redirects=False)
    assert late.status_code == 429 and "wait a minute" in late.text


@pytest.mark.parametrize(
    "goal", ["https://evil.example", "//evil.example", "/\\evil.example", "/projects\r\nX: y", "/login", "javascript:1"]
)
def test_signing_in_never_leads_elsewhere(web: WebSide, goal: str) -> None:
    """Only pages of ours are gone on to."""
    password = change_password(web.settings, "lead")
    form = {"password": password or "", "next": goal}
    assert web.client.post("/login", data=form, follow_redirects=False).headers["location"] == "/projects"


def test_signing_out_takes_the_cookie_away(web: WebSide) -> None:
    """Only by the form: a link or another site's form signs nobody out."""
    client = entered(web, "viewer")
    assert client.post("/logout", data={"token": "0"}).status_code == 403
    client.post("/logout", data={"token": token_of(client)})
    assert client.get(OVERVIEW, follow_redirects=False).status_code == 303


def test_every_page_has_the_strict_headers(web: WebSide) -> None:
    """No inline script or style, nothing from elsewhere, no frame around it, kept by no cache."""
    client = entered(web, "lead")
    for path in ["/projects", OVERVIEW, GROUPS, GROUP, QUESTIONS, "/login", f"{OVERVIEW}/nothing", f"{GROUPS}/unknown"]:
        answer = client.get(path)
        if answer.headers["content-type"].startswith("text/html"):
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
            assert answer.headers["cache-control"] == "no-store"
            assert not re.search(r"<script(?![^>]* src=)|<style| style=| on[a-z]+=", answer.text), path
            assert not re.search(r'(?:src|href)="(?:https?:)?//(?!127\.0\.0\.1)', answer.text), path


# ---- what they show ------------------------------------------------------------------------------------------------------


def test_the_overview_shows_what_the_status_says(web: WebSide) -> None:
    """Groups, desks, workers that are missing with what mends it."""
    page = entered(web, "viewer").get(OVERVIEW).text
    status = web.service.status(PROJECT)
    assert re.search(rf'data-number="groups">{status.groups}<', page)
    assert "python -m worker --queue learn" in page
    assert all(desk.name in page for desk in status.desks)


def test_a_project_that_has_nothing_yet_is_shown_as_such(settings: Settings, stores: Stores, tmp_path: Path) -> None:
    """Before the pool was taken in every page says what is missing, and none fails."""
    client = entered(WebSide(settings, stores, tmp_path / "pool"), "lead")
    pages = {path: client.get(path) for path in ("/projects", OVERVIEW, GROUPS, QUESTIONS)}
    assert {answer.status_code for answer in pages.values()} == {200}
    assert "No groups yet" in pages[GROUPS].text and "No question waits" in pages[QUESTIONS].text
    assert "There is no model version yet" in pages[OVERVIEW].text and "Nobody has answered yet" in pages[OVERVIEW].text
    assert client.get(GROUP).status_code == 404
    answer = client.post(f"{GROUP}/name", data={"token": token_of(client), "name": "x"})
    assert answer.status_code == 404 and "no groups yet" in answer.text


def test_people_contradictions_and_a_training_are_shown(web: WebSide) -> None:
    """Who answered, how well and how fast; what contradicts itself; how far a training has come."""
    person = Person("7", 120, 0.043, {QuestionKind.PAIR: 3.14})
    web.revision([0] * 7 + [1] * 5, contradictions=[[SAMPLES[0], SAMPLES[9]]], effort=Effort({}, (person,)))
    queues = Queues(web.settings.redis_url)
    job = Job.fetch(
        queues.train(PROJECT, 1), connection=Redis.from_url(web.settings.redis_url), serializer=JSONSerializer
    )
    job.meta.update({"doing": "training", "epoch": 3, "of": 12, "loss": 1.5})
    job.save_meta()
    page = entered(web, "viewer").get(OVERVIEW).text
    assert re.search(r"<tr><td>7</td>.*120.*4 %.*3\.1.*—", page, re.DOTALL)
    assert re.search(r'data-number="contradictions">1<', page)
    assert page.count(f"/samples/{SAMPLES[9]}") == 1
    assert "Training queued · 25 %" in page and "loss 1.5" in page and "Training" not in page.split("h-model")[0]


def test_the_curve_is_drawn_from_the_history(web: WebSide) -> None:
    """The estimate of each revision is a point of the line; the page says where answers stop paying."""
    history = web.stores.history(PROJECT)
    for count in range(50, 500, 50):
        share = count / 1000
        quality = Quality(Accuracy(0.5 + share, 0.4 + share, 0.5 + share, 20), 0.05)
        history.note(Point(count, count, 2, "v0000", NOW).judged(quality))
    rule = StoppingVerdict("worth", True, 0.001, 0.005, "The next hundred answers should bring 0.1 points.")
    last = Quality(Accuracy(0.99, 0.95, 1.0, 60), 0.001, (rule,))
    history.note(Point(500, 500, 2, "v0000", NOW).judged(last))
    web.revision([0] * 7 + [1] * 5, quality=last)
    page = entered(web, "viewer").get(OVERVIEW).text
    [line] = re.findall(r'class="line" d="M([^"]+)"', page)
    assert len(line.split("L")) == 10
    assert "hardly pays since 500" in page
    assert "99 % of the samples" in page


def test_a_page_knows_the_stamp_that_its_stream_will_tell(web: WebSide) -> None:
    """It changes with answers and revisions, and with nothing else: a page without news is not fetched again."""
    client = entered(web, "viewer")

    def stamp() -> str:
        [found] = re.findall(r'data-stamp="([0-9a-f]{16})"', client.get(OVERVIEW).text)
        return str(found)

    first = stamp()
    assert stamp() == first
    web.revision([0] * 6 + [1] * 6)
    second = stamp()
    assert second != first
    key = AnnotationKey("pairs", 1)
    web.stores.answers(PROJECT).put([Annotation(key, 1, "q", "ann", 1, ())])
    assert stamp() not in {first, second}


def test_groups_are_shown_largest_first_with_their_members(web: WebSide) -> None:
    """Each with its size, and all members in its gallery."""
    client = entered(web, "viewer")
    page = client.get(GROUPS).text
    assert page.index("7 samples") < page.index("5 samples")
    gallery = client.get(GROUP).text
    assert set(re.findall(r"/thumbs/([0-9a-f]{16})", gallery)) == set(SAMPLES[:7])
    assert client.get(f"{GROUP}?page=2").status_code == 404
    assert client.get(f"{GROUP}?order=odd").status_code == 400
    assert client.get(f"{GROUP}?page=x").status_code == 400
    assert client.get(f"{GROUPS}/{'0' * 16}").status_code == 404


def test_the_gallery_shows_what_joined_last(web: WebSide) -> None:
    """Samples that a person called the same, the newest first; "different" adds nothing."""
    said = [(SAMPLES[1], SAMPLES[2], Verdict.SAME), (SAMPLES[3], SAMPLES[4], Verdict.SAME)]
    said.append((SAMPLES[5], SAMPLES[6], Verdict.DIFFERENT))
    for number, (first, second, verdict) in enumerate(said, start=1):
        key = AnnotationKey("pairs", number)
        answer = Answer(key, Pair.of(first, second), verdict, "ann", number, candidate=second)
        web.stores.answers(PROJECT).put([Annotation(key, number, "q", "ann", number, (answer,))])
    page = entered(web, "viewer").get(f"{GROUP}?order=joined").text
    assert re.findall(r"/thumbs/([0-9a-f]{16})", page) == [SAMPLES[4], SAMPLES[2]]


def test_questions_say_why_they_are_asked(web: WebSide) -> None:
    """That which is asked first stands in front; a blind question stays blind."""
    place = Question(QuestionKind.PAIR, SAMPLES[0], (SAMPLES[1],), Purpose.PLACE, (0.7,), 0.9, gain=2.5)
    check = Question(QuestionKind.PAIR, SAMPLES[0], (SAMPLES[2],), Purpose.VERIFY, (0.8,), 0.4)
    web.post_question(check, 1)
    web.post_question(place, 2)
    page = entered(web, "viewer").get(QUESTIONS).text
    assert page.index("Which group does it belong to?") < page.index("A uniform sample")
    assert "70 % same" in page and "80 % same" not in page and "kept blind" in page
    assert "2.50 samples" in page and page.count("<dd>pair</dd>") == 2


def test_pictures_are_shown_in_one_size(web: WebSide) -> None:
    """A thumbnail is a WebP of 160 pixels, the picture itself the file of the pool; unknown ones are not there."""
    client = entered(web, "viewer")
    small = client.get(f"{OVERVIEW}/thumbs/{SAMPLES[3]}")
    assert small.headers["content-type"] == "image/webp" and "immutable" in small.headers["cache-control"]
    assert client.get(f"{OVERVIEW}/thumbs/{SAMPLES[3]}").content == small.content
    assert client.get(f"{OVERVIEW}/pictures/{SAMPLES[3]}").headers["content-type"] == "image/png"
    for place in ("thumbs", "pictures"):
        assert client.get(f"{OVERVIEW}/{place}/{'0' * 16}").status_code == 404


def test_a_project_that_is_not_there_says_so(web: WebSide) -> None:
    """As a page, in words, with the text escaped."""
    client = entered(web, "viewer")
    answer = client.get("/projects/nobody")
    assert answer.status_code == 404 and "there is no project nobody" in answer.text.lower()
    assert "<b>" not in client.get("/projects/%3Cb%3E").text


def test_the_health_of_label_studio_is_that_which_a_worker_found(web: WebSide) -> None:
    """With its time and what mends it; what can be looked at here is looked at now, whatever the worker said then."""
    old = {"check": "worker-learn", "ok": True, "sentence": "All workers work.", "mend": "", "about": ""}
    ill = {"check": "clock", "ok": False, "sentence": "The clock is 50 s behind.", "mend": "set it", "about": ""}
    client = entered(web, "viewer")
    assert "no worker has looked at Label Studio yet" in client.get(OVERVIEW).text
    web.stores.reports(PROJECT).put([old, ill], NOW)
    page = client.get(OVERVIEW).text
    assert "The clock is 50 s behind." in page and "set it" in page and "2023-11-14 22:13 UTC" in page
    assert "All workers work." not in page and "No worker serves the queue learn" in page


# ---- what a lead may do --------------------------------------------------------------------------------------------------


def test_a_lead_names_a_group(web: WebSide) -> None:
    """The name stands on every page and in the next export; without a name it is unnamed again."""
    client = entered(web, "lead")
    client.post(f"{GROUP}/name", data={"token": token_of(client, "/projects"), "name": "  Great <tits> "})
    for path in (OVERVIEW, GROUPS, GROUP):
        assert "Great &lt;tits&gt;" in client.get(path).text
    client.post(f"{GROUP}/name", data={"token": token_of(client, "/projects"), "name": ""})
    assert "Unnamed group" in client.get(GROUP).text


def test_nobody_else_names_one(web: WebSide) -> None:
    """Not a viewer, not without the token, not from another site's page, not with a name that is none."""
    lead, viewer = entered(web, "lead"), entered(web, "viewer")
    token = token_of(lead)
    assert '<form class="inline"' not in viewer.get(GROUP).text
    assert viewer.post(f"{GROUP}/name", data={"token": token_of(viewer), "name": "x"}).status_code == 403
    assert lead.post(f"{GROUP}/name", data={"name": "x"}).status_code == 403
    assert lead.post(f"{GROUP}/name", data={"token": token_of(viewer), "name": "x"}).status_code == 403
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert lead.post(f"{GROUP}/name", data={"token": token, "name": "x"}, headers=foreign).status_code == 403
    elsewhere = {"Origin": "https://evil.example"}
    assert lead.post(f"{GROUP}/name", data={"token": token, "name": "x"}, headers=elsewhere).status_code == 403
    assert lead.post(f"{GROUP}/name", data={"token": token, "name": "x" * 61}).status_code == 400
    assert lead.post(f"{GROUPS}/{'0' * 16}/name", data={"token": token, "name": "x"}).status_code == 404
    assert web.stores.names(PROJECT).all() == {}


def test_a_lead_lets_a_worker_look_again(web: WebSide) -> None:
    """One job, however often the button is pressed; viewers have no button."""
    lead, viewer = entered(web, "lead"), entered(web, "viewer")
    assert "Look again" in lead.get(OVERVIEW).text and "Look again" not in viewer.get(OVERVIEW).text
    for _ in range(2):
        assert lead.post(f"{OVERVIEW}/examine", data={"token": token_of(lead)}).status_code == 200
    assert viewer.post(f"{OVERVIEW}/examine", data={"token": token_of(viewer)}).status_code == 403
    jobs = Queues(web.settings.redis_url).jobs()
    assert [(job.kind, job.project) for job in jobs] == [("examine", PROJECT)]


def test_texts_stand_where_pictures_would(web: WebSide, tmp_path: Path) -> None:
    """A card with the first words, its words for who does not see it, and the whole text behind it."""
    texts = [f"Text {number} <script>" for number in range(12)]
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    artefacts = web.stores.artefacts
    artefacts.remove("projects/rec/pool")
    ingest(ManifestPool(file, Medium.TEXT), artefacts, "rec", 8, medium=Medium.TEXT)
    samples = [sample.id for sample in load_samples(artefacts, "rec")]
    web.stores.projects.save(replace(web.stores.projects.get("rec"), medium=Medium.TEXT, pool=str(file)))
    client = entered(web, "viewer")
    card = client.get(f"/projects/rec/thumbs/{samples[3]}")
    assert (card.status_code, card.headers["content-type"]) == (200, "image/svg+xml")
    assert "Text 3 &lt;script&gt;" in card.text
    assert "script" not in card.headers["content-security-policy"]
    assert "unsafe" not in card.headers["content-security-policy"]
    whole = client.get(f"/projects/rec/pictures/{samples[3]}")
    assert (whole.text, whole.headers["content-type"]) == (texts[3], "text/plain; charset=utf-8")
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert client.get(f"/projects/rec/thumbs/{'f' * 16}").status_code == 404
