"""A small project with real digits, as `pal init` would leave it, for the tests of the workers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from pal_backend import wire
from pal_backend.core.vocabulary import Question, QuestionKind
from pal_backend.settings import Settings
from pal_backend.store.projects import Desk, Project
from pal_backend.store.questions import PostedQuestion
from pal_backend.store.stores import Stores
from pal_backend.store.version_files import Version

NAME = "digits"


@dataclass
class House:
    """Stores with one project on them, and the hidden labels."""

    stores: Stores
    settings: Settings
    labels: dict[str, int]
    annotations: int = 0

    def questions(self) -> list[PostedQuestion]:
        """What is open."""
        return self.stores.questions(NAME).open()

    def same(self, question: Question) -> bool:
        """The truth about a pair."""
        return self.labels[question.anchor] == self.labels[question.candidates[0]]

    def submission(
        self, posted: PostedQuestion, *, number: int | None = None, at: int = 1, skipped: bool = False
    ) -> wire.Submission:
        """A person's right answer to a pair question."""
        if number is None:
            self.annotations += 1
            number = self.annotations
        return wire.Submission(
            annotation=number,
            task=number,
            project=1,
            annotator="7",
            updated_at=at,
            skipped=skipped,
            choices={} if skipped else {"answer": ("Same" if self.same(posted.question) else "Different",)},
            origins={},
            seconds=1.0,
            meta=wire.TaskMeta(question=posted.question, project=NAME, desk=posted.desk),
        )

    def send(self, event: wire.Event, desk: str = "pairs", at: float = 0.0) -> None:
        """As the web process does after a webhook."""
        self.stores.events(NAME).append(event, at, desk)


def build_house(stores: Stores, settings: Settings, samples: int = 200) -> House:
    """``samples`` digits as version 0 of a project with a desk of pairs."""
    features, digits = load_digits(return_X_y=True)
    ids = [hashlib.sha256(str(row).encode()).hexdigest()[:16] for row in range(samples)]
    stores.projects.save(
        Project(NAME, "/nowhere", (Desk("pairs", QuestionKind.PAIR, project_id=1, backend_id=1, webhook_id=1),))
    )
    x: NDArray[np.float32] = (features[:samples] / 16).astype(np.float32)
    versions = stores.versions(NAME)
    versions.write(Version("v0000", tuple(ids), x, "given", 0, "pixels", {}), None, [])
    versions.make_current("v0000", None)
    return House(stores, settings, dict(zip(ids, map(int, digits[:samples]), strict=True)))
