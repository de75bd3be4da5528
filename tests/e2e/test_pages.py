"""A lead in a real browser: watches the answers of others arrive, names a group, takes the names home."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from pal_backend.export import export
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from pal_backend.core.vocabulary import QuestionKind
from pal_backend.store.projects import Desk
from pal_backend.team import change_password
from tests.browser import PATIENCE_MS
from tests.e2e.stack import Stack

pytestmark = pytest.mark.e2e

SERIOUS = {"serious", "critical"}
SCREENS = 8
"""Answered one by one: a screen has eight answers, and after some forty the accuracy is estimated."""
LINE = ".curve .line"


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


def test_a_lead_names_a_group_and_takes_it_home(stack: Stack, lead: Page, tmp_path: Path) -> None:
    """By keyboard alone from the list of groups; the name stands in the next export."""
    lead.goto(f"{stack.settings.public}/projects/{stack.project}/groups")
    look_at(lead, "groups")
    lead.locator(".card").first.focus()
    lead.keyboard.press("Enter")
    lead.wait_for_url("**/groups/*")
    group = lead.url.rpartition("/")[2]
    lead.focus("#name")
    lead.keyboard.type("my favourite digit")
    lead.keyboard.press("Enter")
    expect(lead.locator("h1")).to_have_text("my favourite digit")
    pictures = "[...document.querySelectorAll('.thumb')].slice(0, 12).every(i => i.complete && i.naturalWidth === 160)"
    lead.wait_for_function(pictures)
    look_at(lead, "group")
    export(stack.stores, stack.project, "csv", tmp_path / "groups.csv")
    with (tmp_path / "groups.csv").open(newline="") as file:
        assert {row["name"] for row in csv.DictReader(file) if row["group"] == group} == {"my favourite digit"}


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
