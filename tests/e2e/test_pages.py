"""A lead in a real browser: watches the answers of others arrive, names a group, takes the names home."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from pal_backend.core.vocabulary import QuestionKind
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
    """Whether the browser complains of something but the page that is not there on purpose."""
    return message.type in {"error", "warning"} and not message.location["url"].endswith("/nobody")


def look_at(page: Page, name: str) -> None:
    """axe finds nothing serious, light or dark; pictures for the docs go where PAL_PICTURES names a folder."""
    folder = os.environ.get("PAL_PICTURES")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        if folder:
            page.screenshot(path=Path(folder) / f"{name}-{scheme}.png")
        found = Axe().run(page).response["violations"]
        assert [v["id"] for v in found if v["impact"] in SERIOUS] == [], (name, scheme, found)


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


def test_a_lead_names_a_group(stack: Stack, lead: Page) -> None:
    """By keyboard alone from the list of groups."""
    lead.goto(f"{stack.settings.public}/projects/{stack.project}/groups")
    look_at(lead, "groups")
    lead.locator(".card").first.focus()
    lead.keyboard.press("Enter")
    lead.wait_for_url("**/groups/*")
    lead.focus("#name")
    lead.keyboard.type(NAME)
    lead.keyboard.press("Enter")
    expect(lead.locator("h1")).to_have_text(NAME)
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
