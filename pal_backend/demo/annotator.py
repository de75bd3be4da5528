"""A simulated person: takes the next task as the label stream serves it, looks up the hidden labels, submits."""

from __future__ import annotations

import time
from collections.abc import Hashable, Mapping
from typing import Any

import httpx

from label_config import results
from pal_backend.core.vocabulary import Question, QuestionKind, SampleId
from pal_backend.errors import UnavailableError
from pal_backend.wire import TaskMeta


class Annotator:
    """Answers the questions of one desk through Label Studio's REST API, and never errs.

    Args:
        client: for Label Studio, signed in as the annotator.
        project_id: Label Studio's project.
        labels: the true class of each sample; nobody else sees them.
    """

    def __init__(self, client: httpx.Client, project_id: int, labels: Mapping[SampleId, Hashable]) -> None:
        self._client = client
        self._project_id = project_id
        self._labels = labels

    def answer_next(self) -> bool:
        """Answer one question; False when the label stream has none.

        Raises:
            UnavailableError: Label Studio refuses, or serves a task that is not ours.
        """
        task = self._next_task()
        if task is None:
            return False
        opened = time.monotonic()
        meta = TaskMeta.from_json(task.get("meta"))
        if meta is None:
            raise UnavailableError(
                f"task {task.get('id')} in Label Studio's project {self._project_id} holds no question of ours"
            )
        answer = self._client.post(
            f"/api/tasks/{task['id']}/annotations",
            params={"project": self._project_id},
            json={
                "result": self._result(meta.question),
                "lead_time": round(time.monotonic() - opened, 3),
                "was_cancelled": False,
                "project": str(self._project_id),
            },
        )
        _expect(answer, "submitting an annotation")
        return True

    def _next_task(self) -> dict[str, Any] | None:
        # What the label stream's page itself sends (seen in Label Studio 1.23.2).
        answer = self._client.post(
            "/api/dm/actions",
            params={"id": "next_task", "project": self._project_id},
            json={"project": str(self._project_id)},
        )
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        _expect(answer, "asking for the next task")
        task: dict[str, Any] = answer.json()
        return task

    def _result(self, question: Question) -> list[dict[str, Any]]:
        anchor = self._labels[question.anchor]
        matching = [sample for sample in question.candidates if self._labels[sample] == anchor]
        if question.kind is QuestionKind.PAIR:
            return results.pair_result(results.SAME if matching else results.DIFFERENT)
        return results.screen_result(matching)


def _expect(answer: httpx.Response, doing: str) -> None:
    if answer.status_code >= httpx.codes.BAD_REQUEST:
        raise UnavailableError(f"Label Studio answered {answer.status_code} to {doing}: {answer.text[:300]}")
