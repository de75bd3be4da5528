"""Re-checks and a second person, measured on the label stream of a real Label Studio with two members."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser

from label_config.results import pair_result
from pal_backend import wire
from pal_backend.core.vocabulary import Purpose, Question
from pal_backend.label_studio_values import RemoteTask
from pal_backend.settings import Settings
from pal_backend.store.questions import PostedQuestion
from pal_backend.store.stores import Stores
from pal_backend.store.withheld import Withheld
from pal_backend.withholding import Withholding
from tests.browser import signed_in
from tests.label_studio_server import LabelStudioServer
from tests.refill_house import House, open_house

pytestmark = pytest.mark.e2e

RECHECKS = 20
SUBMIT = "button[aria-label='submit'], button:has-text('Submit')"


@pytest.fixture
def house(stores: Stores, settings: Settings, label_studio: LabelStudioServer) -> Iterator[House]:
    """A desk of pairs with a model version and no questions."""
    with open_house(stores, settings, label_studio) as house:
        yield house


@dataclass
class Person:
    """Somebody in the label stream."""

    client: httpx.Client
    id: str
    email: str

    def next_task(self, house: House) -> dict[str, Any]:
        """What "Label All Tasks" asks for."""
        project = str(house.desk.project_id)
        asked = {"id": "next_task", "project": project}
        answer = self.client.post("/api/dm/actions", params=asked, json={"project": project})
        return {} if answer.status_code == httpx.codes.NOT_FOUND else answer.raise_for_status().json()

    def answer_next(self, house: House) -> int:
        """Submit on the next task; returns its number."""
        task = int(self.next_task(house)["id"])
        house.answer(task, self.client)
        return task


def person(client: httpx.Client) -> Person:
    """Whose session this is."""
    found = client.get("/api/current-user/whoami").raise_for_status().json()
    return Person(client, str(found["id"]), found["email"])


@pytest.fixture
def two(house: House, label_studio: LabelStudioServer) -> Iterator[tuple[Person, Person]]:
    """Two members of the organization."""
    with closing(label_studio.second_user(f"second{house.desk.project_id}@example.com")) as second:
        yield person(house.admin), person(second)


def withheld(house: House) -> Withheld:
    return house.stores.withheld(house.project.name)


def recheck(house: House, *spared: Person, informativeness: float = 0.9) -> Question:
    """Journal a re-check that is kept from these people."""
    (question,) = house.ask(informativeness, purpose=Purpose.RECHECK)
    withheld(house).keep(question.id, house.desk.name, [one.id for one in spared])
    return question


def task_of(house: House, question: Question) -> RemoteTask:
    posted = house.questions.get(question.id)
    assert posted is not None
    return next(task for task in house.tasks() if task.id == posted.task)


def share_by_the_other(house: House, two: tuple[Person, Person], *, keep: bool) -> int:
    """Two people take turns until every re-check is answered: how many by the other person.

    About ten questions are open at a time, some of them re-checks of an answer of either, as it is live. Label Studio
    serves the lowest score first, whoever asks; whose answers are checked is drawn, or the turns would decide.
    """
    rng = np.random.default_rng(0)
    author_of: dict[int, Person] = {}
    answered: dict[int, Person] = {}
    house.ask(*[0.5] * 6)
    for turn in range(20 * RECHECKS):
        if turn % 8 == 0 and len(author_of) < RECHECKS:
            authors = [two[i] for i in rng.permutation([0, 0, 1, 1])]
            fresh = [(recheck(house, *([one] if keep else [])), one) for one in authors]
            house.ask(*[0.5] * 4)
            assert house.refill().withheld == (len(fresh) if keep else 0)
            numbers = {task.raw["meta"]["question_id"]: task.id for task in house.tasks()}
            author_of |= {numbers[question.id]: one for question, one in fresh}
        who = two[turn % 2]
        answered[who.answer_next(house)] = who
        if len(author_of) == RECHECKS and author_of.keys() <= answered.keys():
            break
    return sum(answered[task].id != author.id for task, author in author_of.items())


def test_the_other_person_answers_what_is_kept_from_one(house: House, two: tuple[Person, Person]) -> None:
    """Of 20 re-checks, ten kept from each, every one is answered by the other of two people who take turns."""
    assert share_by_the_other(house, two, keep=True) == RECHECKS


def test_left_to_chance_it_is_about_half(house: House, two: tuple[Person, Person]) -> None:
    """What the test above is worth: with nothing kept back, either person gets a re-check."""
    # Binomial(20, 1/2) is outside 2..18 once in 25,000 runs.
    assert 2 <= share_by_the_other(house, two, keep=False) <= RECHECKS - 2


def test_no_annotation_no_webhook_no_trace(house: House, two: tuple[Person, Person]) -> None:
    """What keeps a task back is no annotation and counts nowhere; once answered and closed, nothing of it is left."""
    first, second = two
    question = recheck(house, first)
    house.refill()
    task = task_of(house, question)
    assert task.has_draft and not task.annotations and not task.labelled
    assert {name: task.raw[name] for name in ("total_annotations", "cancelled_annotations")} == {
        "total_annotations": 0,
        "cancelled_annotations": 0,
    }
    assert second.answer_next(house) == task.id
    house.questions.close([question.id], "answered")
    house.refill()
    (exported,) = house.admin.get(f"/api/projects/{house.desk.project_id}/export?exportType=JSON").json()
    assert exported["drafts"] == [] and [a["completed_by"] for a in exported["annotations"]] == [int(second.id)]
    assert withheld(house).all() == {}


def test_alone_it_is_served_once_given_back(house: House, two: tuple[Person, Person]) -> None:
    """With nobody else there the re-check is given back, and comes in its turn, to the same person."""
    first, _ = two
    question = recheck(house, first, informativeness=0.9)
    house.ask(0.5, 0.4)
    house.refill()
    task = task_of(house, question).id
    assert first.answer_next(house) != task

    withheld(house).give_back([question.id])
    house.refill()

    served = first.next_task(house)
    assert (served["id"], served["queue"]) == (task, "Active learning or random queue")
    assert served["drafts"] == []
    assert withheld(house).all() == {}


def test_with_nothing_else_left_it_is_served_all_the_same(house: House, two: tuple[Person, Person]) -> None:
    """Label Studio itself serves what was put off when the stream has nothing else, so nobody is ever stuck."""
    first, _ = two
    question = recheck(house, first)
    house.ask(0.5)
    house.refill()
    task = task_of(house, question).id
    assert first.answer_next(house) != task
    served = first.next_task(house)
    assert (served["id"], served["queue"]) == (task, "Postponed draft queue")
    house.answer(task, first.client)
    assert first.next_task(house) == {}


def test_a_moot_recheck_is_deleted_like_any_other(house: House, two: tuple[Person, Person]) -> None:
    """Our own draft does not pass for somebody's work: the task goes when nobody can have it open."""
    question = recheck(house, two[0])
    house.refill()
    house.questions.close([question.id], "moot")
    house.refill()
    (task,) = house.tasks()
    assert not task.has_draft
    house.now[0] = 2_000_000_000.0
    assert house.refill().deleted == 1


def test_a_moot_recheck_leaves_the_order_before_it_is_released(
    house: House, two: tuple[Person, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two steps nobody is served it, least of all the person it was kept from."""
    question = recheck(house, two[0])
    (other,) = house.ask(0.1)
    house.refill()
    house.questions.close([question.id], "moot")
    meanwhile = []
    release = Withholding.release

    def asked_right_after(self: Withholding, tasks: Sequence[RemoteTask]) -> None:
        release(self, tasks)
        meanwhile.append(two[0].next_task(house)["id"])

    monkeypatch.setattr(Withholding, "release", asked_right_after)
    house.refill()
    assert meanwhile == [task_of(house, other).id]


def test_what_a_person_began_is_left_alone(house: House, two: tuple[Person, Person]) -> None:
    """Opened from the table and begun, the draft is that person's: neither it nor its task is deleted."""
    question = recheck(house, two[0])
    house.refill()
    (draft,) = house.client.drafts(task_of(house, question).id)
    assert (draft.email, draft.empty, draft.import_id) == (two[0].email, True, wire.PLACEHOLDER)
    body = {"result": pair_result("Same"), "lead_time": 2}
    two[0].client.patch(f"/api/drafts/{draft.id}/", json=body).raise_for_status()
    house.questions.close([question.id], "moot")
    house.now[0] = 2_000_000_000.0
    assert house.refill().deleted == 0 and house.refill().deleted == 0
    assert [found.empty for found in house.client.drafts(task_of(house, question).id)] == [False]


def test_after_redis_was_lost_the_recheck_is_for_everybody(house: House, two: tuple[Person, Person]) -> None:
    """What Redis no longer knows to be kept from somebody is opened, whoever put the question back into the journal."""
    question = recheck(house, two[0])
    house.refill()
    task = task_of(house, question).id
    house.stores.redis.flushdb()
    house.publish(1)
    assert house.refill().found_again == 1
    assert two[0].next_task(house)["id"] == task


def test_a_recheck_journalled_while_refill_runs_is_kept_as_well(
    house: House, two: tuple[Person, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Learning goes on meanwhile: what is kept is read after the questions that are to be posted."""
    release = Withholding.release

    def late(self: Withholding, tasks: Sequence[RemoteTask]) -> None:
        release(self, tasks)
        recheck(house, two[0])

    monkeypatch.setattr(Withholding, "release", late)
    assert house.refill().withheld == 1


def test_nobody_is_served_it_before_its_draft_stands(
    house: House, two: tuple[Person, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Label Studio commits an import's tasks before its drafts; until then the best question of all is passed over."""
    (other,) = house.ask(0.1)
    house.refill()
    question = recheck(house, two[0])
    meanwhile = []
    confirm = Withholding.confirm

    def asked_meanwhile(self: Withholding, posted: Sequence[PostedQuestion]) -> int:
        meanwhile.append(two[1].next_task(house)["id"])
        return confirm(self, posted)

    monkeypatch.setattr(Withholding, "confirm", asked_meanwhile)
    assert house.refill().withheld == 1
    assert meanwhile == [task_of(house, other).id]
    house.answer(meanwhile[0], two[1].client)
    assert two[1].next_task(house)["id"] == task_of(house, question).id


def test_people_who_left_are_passed_over(house: House, two: tuple[Person, Person]) -> None:
    """An unknown person would put the draft in our own account's name, and so is passed over; several people are fine."""
    gone = recheck(house, Person(house.admin, "999999", ""))
    both = recheck(house, *two)
    assert house.refill().withheld == 1
    assert not task_of(house, gone).has_draft
    assert {draft.email for draft in house.client.drafts(task_of(house, both).id)} == {one.email for one in two}


def test_in_a_browser_the_spared_person_goes_on_and_can_answer_it_last(
    house: House, two: tuple[Person, Person], label_studio: LabelStudioServer, browser: Browser
) -> None:
    """The button serves other questions first; when it is all that is left the page shows it blank, and Submit works."""
    spared = two[1]
    question = recheck(house, spared)
    (other,) = house.ask(0.1)
    house.refill()
    kept, free = task_of(house, question).id, task_of(house, other).id
    page = signed_in(browser, label_studio.url, spared.email)
    page.goto(f"{label_studio.url}/projects/{house.desk.project_id}/data")
    with page.expect_response(lambda r: "id=next_task" in r.url) as served:
        page.click("button:has-text('Label All Tasks')")
    assert served.value.json()["id"] == free
    for task in (free, kept):
        page.wait_for_selector(SUBMIT, state="visible")
        assert not page.locator("input:checked").count()
        page.keyboard.press("1")
        with (
            page.expect_response(lambda r: "/annotations" in r.url and r.request.method == "POST") as sent,
            page.expect_response(lambda r: "id=next_task" in r.url) as following,
        ):
            page.click(SUBMIT)
        assert sent.value.status == 201 and f"/tasks/{task}/" in sent.value.url
        assert following.value.status in (200, 404)
    page.context.close()
    assert [len(task.annotations) for task in house.tasks()] == [1, 1]
    assert house.client.drafts(kept) == []
