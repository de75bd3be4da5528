"""A desk of pairs on a real Label Studio with its stores, as refill finds it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import numpy as np

from label_config.render import pair_config
from label_config.results import pair_result
from pal_backend.core.vocabulary import Question, QuestionKind
from pal_backend.credentials import Credentials
from pal_backend.label_studio import LabelStudio
from pal_backend.label_studio_values import Json, RemoteTask
from pal_backend.refill import Refiller, RefillReport
from pal_backend.settings import Settings
from pal_backend.store.projects import Desk, Project
from pal_backend.store.questions import Questions
from pal_backend.store.stores import Stores
from pal_backend.store.version_files import Version
from tests.label_studio_server import LabelStudioServer

SAMPLES = tuple(f"{number:016x}" for number in range(200))


class Killed(BaseException):
    """The process ends here, as with SIGKILL: nothing that follows runs."""


class Mortal(LabelStudio):
    """A client that dies right after an import, when told to."""

    dies: type[BaseException] | None = None

    def import_tasks(self, project: int, tasks: Sequence[Json]) -> list[int]:
        """Import, and die."""
        numbers = super().import_tasks(project, tasks)
        if self.dies is not None:
            raise self.dies("after the import")
        return numbers


@dataclass
class House:
    """A desk on a real Label Studio, with its stores."""

    stores: Stores
    client: Mortal
    refiller: Refiller
    project: Project
    desk: Desk
    admin: httpx.Client
    now: list[float] = field(default_factory=lambda: [1_800_000_000.0])

    @property
    def questions(self) -> Questions:
        return self.stores.questions(self.project.name)

    def ask(self, *informativeness: float, **about: Any) -> list[Question]:
        """Journal pair questions."""
        made = []
        for value in informativeness:
            place = self.questions.count()
            question = Question(
                QuestionKind.PAIR, SAMPLES[place], (SAMPLES[place + 1],), informativeness=value, **about
            )
            self.questions.journal(question, self.desk.name, self.now[0] + place)
            made.append(question)
        return made

    def refill(self) -> RefillReport:
        return self.refiller.refill(self.project, self.desk)

    def tasks(self) -> list[RemoteTask]:
        return list(self.client.tasks(self.desk.project_id))

    def asked(self) -> list[str]:
        """Question id of every task in Label Studio."""
        return [task.raw["meta"]["question_id"] for task in self.tasks()]

    def next_task(self, who: httpx.Client | None = None) -> dict[str, Any]:
        """The task that the label stream serves."""
        answer = (who or self.admin).get(f"/api/projects/{self.desk.project_id}/next")
        return answer.json() if answer.status_code == 200 else {}

    def answer(self, task: int, who: httpx.Client | None = None, **more: Any) -> int:
        """Submit "Same" on a task."""
        body = {"result": pair_result("Same"), "lead_time": 1.0, **more}
        return int(
            (who or self.admin).post(f"/api/tasks/{task}/annotations/", json=body).raise_for_status().json()["id"]
        )

    def served_scores(self, count: int) -> list[float]:
        """Scores in the order in which the label stream serves tasks that are answered one by one."""
        scores = []
        for _ in range(count):
            task = self.next_task()
            assert task["predictions"] == [], "the label stream must not be given a guess"
            posted = self.questions.by_task(self.desk.name, task["id"])
            assert posted is not None
            scores.append(round(posted.score, 2))
            self.answer(task["id"])
        return scores

    def publish(self, number: int) -> None:
        """A new model version becomes the current one."""
        versions = self.stores.versions(self.project.name)
        name = f"v{number:04d}"
        before = versions.current()
        features = np.zeros((len(SAMPLES), 2), np.float32)
        versions.write(Version(name, SAMPLES, features, "given", 0, "", {}), None, [])
        versions.make_current(name, before)


@contextmanager
def open_house(stores: Stores, settings: Settings, label_studio: LabelStudioServer) -> Iterator[House]:
    """A desk of pairs with a model version and no questions."""
    with closing(Mortal(label_studio.url, label_studio.pat)) as client, closing(label_studio.sign_in()) as admin:
        remote = client.create_project("refill", "", pair_config())
        client.patch_project(remote.id, sampling="Uncertainty sampling", show_collab_predictions=False)
        desk = Desk("pairs", QuestionKind.PAIR, remote.id, 1, 1)
        project = Project("digits", "/pool", (desk,))
        stores.projects.save(project)
        settings = replace(settings, task_lock_seconds=3600)
        now = [1_800_000_000.0]
        refiller = Refiller(stores, client, settings, Credentials(media_key="00" * 32), lambda: now[0])
        house = House(stores, client, refiller, project, desk, admin, now)
        house.publish(0)
        yield house
        admin.delete(f"/api/projects/{remote.id}/")
