"""A person in a real browser: presses a key, submits, and the product learns."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from label_config import render
from pal_backend.core.vocabulary import QuestionKind
from pal_backend.store.projects import Desk
from tests.browser import signed_in
from tests.e2e.stack import Stack

pytestmark = pytest.mark.e2e

SUBMIT = "button[aria-label='submit'], button:has-text('Submit')"
TASK = "() => document.querySelector('[class*=task-id]')?.innerText.split('\\n')[0]"
"""The number of the task on the page; its place in the stream follows on a line of its own."""
SEEN = """() => [...document.images].filter(
    image => image.complete && image.naturalWidth > 0 && image.getBoundingClientRect().width > 60
  ).map(image => image.src)"""
"""Pictures that a person can see: loaded, and laid out larger than an icon."""


@pytest.fixture(scope="module")
def desk(stack: Stack) -> Desk:
    """A desk of pairs with its first questions posted."""
    desk = stack.join()
    stack.until(lambda: stack.posted(desk) >= 10, "ten questions stand in Label Studio")
    return desk


def open_stream(browser: Browser, stack: Stack, desk: Desk, email: str, pictures: int = 2) -> Page:
    """Sign in, open the project and press "Label All Tasks", as a person does; the order is that of our scores."""
    page = signed_in(browser, stack.label_studio.url, email)
    page.goto(f"{stack.label_studio.url}/projects/{desk.project_id}/data")
    with page.expect_response(lambda r: "id=next_task" in r.url) as served:
        page.click("button:has-text('Label All Tasks')")
    assert served.value.json()["queue"] in {
        "Active learning or random queue",
        "Task lock",
    }  # or the one left open before
    see_question(page, pictures)
    return page


def see_question(page: Page, pictures: int = 2) -> None:
    """Wait until a person could see the question."""
    page.wait_for_selector(SUBMIT, state="visible")
    page.wait_for_function(f"(least) => ({SEEN})().length >= least", arg=pictures)


def submit(page: Page) -> None:
    """Press Submit."""
    with page.expect_response(lambda r: "/annotations" in r.url and r.request.method == "POST") as submitted:
        page.click(SUBMIT)
    assert submitted.value.status == 201


def answer(page: Page, key: str) -> None:
    """Press a key, then Submit, and wait for the next question, which may show the same pictures: a re-check."""
    page.keyboard.press(key)
    with page.expect_response(lambda r: "id=next_task" in r.url) as served:
        submit(page)
    page.wait_for_function(f"(task) => ({TASK})() === task", arg=str(served.value.json()["id"]))
    see_question(page)


def keep_picture(page: Page, name: str) -> None:
    """A picture for the docs, where PAL_PICTURES names a folder."""
    folder = os.environ.get("PAL_PICTURES")
    if folder:
        page.screenshot(path=Path(folder) / name)


def see_that_the_anchor_stays(page: Page) -> None:
    """Candidates have one size, at twice the pixels shown; in a low window the anchor is in view beside the last of them."""
    sizes = "all => all.map(image => [image.naturalWidth, image.naturalHeight, image.width, image.height])"
    found = page.eval_on_selector_all(".pal-candidates img", sizes)
    side = render.THUMBNAIL_PIXELS
    assert found and all(size == [2 * side, 2 * side, side, side] for size in found)
    page.set_viewport_size({"width": 1280, "height": 420})
    page.locator(".pal-candidates img").last.scroll_into_view_if_needed()
    expect(page.locator(".pal-anchor")).to_be_in_viewport(ratio=0.9)
    page.set_viewport_size({"width": 1280, "height": 800})


def test_a_person_answers_and_the_next_question_follows(stack: Stack, desk: Desk, browser: Browser) -> None:
    """Pressing 1 and Submit in the label stream makes an answer, a revision and another question."""
    page = open_stream(browser, stack, desk, stack.label_studio.email)
    assert not page.locator("input:checked").count(), "nothing is prefilled"
    keep_picture(page, "label-stream.png")
    before = stack.stores.revisions(stack.project).current()
    assert before is not None
    asked = stack.stores.questions(stack.project).count()

    answer(page, "1")

    stack.until(lambda: stack.folded() == 1, "the answer is in a revision")
    (annotation,) = stack.stores.answers(stack.project).all()
    assert [a.verdict for a in annotation.answers] == ["same"]
    after = stack.stores.revisions(stack.project).current()
    assert after is not None
    assert after.number > before.number
    stack.until(lambda: stack.stores.questions(stack.project).count() > asked, "another question is asked in its place")
    page.context.close()


def test_two_members_answer_at_once(stack: Stack, desk: Desk, browser: Browser) -> None:
    """Two people get different questions; both their answers arrive, each under its own name."""
    folded = stack.folded()
    with closing(stack.label_studio.second_user("second@example.com")):
        pages = [open_stream(browser, stack, desk, email) for email in (stack.label_studio.email, "second@example.com")]
        for key in ("2", "2"):
            for page in pages:
                answer(page, key)
        stack.until(lambda: stack.folded() == folded + 4, "four more answers are in a revision")

    annotations = [a for a in stack.stores.answers(stack.project).all() if a.answers[0].verdict == "different"]
    assert len({a.annotator for a in annotations}) == 2
    assert len({a.question for a in annotations}) == 4
    for page in pages:
        page.context.close()


def test_a_person_ticks_a_screen(stack: Stack, desk: Desk, browser: Browser) -> None:
    """On a desk of screens a key ticks a candidate; the ticked is the same, the others are different."""
    screens = stack.join(QuestionKind.SCREEN)
    stack.until(lambda: stack.posted(screens) >= 5, "screens stand in Label Studio")
    known = {annotation.key for annotation in stack.stores.answers(stack.project).all()}
    page = open_stream(browser, stack, screens, stack.label_studio.email, pictures=4)
    page.wait_for_function("() => [...document.querySelectorAll('.pal-candidates img')].every(i => i.naturalWidth)")
    keep_picture(page, "label-stream-screen.png")
    see_that_the_anchor_stays(page)

    page.keyboard.press("1")
    expect(page.locator(".pal-candidates input:checked")).to_have_count(1)
    submit(page)

    (annotation,) = stack.until(
        lambda: [a for a in stack.stores.answers(stack.project).all() if a.key not in known], "the screen is folded in"
    )
    verdicts = sorted(str(a.verdict) for a in annotation.answers)
    assert verdicts.count("same") == 1
    assert verdicts.count("different") == len(verdicts) - 1 >= 1
    page.context.close()
