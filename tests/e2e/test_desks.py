"""A person at two desks in a real browser: Label Studio measures the seconds, and the status tells which desk pays."""

from __future__ import annotations

import time
from contextlib import closing

import pytest
from playwright.sync_api import Browser

from pal_backend.choosing import Operator, chosen
from pal_backend.core.paying import Verdict
from pal_backend.core.vocabulary import Annotation, QuestionKind
from pal_backend.status import status_of
from pal_backend.store.projects import Desk
from tests.e2e.stack import Stack
from tests.e2e.test_browser import open_stream, submit
from tests.label_studio_server import LabelStudioServer

pytestmark = pytest.mark.e2e

PATIENCE = 60.0
"""Seconds within which Label Studio keeps a draft of what was ticked so far; it waits a few, more on a busy machine."""


def answered(stack: Stack, desk: Desk) -> Annotation:
    """The one annotation on a desk."""
    (found,) = stack.until(
        lambda: [a for a in stack.stores.answers(stack.project).all() if a.key.desk == desk.name], "it is folded in"
    )
    return found


@pytest.mark.parametrize(("kind", "keys"), [(QuestionKind.PAIR, "2"), (QuestionKind.SCREEN, "123")])
def test_seconds_are_those_a_person_took(stack: Stack, browser: Browser, kind: QuestionKind, keys: str) -> None:
    """From seeing the question to Submit, once, though drafts are kept on the way."""
    desk = stack.join(kind)
    stack.until(lambda: stack.posted(desk) >= 5, "questions stand in Label Studio")
    page = open_stream(browser, stack, desk, stack.label_studio.email, pictures=2)
    seen = time.monotonic()
    page.wait_for_timeout(2000)  # a person looks first; what is pressed in the very first moment is not kept as a draft
    for key in keys:
        with page.expect_request(lambda request: "/drafts" in request.url, timeout=1000 * PATIENCE):
            page.keyboard.press(key)
    submit(page)
    took = time.monotonic() - seen
    page.context.close()

    seconds = answered(stack, desk).seconds

    assert seconds is not None
    assert took - 2.0 <= seconds <= took + 5.0, "loading the pictures may count, nothing else"


def test_the_status_tells_seconds_people_and_desks(stack: Stack) -> None:
    """Two answers are too few to say which desk pays, and that is said; the person stands there by Label Studio's id."""
    stack.until(lambda: stack.folded() == 2, "both answers are in a revision")
    found = status_of(stack.stores.projects.get(stack.project), stack.stores, stack.queues, Operator())
    assert found.advice is not None
    assert found.advice.verdict is Verdict.UNTIMED
    assert "pairs has 1 timed answer and screens has 1 timed answer, and 10 are needed" in found.advice.sentence
    assert [desk.gain_per_second is not None for desk in found.desks] == [True, True]
    (person,) = found.annotators
    assert person.name.isdecimal() and set(person.median_seconds) == set(QuestionKind)


def test_the_extra_parameters_in_label_studio_choose_the_recipe(stack: Stack, label_studio: LabelStudioServer) -> None:
    """Typed into the ML backend's settings, they come with the set-up that Label Studio then asks for, and count; what the
    operator has not allowed is refused, for which Label Studio has words of its own.
    """
    desk = stack.join()
    operator = Operator.of(stack.settings, stack.credentials)

    def said() -> tuple[str, str]:
        now = chosen(stack.stores.projects.get(stack.project), stack.stores, operator)
        return now.choice.recipe, now.said_by["recipe"]

    with closing(label_studio.sign_in()) as admin:
        where = f"/api/ml/{desk.backend_id}"
        kept = admin.get(where).json()
        settings = {name: kept[name] for name in ("url", "project", "title")} | {"auth_method": "BASIC_AUTH"}
        settings |= {"basic_auth_user": "pal", "basic_auth_pass": stack.credentials.basic_auth_password}
        answer = admin.patch(where, json={**settings, "extra_params": {"recipe": "vicreg"}})
        assert answer.is_success, answer.text
        assert said() == ("vicreg", f"desk {desk.name}")
        refused = admin.patch(where, json={**settings, "extra_params": {"backbone": "os:system"}})
        assert refused.status_code == 400 and "something wrong with your model" in refused.text
    assert said() == ("vicreg", f"desk {desk.name}")
