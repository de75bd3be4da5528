"""Refill against a real Label Studio: once each, in the right order, nothing prefilled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from label_config.render import screen_config
from label_config.results import pair_result
from pal_backend.core.vocabulary import Purpose, Question, QuestionKind
from pal_backend.errors import UnavailableError
from pal_backend.refill import SETTLED, RefillReport
from pal_backend.settings import Settings
from pal_backend.store.projects import Project
from pal_backend.store.questions import State
from pal_backend.store.stores import Stores
from tests.label_studio_server import LabelStudioServer
from tests.refill_house import SAMPLES, House, Killed, open_house

pytestmark = pytest.mark.e2e


@pytest.fixture
def house(stores: Stores, settings: Settings, label_studio: LabelStudioServer) -> Iterator[House]:
    """A desk of pairs with a model version and no questions."""
    with open_house(stores, settings, label_studio) as house:
        yield house


def test_posts_each_question_once_and_is_served_in_order(house: House) -> None:
    """Journalled questions stand in Label Studio once; the most informative is served first; nothing is prefilled."""
    questions = house.ask(0.1, 0.9, 0.4, 0.7, 0.3)
    assert house.refill() == RefillReport(posted=5, open=5)
    assert house.refill() == RefillReport(open=5)
    assert sorted(house.asked()) == sorted(question.id for question in questions)
    assert house.client.project(house.desk.project_id).model_version == "v0000"
    assert all(not prediction.choices for task in house.tasks() for prediction in task.predictions)
    assert house.served_scores(5) == [0.1, 0.3, 0.6, 0.7, 0.9]


def test_a_paused_project_posts_nothing_and_rescores_what_is_open(house: House) -> None:
    """What is journalled waits until somebody goes on; open tasks stay in their order."""
    first, _ = house.ask(0.2, 0.8)
    house.refill()
    house.ask(0.5)
    house.project = replace(house.project, paused_at=1.0)
    house.questions.rescore({first.id: (0.1, ())})
    assert house.refill() == RefillReport(rescored=1, open=2)
    house.project = replace(house.project, paused_at=0.0)
    assert house.refill() == RefillReport(posted=1, open=3)


def test_order_and_blank_label_stream_hold_although_guesses_are_stored(house: House) -> None:
    """With show_collab_predictions off and model_version set after it, Label Studio itself keeps the order and hides guesses."""
    house.desk = replace(house.desk, prelabel=True)
    house.ask(0.2, 0.8, 0.5, probabilities=(0.9,))
    house.refill()
    assert not house.client.project(house.desk.project_id).show_predictions
    assert {choice for task in house.tasks() for p in task.predictions for choice in p.choices} == {"Same"}
    assert house.served_scores(3) == [0.2, 0.5, 0.8]


def test_a_prelabelling_desk_serves_the_guess_but_never_on_verification(house: House) -> None:
    """With prelabelling the stream gets the guess to show, but re-check and verification questions carry a score alone."""
    house.desk = replace(house.desk, prelabel=True)
    house.client.patch_project(house.desk.project_id, show_collab_predictions=True)
    house.ask(0.9, probabilities=(0.2,))
    house.ask(0.8, probabilities=(0.2,), purpose=Purpose.VERIFY)
    house.ask(0.7, probabilities=(0.2,), purpose=Purpose.RECHECK)
    house.refill()
    served = []
    for _ in range(3):
        task = house.next_task()
        served.append([row["value"]["choices"] for prediction in task["predictions"] for row in prediction["result"]])
        house.answer(task["id"])
    assert served == [[["Different"]], [], []]


def test_a_killed_refill_does_not_post_twice(house: House) -> None:
    """Killed between import and journal, also when one task was answered meanwhile: the next run finds the tasks again."""
    questions = house.ask(0.9, 0.5, 0.1)
    house.client.dies = Killed
    with pytest.raises(Killed):
        house.refill()
    house.client.dies = None
    house.answer(house.tasks()[1].id)
    assert {posted.state for posted in house.questions.open("pairs")} == {State.JOURNALED}
    house.stores.redis.delete("pal:digits:errand:refill-pairs")  # its time to live is over
    more = house.ask(0.6)
    assert house.refill() == RefillReport(posted=1, found_again=3, open=3)
    assert sorted(house.asked()) == sorted(question.id for question in questions + more)
    assert {posted.state for posted in house.questions.open("pairs")} == {State.OPEN}


def test_nobody_posts_while_an_import_is_uncertain(house: House) -> None:
    """When the answer to an import got lost, the desk stays taken for a while, and then the tasks are found again."""
    house.ask(0.9)
    house.client.dies = UnavailableError
    with pytest.raises(UnavailableError, match="after the import"):
        house.refill()
    house.client.dies = None
    with pytest.raises(UnavailableError, match="another process"):
        house.refill()
    house.stores.redis.delete("pal:digits:errand:refill-pairs")
    assert house.refill() == RefillReport(found_again=1, open=1)
    assert len(house.asked()) == 1


def test_tasks_rebuild_the_journal(house: House) -> None:
    """After Redis was lost the open questions come back from the tasks themselves, and nothing is posted again."""
    questions = house.ask(0.9, 0.5)
    house.refill()
    house.stores.redis.flushdb()
    house.publish(1)
    assert house.refill().found_again == 2
    assert {posted.question for posted in house.questions.open("pairs")} == set(questions)
    assert len(house.asked()) == 2


def test_scores_are_updated_in_place(house: House) -> None:
    """A score is patched when it is off by more than 0.02; the prediction stays the same one."""
    first, second, third = house.ask(0.9, 0.5, 0.1)
    house.refill()
    before = {p.id for task in house.tasks() for p in task.predictions}
    house.questions.rescore({first.id: (0.95, (0.5,)), second.id: (0.51, (0.5,)), third.id: (0.05, (0.5,))})
    assert house.refill() == RefillReport(rescored=2, open=3)
    after = {p.id: p.score for task in house.tasks() for p in task.predictions}
    assert set(after) == before and sorted(after.values()) == [0.05, 0.5, 0.95]
    assert house.served_scores(3) == [0.05, 0.51, 0.95]


def test_a_new_version_gets_its_own_predictions(house: House) -> None:
    """When training publishes, every open task gets one prediction of the new version, and old ones are deleted."""
    house.ask(0.9, 0.1, 0.5)
    house.refill()
    house.answer(house.tasks()[0].id)
    house.publish(1)
    assert house.refill() == RefillReport(rescored=2, open=2)
    assert house.client.project(house.desk.project_id).model_version == "v0001"
    assert [p.model_version for task in house.tasks() for p in task.predictions] == ["v0001", "v0001"]
    assert house.refill() == RefillReport(open=2)
    assert house.served_scores(2) == [0.5, 0.9]


def test_predictions_of_others_are_left_alone(house: House) -> None:
    """Only versions of ours are pruned: the team may keep predictions of another model."""
    house.ask(0.9)
    house.refill()
    task = house.tasks()[0].id
    house.client.create_predictions(
        house.desk.project_id, [{"task": task, "result": [], "score": 0.5, "model_version": "theirs"}]
    )
    house.publish(1)
    house.refill()
    assert {p.model_version for p in house.tasks()[0].predictions} == {"theirs", "v0001"}


def test_settled_tasks_leave_the_order_and_are_deleted_late(house: House) -> None:
    """A moot question is asked after all others, and its task is deleted only when nobody can have it open."""
    moot, drafted, good = house.ask(0.9, 0.8, 0.1)
    house.refill()
    tasks = {task.raw["meta"]["question_id"]: task.id for task in house.tasks()}
    house.questions.close([moot.id, drafted.id], "moot")
    assert house.refill() == RefillReport(settled=2, open=1)
    predictions = {task.id: task.predictions for task in house.tasks()}
    assert [(p.score, p.model_version) for p in predictions[tasks[moot.id]]] == [(1.0, SETTLED)]
    assert house.next_task()["id"] == tasks[good.id]
    house.admin.post(f"/api/tasks/{tasks[drafted.id]}/drafts", json={"lead_time": 1, "result": pair_result("Same")})
    settled_at = predictions[tasks[moot.id]][0].updated_at
    house.now[0] = settled_at + 3500
    assert house.refill().deleted == 0
    house.now[0] = settled_at + 3700
    assert house.refill().deleted == 1
    assert {task.id for task in house.tasks()} == {tasks[drafted.id], tasks[good.id]}


def test_a_skip_settles_the_task_and_keeps_it(house: House) -> None:
    """A skipped task is served after all others, and never deleted, since the skip hangs on it."""
    skipped, _ = house.ask(0.9, 0.1)
    house.refill()
    tasks = {task.raw["meta"]["question_id"]: task.id for task in house.tasks()}
    house.answer(tasks[skipped.id], was_cancelled=True, result=[])
    house.questions.close([skipped.id], "skipped")
    assert house.refill() == RefillReport(settled=1, open=1)
    house.now[0] = 2_000_000_000.0
    assert house.refill() == RefillReport(open=1)


def test_a_second_copy_is_settled(house: House) -> None:
    """Should a question stand there twice, the second task leaves the order and the first stays."""
    house.ask(0.9)
    house.refill()
    (task,) = house.tasks()
    copy = {"data": task.raw["data"], "meta": task.raw["meta"]}
    prediction = {"result": [], "score": 0.1, "model_version": "v0000"}
    house.client.import_tasks(house.desk.project_id, [{**copy, "predictions": [prediction]}])
    report = house.refill()
    assert (report.settled, report.open) == (1, 1)
    assert house.next_task()["id"] == task.id


def test_settled_tasks_are_passed_over_when_two_people_label(house: House, label_studio: LabelStudioServer) -> None:
    """With two annotators, too, settled tasks come only when nothing else is left."""
    settled = house.ask(*[0.9] * 8)
    house.ask(0.2, 0.2, 0.2, 0.2)
    house.refill()
    house.questions.close([question.id for question in settled], "moot")
    house.refill()
    unwanted = {posted.task for question in settled if (posted := house.questions.get(question.id))}
    with closing(label_studio.second_user(f"second{house.desk.project_id}@example.com")) as second:
        served = []
        for who in (house.admin, second, house.admin, second):
            served.append(house.next_task(who)["id"])
            house.answer(served[-1], who)
    assert len(set(served)) == 4 and not unwanted & set(served)


def test_without_the_feature_flag_a_recheck_goes_to_anybody(house: House) -> None:
    """Label Studio as it comes does not import drafts: the question is posted, nothing stands, and that is known."""
    (recheck,) = house.ask(0.9, purpose=Purpose.RECHECK)
    house.stores.withheld("digits").keep(recheck.id, "pairs", ["1"])
    assert house.refill() == RefillReport(posted=1, open=1)
    (task,) = house.tasks()
    assert not task.has_draft and house.stores.withheld("digits").all() == {}
    assert house.next_task()["id"] == task.id


def test_a_screen_is_posted_whole(house: House) -> None:
    """A screen's task has its candidates by id, our signed pictures, and a score alone."""
    house.client.patch_project(house.desk.project_id, label_config=screen_config())
    house.desk = replace(house.desk, kind=QuestionKind.SCREEN)
    question = Question(QuestionKind.SCREEN, SAMPLES[0], SAMPLES[1:5], probabilities=(0.9, 0.1, 0.6, 0.2))
    house.questions.journal(question, "pairs", 0.0)
    house.refill()
    (task,) = house.tasks()
    data = task.raw["data"]
    assert [candidate["value"] for candidate in data["candidates"]] == list(SAMPLES[1:5])
    assert data["anchor"].startswith(f"http://127.0.0.1:9090/media/digits/{SAMPLES[0]}?sig=")
    assert task.predictions[0].choices == frozenset()


def test_a_screen_that_holds_a_check_shows_no_guess(house: House) -> None:
    """On a prelabelling desk of screens the guess is served, with the chance that it is right; not where a check stands
    among the candidates, which nothing in the task's data tells apart.
    """
    house.client.patch_project(house.desk.project_id, label_config=screen_config(), show_collab_predictions=True)
    house.desk = replace(house.desk, kind=QuestionKind.SCREEN, prelabel=True)
    said = {"probabilities": (0.9, 0.1)}
    for first, checks in ((0, ()), (10, (SAMPLES[12],))):
        candidates = SAMPLES[first + 1 : first + 3]
        question = Question(QuestionKind.SCREEN, SAMPLES[first], candidates, checks=checks, **said)  # type: ignore[arg-type]
        house.questions.journal(question, "pairs", float(first))
    house.refill()
    plain, mixed = sorted(house.tasks(), key=lambda task: task.id)
    assert [row["value"]["choices"] for row in plain.raw["predictions"][0]["result"]] == [[SAMPLES[1]]]
    assert plain.raw["predictions"][0]["result"][0]["score"] == 0.81
    assert mixed.raw["predictions"][0]["result"] == []
    assert plain.raw["data"].keys() == mixed.raw["data"].keys()
    assert [candidate.keys() for candidate in plain.raw["data"]["candidates"]] == [
        candidate.keys() for candidate in mixed.raw["data"]["candidates"]
    ]


def test_a_project_that_is_gone_is_reported(house: House) -> None:
    """Without its Label Studio project a desk posts nothing, and the report says what to do."""
    house.ask(0.5)
    house.admin.delete(f"/api/projects/{house.desk.project_id}/")
    report = house.refill()
    assert "pal init" in report.problem and report.posted == 0
    assert json.dumps(report.to_json())


def test_without_a_version_nothing_is_posted(house: House, stores: Stores) -> None:
    """Before the pool was ingested there is no model version, hence no score to order by."""
    fresh = Project("empty", "/pool", (house.desk,))
    stores.projects.save(fresh)
    assert "no model version" in house.refiller.refill(fresh, house.desk).problem
