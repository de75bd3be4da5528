"""Reconcile against a real Label Studio: answers equal to its annotations, whatever webhooks missed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from label_config.render import pair_config
from label_config.results import pair_result
from pal_backend import wire
from pal_backend.core.vocabulary import AnnotationKey, Question, QuestionKind, Verdict
from pal_backend.errors import AccessError, UnavailableError
from pal_backend.label_studio import LabelStudio
from pal_backend.label_studio_session import Session
from pal_backend.reconcile import Decision, Difference, Reconciler, Report
from pal_backend.store.projects import Desk, Project
from pal_backend.store.questions import PostedQuestion, State
from pal_backend.store.stores import Stores
from tests.label_studio_server import LabelStudioServer

RECORDINGS = Path(__file__).parent / "recordings"
SAMPLES = tuple(f"{number:016x}" for number in range(200))
PICTURES = {"left": "http://127.0.0.1/a.png", "right": "http://127.0.0.1/b.png"}


@dataclass
class House:
    """A desk of pairs and what a learn sitting would do with its events."""

    stores: Stores
    client: LabelStudio
    project: Project
    admin: httpx.Client

    @property
    def desk(self) -> Desk:
        return self.project.desks[0]

    def reconcile(self, decision: Decision = Decision.WAIT) -> Report:
        return Reconciler(self.stores, self.client, lambda: 1_800_000_000.0).reconcile(self.project, decision)

    def differences(self) -> list[Difference]:
        return Reconciler(self.stores, self.client, lambda: 1_800_000_000.0).differences(self.project)

    def fold(self) -> None:
        """Fold the events into the answers, as the sitting does."""
        events, answers = self.stores.events("digits"), self.stores.answers("digits")
        questions = self.stores.questions("digits")
        for stored in events.read(events.cursor(), 1000):
            put, gone = [], []
            if isinstance(stored.event, wire.Submitted):
                for submission in stored.event.submissions:
                    posted = questions.by_task(stored.desk, submission.task)
                    assert posted is not None
                    put.append(wire.to_annotation(submission, posted.question, self.project.desk(stored.desk)))
            elif isinstance(stored.event, wire.Deleted):
                gone = [AnnotationKey(stored.desk, number) for number in stored.event.annotations]
            answers.apply(put=put, withdraw=gone, cursor=stored.id)

    def post(self, count: int) -> list[int]:
        """Post pair questions as refill does; returns the tasks."""
        questions = self.stores.questions("digits")
        asked = [
            Question(QuestionKind.PAIR, SAMPLES[start + i], (SAMPLES[start + i + 1],))
            for start in [questions.count()]
            for i in range(count)
        ]
        metas = [wire.TaskMeta(question, "digits", "pairs").to_json() for question in asked]
        tasks = self.client.import_tasks(self.desk.project_id, [{"data": PICTURES, "meta": meta} for meta in metas])
        for question, task in zip(asked, tasks, strict=True):
            questions.journal(question, "pairs", 0.0)
            questions.posted(question.id, task, 0.0)
        return tasks

    def answer(self, task: int, said: str = "Same", **more: Any) -> int:
        """Submit an annotation."""
        body = {"result": pair_result(said), "lead_time": 2.5, **more}
        return int(self.admin.post(f"/api/tasks/{task}/annotations/", json=body).raise_for_status().json()["id"])

    def verdicts(self) -> dict[int, str]:
        """Annotation number to its verdict, or its note where it has none."""
        return {
            a.key.number: str(a.answers[0].verdict) if a.answers else a.note
            for a in self.stores.answers("digits").all()
        }


@pytest.fixture
def house(stores: Stores, label_studio: LabelStudioServer) -> Iterator[House]:
    """A desk of pairs, nothing posted."""
    with closing(LabelStudio(label_studio.url, label_studio.pat)) as client, closing(label_studio.sign_in()) as admin:
        remote = client.create_project("reconcile", "", pair_config())
        project = Project("digits", "/pool", (Desk("pairs", QuestionKind.PAIR, remote.id, 1, 1),))
        stores.projects.save(project)
        yield House(stores, client, project, admin)
        admin.delete(f"/api/projects/{remote.id}/")


@pytest.mark.e2e
def test_what_happened_while_we_were_down_is_made_good(house: House) -> None:
    """20 answers, an update, a skip, a draft, 2 deletions and a convert-to-draft without us: afterwards all is equal."""
    tasks = house.post(24)
    early = [house.answer(task) for task in tasks[:4]]
    house.reconcile()
    house.fold()
    assert house.differences() == []
    late = [house.answer(task, "Different") for task in tasks[4:22]]
    house.answer(tasks[22], was_cancelled=True, result=[])
    house.admin.post(f"/api/tasks/{tasks[23]}/drafts", json={"lead_time": 1, "result": pair_result("Same")})
    house.admin.patch(f"/api/annotations/{early[0]}/", json={"result": pair_result("Unsure")}).raise_for_status()
    for number in (early[1], late[0]):
        house.admin.delete(f"/api/annotations/{number}/").raise_for_status()
    house.admin.post(f"/api/annotations/{early[2]}/convert-to-draft").raise_for_status()
    report = house.reconcile()
    assert (report.added, report.updated, report.withdrawn, report.held) == (18, 1, 2, 0)
    assert len(house.differences()) == 21
    house.fold()
    assert house.differences() == []
    assert house.verdicts() == {early[0]: "unsure", early[3]: "same", **dict.fromkeys(late[1:], "different")} | {
        max(house.verdicts()): "skipped"
    }
    assert not house.reconcile().changed


@pytest.mark.e2e
def test_everything_comes_back_from_label_studio_alone(house: House) -> None:
    """After Redis was lost, questions and answers are rebuilt from the tasks and their annotations."""
    tasks = house.post(3)
    house.answer(tasks[0])
    house.answer(tasks[1], "Different")
    before = house.stores.questions("digits").all()
    house.stores.redis.flushdb()
    report = house.reconcile()
    assert (report.restored, report.added) == (3, 2)
    house.fold()
    assert house.differences() == []
    after = house.stores.questions("digits").all()
    assert {(q.id, q.task, q.question) for q in after} == {(q.id, q.task, q.question) for q in before}


@pytest.mark.e2e
def test_a_mass_disappearance_waits_for_a_person(house: House) -> None:
    """Many deleted at once: nothing is withdrawn, it is held with its reason, until it is accepted."""
    tasks = house.post(14)
    for task in tasks:
        house.answer(task)
    house.reconcile()
    house.fold()
    for task in tasks[:11]:
        house.client.delete_task(task)
    report = house.reconcile()
    held = house.stores.answers("digits").held()
    assert (report.withdrawn, report.held) == (0, 11)
    assert held is not None and len(held.keys) == 11 and "11 of 14 annotations vanished" in held.reason
    house.fold()
    assert house.stores.answers("digits").count() == 14
    assert house.reconcile(Decision.ACCEPT).withdrawn == 11
    house.fold()
    assert house.differences() == [] and house.stores.answers("digits").held() is None


@pytest.mark.e2e
def test_a_deleted_project_is_held_and_may_be_kept(house: House) -> None:
    """When the project itself is gone, all its answers are held; kept by decision, they stand and are not held again."""
    house.answer(house.post(1)[0])
    house.reconcile()
    house.fold()
    house.admin.delete(f"/api/projects/{house.desk.project_id}/")
    report = house.reconcile()
    assert report.held == 1 and "--keep" in report.reasons[0]
    assert house.reconcile(Decision.KEEP).kept == 1
    again = house.reconcile()
    assert (again.held, again.withdrawn) == (0, 0)
    assert house.stores.answers("digits").held() is None and house.stores.answers("digits").count() == 1


@pytest.mark.e2e
def test_what_comes_back_is_no_longer_held(house: House) -> None:
    """A hold ends by itself when nothing is missing any more."""
    house.stores.answers("digits").hold([AnnotationKey("pairs", 1)], "gone for a while")
    house.reconcile()
    assert house.stores.answers("digits").held() is None


@pytest.mark.e2e
def test_a_question_whose_task_was_deleted_is_closed(house: House) -> None:
    """An open question without a task would never be answered and would count as open for ever."""
    tasks = house.post(2)
    house.client.delete_task(tasks[0])
    report = house.reconcile()
    open_tasks = [posted.task for posted in house.stores.questions("digits").open()]
    assert (report.lost_questions, report.changed, open_tasks) == (1, True, [tasks[1]])


@pytest.mark.e2e
def test_tasks_of_others_are_passed_over(house: House) -> None:
    """Annotations on tasks that are no questions of ours are not sent, again and again."""
    (task,) = house.client.import_tasks(house.desk.project_id, [{"data": PICTURES}])
    house.answer(task)
    report = house.reconcile()
    assert (report.read, report.added, report.restored) == (0, 0, 0)
    assert not house.stores.events("digits").pending()


def recorded(number: str) -> Any:
    """What Label Studio answered in a recording."""
    (path,) = RECORDINGS.glob(f"{number}_*.json")
    return json.loads(path.read_text())["label_studio_response"]["body"]


class Canned(httpx.BaseTransport):
    """Label Studio as recorded: pages of tasks, and the annotations that still exist."""

    def __init__(
        self, tasks: list[Mapping[str, Any]], existing: frozenset[int] = frozenset(), status: int = 200
    ) -> None:
        self.tasks = tasks
        self.existing = existing
        self.status = status
        self.asked: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        path = request.url.path
        self.asked.append(path)
        if self.status != 200:
            return httpx.Response(self.status, json={"detail": "no"})
        if path == "/api/tasks":
            last = [r["value"] for r in json.loads(request.url.params["query"])["filters"]["items"]]
            return httpx.Response(
                200, json={"tasks": [task for task in self.tasks if not last or task["id"] > last[0]]}
            )
        there = path.startswith("/api/annotations/") and int(path.split("/")[3]) in self.existing
        return httpx.Response(200 if there else 404, json={"id": 1} if there else {"detail": "not found"})


def canned(transport: Canned) -> LabelStudio:
    """A client of it."""
    session = Session("http://ls.test", "0" * 40, transport=transport, sleep=lambda _: None)
    return LabelStudio("http://ls.test", "", session=session)


@pytest.fixture
def known(stores: Stores) -> tuple[Stores, Project, Question]:
    """Task 48 of the recordings asks a question of ours."""
    project = Project("digits", "/pool", (Desk("pairs", QuestionKind.PAIR, 6, 1, 1),))
    stores.projects.save(project)
    question = Question(QuestionKind.PAIR, SAMPLES[0], (SAMPLES[1],), probabilities=(0.25,))
    stores.questions("digits").restore(PostedQuestion(question, "pairs", State.OPEN, 48, 0.0))
    return stores, project, question


@pytest.mark.parametrize("number", ["64", "65", "67"])
def test_recorded_annotations_of_two_people_become_three_answers(
    known: tuple[Stores, Project, Question], number: str
) -> None:
    """Task, export and page state annotators differently; each gives Same, Different and Unsure of users 1, 3 and 1."""
    stores, project, _ = known
    body = recorded(number)
    tasks = body["tasks"] if number == "67" else body if number == "65" else [body]
    transport = Canned([{**task, "project": 6} for task in tasks])
    report = Reconciler(stores, canned(transport), lambda: 0.0).reconcile(project)
    assert (report.read, report.added, report.unreadable) == (3, 3, 0)
    (stored,) = stores.events("digits").read("0-0", 10)
    assert isinstance(stored.event, wire.Submitted) and stored.desk == "pairs"
    found = [wire.to_annotation(s, known[2], project.desks[0]) for s in stored.event.submissions]
    assert [(a.key.number, a.annotator, a.answers[0].verdict, a.answers[0].predicted) for a in found] == [
        (14, "1", Verdict.SAME, 0.25),
        (15, "3", Verdict.DIFFERENT, 0.25),
        (16, "1", Verdict.UNSURE, 0.25),
    ]


def test_the_flat_export_says_the_same(known: tuple[Stores, Project, Question]) -> None:
    """JSON_MIN, which has one row an annotation, agrees with what is read from the page."""
    stores, project, _ = known
    transport = Canned([{**task, "project": 6} for task in recorded("67")["tasks"]])
    Reconciler(stores, canned(transport), lambda: 0.0).reconcile(project)
    (stored,) = stores.events("digits").read("0-0", 10)
    assert isinstance(stored.event, wire.Submitted)
    page = {s.annotation: (s.choices["answer"][0], int(s.annotator), s.seconds) for s in stored.event.submissions}
    flat = {row["annotation_id"]: (row["answer"], row["annotator"], row["lead_time"]) for row in recorded("66")}
    assert page == flat


def folded(known: tuple[Stores, Project, Question], numbers: range) -> None:
    """Answers by annotations of these numbers."""
    stores, project, question = known
    submission = wire.parse_submission(recorded("64")["annotations"][0])
    stores.answers("digits").put(
        wire.to_annotation(replace(submission, annotation=n), question, project.desks[0]) for n in numbers
    )


def test_an_annotation_that_label_studio_still_has_is_not_withdrawn(known: tuple[Stores, Project, Question]) -> None:
    """Missing from the pages (its task moved between two of them) is not enough: each is asked for by itself."""
    folded(known, range(1, 4))
    stores, project, _ = known
    report = Reconciler(stores, canned(Canned([], existing=frozenset({2}))), lambda: 0.0).reconcile(project)
    (stored,) = stores.events("digits").read("0-0", 10)
    assert report.withdrawn == 2
    assert stored.event == wire.Deleted((1, 3), project=6)


def test_an_answer_that_came_during_the_comparison_is_left_alone(known: tuple[Stores, Project, Question]) -> None:
    """What was not known before Label Studio was read cannot have vanished from it."""
    stores, project, _ = known

    class Interrupted(Canned):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            folded(known, range(7, 8))
            return super().handle_request(request)

    report = Reconciler(stores, canned(Interrupted([])), lambda: 0.0).reconcile(project)
    assert (report.withdrawn, report.held) == (0, 0)
    assert not stores.events("digits").pending()


def test_what_was_deleted_does_not_come_back(known: tuple[Stores, Project, Question]) -> None:
    """An annotation with a tombstone is not sent again with every comparison."""
    stores, project, _ = known
    stores.answers("digits").withdraw([AnnotationKey("pairs", 14)])
    transport = Canned([{**task, "project": 6} for task in recorded("67")["tasks"]])
    assert Reconciler(stores, canned(transport), lambda: 0.0).reconcile(project).added == 2


def test_an_unreadable_annotation_is_neither_taken_nor_withdrawn(known: tuple[Stores, Project, Question]) -> None:
    """An annotation whose result somebody spoilt is counted, and what we know of it stands."""
    folded(known, range(14, 15))
    stores, project, _ = known
    spoilt = {**recorded("64"), "annotations": [{"id": 14, "result": "?", "updated_at": "now"}]}
    report = Reconciler(stores, canned(Canned([spoilt])), lambda: 0.0).reconcile(project)
    assert (report.unreadable, report.added, report.withdrawn) == (1, 0, 0)


@pytest.mark.parametrize(("status", "error"), [(401, AccessError), (500, UnavailableError), (503, UnavailableError)])
def test_an_unwilling_label_studio_withdraws_nothing(
    known: tuple[Stores, Project, Question], status: int, error: type[Exception]
) -> None:
    """A wrong token or a failing server is an error, never a mass disappearance."""
    folded(known, range(1, 4))
    stores, project, _ = known
    with pytest.raises(error):
        Reconciler(stores, canned(Canned([], status=status)), lambda: 0.0).reconcile(project)
    assert stores.answers("digits").held() is None and not stores.events("digits").pending()


def test_retired_desks_are_not_asked_about(known: tuple[Stores, Project, Question]) -> None:
    """The answers of a desk whose Label Studio is lost stand."""
    folded(known, range(1, 4))
    stores, project, _ = known
    transport = Canned([])
    retired = replace(project, desks=(replace(project.desks[0], retired=True),))
    reconciler = Reconciler(stores, canned(transport), lambda: 0.0)
    assert not reconciler.reconcile(retired).changed and reconciler.differences(retired) == []
    assert transport.asked == []
