"""A lead in a real browser: watches the answers of others arrive, names a group, takes the names home."""

from __future__ import annotations

import csv
import os
import re
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpx
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from label_config import results
from pal_backend.core.places import LARGEST
from pal_backend.core.vocabulary import Purpose, QuestionKind, Verdict
from pal_backend.demo.descendants import descendants
from pal_backend.store.projects import Desk
from pal_backend.team import change_password
from tests.browser import PATIENCE_MS, signed_in
from tests.e2e.stack import SAMPLES, Stack

pytestmark = pytest.mark.e2e

SERIOUS = {"serious", "critical"}
SCREENS = 8
"""Answered one by one: a screen has eight answers, and after some forty the accuracy is estimated."""
LINE = ".curve .line"
NAME = "my favourite digit"


@pytest.fixture(scope="module")
def desk(stack: Stack) -> Desk:
    """A desk of screens with its first questions posted."""
    desk = stack.join(QuestionKind.SCREEN)
    stack.until(lambda: stack.posted(desk) >= 5, "screens stand in Label Studio")
    return desk


@pytest.fixture(scope="module")
def lead(stack: Stack, desk: Desk, browser: Browser) -> Iterator[Page]:
    """A page of a lead who has signed in; whatever the browser complains of, or asks elsewhere, fails the test."""
    password = change_password(stack.settings, "lead")
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if is_complaint(message) else None)
    page.on("pageerror", lambda problem: complaints.append(str(problem)))
    page.on("request", lambda r: None if r.url.startswith(stack.settings.public) else complaints.append(r.url))
    page.goto(f"{stack.settings.public}/projects/{stack.project}")
    look_at(page, "login")
    page.fill("#password", password or "")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/projects/{stack.project}")
    yield page
    page.context.close()
    assert complaints == []


def is_complaint(message: ConsoleMessage) -> bool:
    """Whether the browser complains of something but the page that is not there on purpose, and its own way of showing a
    bare picture, to which our policy allows no style."""
    url = message.location["url"]
    return message.type in {"error", "warning"} and not (url.endswith("/nobody") or "/pictures/" in url)


def look_at(page: Page, name: str) -> None:
    """axe finds nothing serious, light or dark; pictures for the docs go where PAL_PICTURES names a folder."""
    folder = os.environ.get("PAL_PICTURES")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        if folder:
            page.screenshot(path=Path(folder) / f"{name}-{scheme}.png")
        found = Axe().run(page).response["violations"]
        assert [v["id"] for v in found if v["impact"] in SERIOUS] == [], (name, scheme, found)


def loaded(page: Page) -> None:
    """The first pictures have come."""
    for number in range(min(page.locator(".thumb").count(), 8)):
        expect(page.locator(".thumb").nth(number)).to_have_js_property("complete", True)


def test_a_lead_watches_the_curve_move(stack: Stack, desk: Desk, lead: Page) -> None:
    """Nobody reloads the page: numbers follow each answer, and the curve grows to the right."""
    expect(lead.locator("body.is-live")).to_be_attached()
    number = lead.locator('[data-number="annotations"]')
    expect(number).to_have_text("0")
    with closing(stack.label_studio.sign_in()) as session:
        person = stack.annotator(desk, session)
        for done in range(SCREENS):
            stack.until(person.answer_next, "the label stream has a screen")
            expect(number).to_have_text(str(done + 1), timeout=10_000)
        while lead.locator(LINE).count() == 0:
            stack.until(person.answer_next, "the label stream has a screen")
            lead.wait_for_timeout(1500)
            assert stack.folded() < 40, "the accuracy is estimated by now"
        before = lead.locator(LINE).get_attribute("d")
        stack.until(person.answer_next, "the label stream has a screen")
    expect(lead.locator(LINE)).not_to_have_attribute("d", before or "", timeout=10_000)
    look_at(lead, "project")


def test_a_lead_names_two_groups(stack: Stack, lead: Page) -> None:
    """By keyboard alone from the list of groups."""
    groups = f"{stack.settings.public}/projects/{stack.project}/groups"
    lead.goto(groups)
    look_at(lead, "groups")
    for place, name in ((1, "another digit"), (0, NAME)):
        lead.goto(groups)
        lead.locator(".card").nth(place).focus()
        lead.keyboard.press("Enter")
        lead.wait_for_url("**/groups/*")
        lead.focus("#name")
        lead.keyboard.type(name)
        lead.keyboard.press("Enter")
        expect(lead.locator("h1")).to_have_text(name)
    pictures = "[...document.querySelectorAll('.thumb')].slice(0, 12).every(i => i.complete && i.naturalWidth === 160)"
    lead.wait_for_function(pictures)
    look_at(lead, "group")


def test_a_lead_takes_the_groups_home(stack: Stack, lead: Page, browser: Browser, tmp_path: Path) -> None:
    """One button makes, another downloads; nobody reloads the page. The names of the groups are in it."""
    lead.goto(f"{stack.settings.public}/projects/{stack.project}/export")
    expect(lead.locator("body.is-live")).to_be_attached()
    for kind in ("csv", "card"):
        lead.locator(f"#make-{kind}").click()
        expect(lead.locator(f"#{kind} a.button")).to_be_visible(timeout=60_000)
        with lead.expect_download() as taken:
            lead.locator(f"#{kind} a.button").click()
        taken.value.save_as(tmp_path / kind)
    with (tmp_path / "csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == SAMPLES and NAME in {row["name"] for row in rows}
    card = browser.new_context(viewport={"width": 900, "height": 900}).new_page()
    (tmp_path / "card").rename(tmp_path / "card.html")
    card.goto((tmp_path / "card.html").as_uri())
    assert NAME in card.inner_text("main")
    look_at(card, "card")
    card.context.close()


def test_pushed_predictions_stand_in_a_second_project(stack: Stack, lead: Page, browser: Browser) -> None:
    """A lead pushes them; whoever opens the project's stream in Label Studio sees each sample's group chosen."""
    lead.click("text=Push predictions")
    expect(lead.locator('[data-part="pushed"] .made')).to_contain_text(f"{SAMPLES} tasks made", timeout=90_000)
    look_at(lead, "export")
    url = lead.locator("text=Open it in Label Studio").get_attribute("href") or ""
    number = int(url.removesuffix("/data").rpartition("/")[2])
    assert number not in {desk.project_id for desk in stack.stores.projects.get(stack.project).desks}
    page = signed_in(browser, stack.label_studio.url, stack.label_studio.email)
    page.goto(url)
    with page.expect_response(lambda r: "id=next_task" in r.url) as served:
        page.click("button:has-text('Label All Tasks')")
    task = served.value.json()
    [prediction] = task["predictions"]
    [chosen] = prediction["result"][0]["value"]["choices"]
    expect(page.locator(f'input[name="{chosen}"]')).to_be_checked()
    scores = [p.score or 0.0 for found in stack.client.tasks(number) for p in found.predictions]
    assert len(scores) == SAMPLES and prediction["score"] == min(scores), "the most doubtful comes first"
    folder = os.environ.get("PAL_PICTURES")
    if folder:
        page.wait_for_timeout(1500)
        page.screenshot(path=Path(folder) / "pushed.png")
    page.context.close()


def test_a_lead_pauses_and_changes_the_strategy(stack: Stack, desk: Desk, lead: Page) -> None:
    """Paused, an answer is learned from and no question comes in its place; then it asks by the other strategy."""
    questions = stack.stores.questions(stack.project)
    lead.goto(f"{stack.settings.public}/projects/{stack.project}/questions")
    lead.click("#pause")
    expect(lead.locator(".note")).to_contain_text("Paused since")
    before, known = stack.folded(), {posted.id for posted in questions.open()}
    with closing(stack.label_studio.sign_in()) as session:
        person = stack.annotator(desk, session)
        stack.until(person.answer_next, "an open question can be answered")
        stack.until(lambda: stack.folded() > before, "the answer is learned from")
    lead.wait_for_timeout(1500)
    assert {posted.id for posted in questions.open()} < known
    lead.locator(".controls summary").click()
    lead.select_option("#strategy", "uncertainty")
    lead.fill("#queue", str(len(known) + 2))
    look_at(lead, "controls")
    lead.click(".fields button")
    expect(lead.locator('[data-part="asking"]')).to_contain_text("uncertainty")
    lead.click("#pause")
    expect(lead.locator(".note")).to_have_count(0)
    stack.until(lambda: len(questions.open()) >= len(known) + 2, "questions are asked again, as many as the lead said")
    stack.until(lambda: all(posted.task is not None for posted in questions.open()), "they stand in Label Studio")
    assert stack.stores.projects.get(stack.project).strategy == "uncertainty"


def test_the_map_draws_and_a_click_opens_a_sample(stack: Stack, lead: Page) -> None:
    """The sample that lies most alone is pointed at, by its place, and opened."""
    maps = stack.stores.maps(stack.project)
    version = stack.until(maps.shown, "a worker has drawn the map")
    lead.goto(f"{stack.settings.public}/projects/{stack.project}/map")
    drawn = "performance.getEntriesByName('map').length"
    stack.until(lambda: lead.evaluate(drawn) > 0, "the map is drawn", 20)
    shades = "new Set(plane.getContext('2d').getImageData(0, 0, plane.width, plane.height).data).size"
    assert lead.evaluate(shades) > 10
    look_at(lead, "map")
    places, _ = maps.load(version)
    xy = places.xy.astype(float)
    apart = ((xy[:, None] - xy[None]) ** 2).sum(axis=2)
    np.fill_diagonal(apart, np.inf)
    alone = int(apart.min(axis=1).argmax())
    area = lead.locator("#plane").bounding_box()
    assert area is not None
    scale = 0.94 * min(area["width"], area["height"]) / LARGEST
    spot = [
        area[side] + (area[length] - LARGEST * scale) / 2 + xy[alone, axis] * scale
        for axis, (side, length) in enumerate((("x", "width"), ("y", "height")))
    ]
    lead.mouse.move(*spot)
    expect(lead.locator("#map-tip")).to_be_visible()
    sample = stack.stores.versions(stack.project).load_ids(version)[places.rows[alone]]
    expect(lead.locator("#map-tip-image")).to_have_attribute("src", re.compile(sample))
    lead.mouse.click(*spot)
    lead.wait_for_url(f"**/{sample}")


def test_label_studios_people_sign_in_with_their_tokens(stack: Stack, desk: Desk, browser: Browser) -> None:
    """Who owns the organization leads, by either kind of token; another member looks."""
    public = stack.settings.public
    page = browser.new_context().new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{public}/projects/{stack.project}")
    page.fill("#access", stack.label_studio.pat)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/projects/{stack.project}")
    expect(page.locator(".who .chip")).to_have_text("lead")
    expect(page.locator(".person")).to_have_text(stack.label_studio.email)
    page.context.close()
    with closing(stack.label_studio.second_user("viewer@example.com")) as session:
        other = session.post("/api/token/").raise_for_status().json()["token"]
    for token, role in {stack.label_studio.legacy_token: "lead", other: "viewer"}.items():
        with httpx.Client(base_url=public, follow_redirects=True, trust_env=False) as client:
            found = client.post("/login/token", data={"access": token, "next": f"/projects/{stack.project}"})
            assert f'<span class="chip">{role}</span>' in found.text, found.text[:2000]
    assert httpx.post(f"{public}/login/token", data={"access": "0" * 40}, trust_env=False).status_code == 401


def test_all_processes_listen_on_loopback_alone(stack: Stack) -> None:
    """Web, workers and what they start; read from /proc, as the kernel has it."""
    pids = {child.pid for supervisor in stack.supervisors.values() for child in supervisor.children}
    pids |= {process.pid for pid in list(pids) for process in descendants(pid)}
    found = listening(pids)
    assert f"127.0.0.1:{stack.settings.port}" in found
    assert [address for address in found if not address.startswith(("127.", "::1"))] == []


def listening(pids: set[int]) -> list[str]:
    """Addresses on which these processes listen for TCP (proc(5))."""
    sockets = set()
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            with suppress(OSError):
                sockets.add(str(link.readlink()).removeprefix("socket:[").removesuffix("]"))
    found = []
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]:
            local, state, inode = (line.split()[column] for column in (1, 3, 9))
            if state == "0A" and inode in sockets:
                address, port = local.split(":")
                words = b"".join(bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8))
                found.append(f"{socket.inet_ntop(family, words)}:{int(port, 16)}")
    return found


def test_a_lead_merges_two_groups_and_undoes_it(stack: Stack, lead: Page) -> None:
    """Ticks two groups, and within seconds they are one; one press later they are two again. The list says both."""
    lead.goto(f"{stack.settings.public}/projects/{stack.project}/groups")
    ticks = lead.locator(".tick input")
    chosen = [str(ticks.nth(number).get_attribute("value")) for number in (0, 1)]
    cards = lead.locator(", ".join(f"#g{group}" for group in chosen))
    for number in (0, 1):
        ticks.nth(number).check()
    lead.get_by_role("button", name="Merge").click()
    expect(lead.locator(".made li").first).to_contain_text("2 groups are one")
    expect(cards).to_have_count(1, timeout=20_000)
    look_at(lead, "groups")
    lead.get_by_role("button", name="Undo").first.click()
    expect(lead.locator(".made li.undone")).to_have_count(1)
    expect(cards).to_have_count(2, timeout=20_000)
    assert stack.differences() == []


def test_a_lead_settles_a_contradiction(stack: Stack, desk: Desk, lead: Page) -> None:
    """Somebody says of a screen the opposite of what another annotation says: the pair stands in the review with both, and is
    gone once the lead has decided, whose decision the sample's page shows.
    """
    answers = [a for a in stack.stores.answers(stack.project).all() if a.key.desk == desk.name]
    ticked = max(answers, key=lambda annotation: sum(answer.verdict is Verdict.SAME for answer in annotation.answers))
    with closing(stack.label_studio.sign_in()) as session:
        reply = session.post(
            f"/api/tasks/{ticked.task}/annotations",
            params={"project": desk.project_id},
            json={"result": results.screen_result([]), "lead_time": 2.0, "project": str(desk.project_id)},
        )
        assert reply.is_success, reply.text
    lead.goto(f"{stack.settings.public}/projects/{stack.project}/review")
    conflict = lead.locator(".conflict", has_text="People differ").first
    expect(conflict.locator(".voices").first.locator("li").nth(1)).to_be_visible(timeout=20_000)
    loaded(lead)
    look_at(lead, "review")
    pair = {
        name: str(conflict.locator(f"input[name={name}]").first.get_attribute("value")) for name in ("first", "second")
    }
    form = lead.locator(".acts")
    for name, value in pair.items():
        form = form.filter(has=lead.locator(f'input[name={name}][value="{value}"]'))
    form.first.get_by_role("button", name=re.compile("^Same")).click()
    expect(form).to_have_count(0, timeout=20_000)
    lead.get_by_role("button", name="Ask again").first.click()
    expect(lead.get_by_text("stands open in Label Studio").first).to_be_visible(timeout=20_000)
    questions = stack.stores.questions(stack.project)
    [asked] = [posted for posted in questions.open() if posted.question.purpose is Purpose.REVIEW]
    stack.until(lambda: any(p.id == asked.id and p.task for p in questions.open()), "the question is posted")
    assert asked.score == 0.0
    posterior = stack.stores.revisions(stack.project).posterior()
    founders = () if posterior is None else posterior.groups
    sample = min(pair.values(), key=founders.__contains__)  # a founder has no chain to show
    lead.goto(f"{stack.settings.public}/projects/{stack.project}/samples/{sample}")
    expect(lead.locator('[data-part="answers"]')).to_contain_text("a lead")
    loaded(lead)
    look_at(lead, "sample")


def test_the_other_pages_are_accessible(stack: Stack, lead: Page) -> None:
    """Questions with their pictures, the list of projects, and what is not there."""
    for name, path in {"questions": f"/{stack.project}/questions", "projects": "", "problem": "/nobody"}.items():
        lead.goto(f"{stack.settings.public}/projects{path}")
        look_at(lead, name)
        if name == "questions":
            assert lead.locator(".question").count() >= 5
    skip = lead.locator(".skip")
    lead.keyboard.press("Tab")
    expect(skip).to_be_focused()
