"""What happens in Label Studio while nobody listens is found afterwards."""

from __future__ import annotations

from contextlib import closing

import httpx
import pytest

from pal_backend.core.vocabulary import QuestionKind
from pal_backend.rotation import rotate_media
from pal_backend.store.projects import Desk
from tests.e2e.stack import Stack

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def desk(stack: Stack) -> Desk:
    """A desk of pairs with 30 questions open."""
    desk = stack.join()
    stack.until(lambda: stack.posted(desk) >= 10, "ten questions stand in Label Studio")
    return desk


def test_the_graph_equals_label_studio_after_the_web_process_was_down(stack: Stack, desk: Desk) -> None:
    """20 answers, 2 deletions and a convert-to-draft that no webhook brought are all in the graph after a reconcile."""
    with closing(stack.label_studio.sign_in()) as session:
        person = stack.annotator(desk, session)
        for done in range(12):
            stack.until(person.answer_next, "the label stream has a question")
            stack.until(lambda wanted=done + 1: stack.folded() >= wanted, "the answer is in a revision")  # type: ignore[misc]
        early = stack.stores.answers(stack.project).all()
        stack.until(lambda: stack.posted(desk) >= 10, "questions are open again")

        stack.stop("web")
        down = 0
        while down < 20:
            if not person.answer_next():
                # Nobody hears of the answers, so nobody asks anything new: reconcile lets it go on, as it would live.
                stack.queues.reconcile(stack.project, "test")
                stack.until(lambda: stack.posted(desk) > 0, "questions follow after a reconcile")
                continue
            down += 1
        for annotation in early[:2]:
            assert session.delete(f"/api/annotations/{annotation.key.number}/").is_success
        draft = session.post(f"/api/annotations/{early[2].key.number}/convert-to-draft", json={})
        assert draft.is_success, draft.text
        assert stack.differences()
        stack.start("web")

    stack.queues.reconcile(stack.project, "the web process is back")
    stack.until(lambda: not stack.differences(), "the graph equals Label Studio's annotations")
    kept = {annotation.key for annotation in stack.stores.answers(stack.project).all()}
    assert len(kept) == 12 + 20 - 3
    assert not kept & {annotation.key for annotation in early[:3]}


def test_rotating_the_media_key_ends_old_links_and_renews_open_questions(stack: Stack, desk: Desk) -> None:
    """Links handed out before are dead; the open questions in Label Studio show their pictures under new ones."""
    stack.until(lambda: stack.posted(desk) >= 10, "questions are open")
    old = {task.id: task.raw["data"]["left"] for task in stack.client.tasks(desk.project_id, unlabelled=True)}
    assert {httpx.get(link).status_code for link in old.values()} == {200}

    stack.stop("web")
    stack.stop("worker")
    rewritten = rotate_media(stack.settings, stack.stores, stack.client)
    stack.start("web")
    stack.start("worker")

    new = {task.id: task.raw["data"]["left"] for task in stack.client.tasks(desk.project_id, unlabelled=True)}
    assert rewritten == len(new) == len(old)
    assert {httpx.get(link).status_code for link in new.values()} == {200}
    assert {httpx.get(link).status_code for link in old.values()} == {404}


def test_a_mass_disappearance_is_held(stack: Stack, desk: Desk) -> None:
    """When every task is deleted at once nothing is withdrawn; it is held and says why."""
    before = stack.stores.answers(stack.project).all()
    with closing(stack.label_studio.sign_in()) as session:
        assert session.delete(f"/api/projects/{desk.project_id}/tasks/").is_success

    stack.queues.reconcile(stack.project, "test")
    held = stack.until(lambda: stack.stores.answers(stack.project).held(), "it is held")

    assert held is not None
    assert len(held.keys) == len(before)
    assert "vanished" in held.reason or "gone" in held.reason
    assert stack.stores.answers(stack.project).all() == before


def test_a_desk_of_screens_learns_into_the_same_graph(stack: Stack) -> None:
    """A second desk of the other kind asks screens; one submit gives as many answers as it has candidates."""
    screens = stack.join(QuestionKind.SCREEN)
    stack.until(lambda: stack.posted(screens) >= 5, "screens stand in Label Studio")
    known = {annotation.key for annotation in stack.stores.answers(stack.project).all()}
    with closing(stack.label_studio.sign_in()) as session:
        person = stack.annotator(screens, session)
        stack.until(person.answer_next, "the label stream has a screen")

    fresh = stack.until(
        lambda: [a for a in stack.stores.answers(stack.project).all() if a.key not in known], "the screen is folded in"
    )
    (annotation,) = fresh
    assert annotation.key.desk == "screens"
    question = stack.stores.questions(stack.project).get(annotation.question)
    assert question is not None
    assert len(annotation.answers) == len(question.question.candidates) >= 2
