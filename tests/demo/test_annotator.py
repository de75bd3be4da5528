"""The simulated annotator, against what the label stream's own page sends."""

import json
from typing import Any

import httpx
import pytest

from label_config.results import CANDIDATES_CONTROL, NONE_OF_THESE, VERDICT_CONTROL
from pal_backend.core.vocabulary import Question, QuestionKind
from pal_backend.demo.annotator import Annotator
from pal_backend.errors import UnavailableError
from pal_backend.wire import TaskMeta

A, B, C, D = ("a" * 16, "b" * 16, "c" * 16, "d" * 16)
LABELS = {A: 1, B: 1, C: 2, D: 1}


class LabelStream:
    """Serves tasks one by one and keeps what is submitted."""

    def __init__(self, *metas: Any) -> None:
        self.waiting = [{"id": number, "meta": meta} for number, meta in enumerate(metas, start=1)]
        self.submitted: list[tuple[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/dm/actions":
            assert request.url.params["id"] == "next_task"
            assert request.url.params["project"] == "7"
            return httpx.Response(200, json=self.waiting[0]) if self.waiting else httpx.Response(404)
        self.submitted.append((request.url.path, json.loads(request.content)))
        self.waiting.pop(0)
        return httpx.Response(201, json={})

    def answered_by(self, labels: dict[str, int]) -> Any:
        """Let the annotator answer one question; what it submitted as control name to choices."""
        with httpx.Client(transport=httpx.MockTransport(self), base_url="http://label-studio") as client:
            assert Annotator(client, 7, labels).answer_next()
        return {row["from_name"]: row["value"]["choices"] for row in self.submitted[-1][1]["result"]}


def task(kind: QuestionKind, anchor: str, *candidates: str) -> Any:
    """The meta of a task that asks this."""
    return TaskMeta(Question(kind, anchor, candidates), "demo", "pairs").to_json()


@pytest.mark.parametrize(("other", "said"), [(B, "Same"), (C, "Different")])
def test_pairs_are_answered_from_the_labels(other: str, said: str) -> None:
    """Two samples of one class are the same, others are different."""
    stream = LabelStream(task(QuestionKind.PAIR, A, other))
    assert stream.answered_by(LABELS) == {"answer": [said]}
    path, body = stream.submitted[0]
    assert path == "/api/tasks/1/annotations"
    assert body["lead_time"] >= 0


def test_screens_tick_all_of_the_class() -> None:
    """Every candidate of the anchor's class is ticked, no other."""
    stream = LabelStream(task(QuestionKind.SCREEN, A, B, C, D))
    assert stream.answered_by(LABELS) == {CANDIDATES_CONTROL: [B, D]}


def test_screens_without_a_match_say_so() -> None:
    """No candidate of the anchor's class: "None of these"."""
    stream = LabelStream(task(QuestionKind.SCREEN, C, A, B))
    assert stream.answered_by(LABELS) == {VERDICT_CONTROL: [NONE_OF_THESE]}


def test_an_empty_stream_is_told() -> None:
    """Label Studio answers 404 when there is no next task."""
    with httpx.Client(transport=httpx.MockTransport(LabelStream()), base_url="http://label-studio") as client:
        assert not Annotator(client, 7, LABELS).answer_next()


def test_a_foreign_task_ends_it() -> None:
    """A task that holds no question of ours cannot be answered."""
    stream = LabelStream({"somebody": "else's"})
    with pytest.raises(UnavailableError, match=r"task 1 in Label Studio's project 7 holds no question of ours"):
        stream.answered_by(LABELS)
