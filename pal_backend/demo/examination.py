"""`pal demo --answers N`: a simulated annotator answers, the curve grows, all of it is waited for and scored."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pal_backend.core.vocabulary import SampleId
from pal_backend.demo import hidden_labels
from pal_backend.demo.annotator import Annotator
from pal_backend.demo.reporter import Reporter, Step, sparkline
from pal_backend.errors import UnavailableError
from pal_backend.queues import Queues
from pal_backend.store.projects import Project
from pal_backend.store.revisions import Revision
from pal_backend.store.stores import Stores

CURVE_STEP = 25
"""Answers from one point of the curve to the next."""
QUESTION_SECONDS = 180.0
"""Longest wait for another question."""
SETTLE_SECONDS = 240.0
"""Longest wait until every answer is in a revision; a lost webhook is made good by the next reconcile."""
RECONCILE_AFTER_SECONDS = 10.0
TRAIN_SECONDS = 600.0
"""Longest wait for one training."""
POLL_SECONDS = 0.1
TRAIN_POLL_SECONDS = 1.0


@dataclass
class Examination:
    """One project under a simulated annotator. ``check`` raises when a process has ended."""

    project: Project
    stores: Stores
    queues: Queues
    labels: Mapping[SampleId, int]
    reporter: Reporter
    check: Callable[[], None]

    def run(self, annotator: Annotator, count: int) -> dict[str, Any]:
        """Let the annotator answer ``count`` questions, wait for learning and one training, and score.

        Returns:
            The demo's one JSON object.

        Raises:
            UnavailableError: questions, a revision or a training do not come in time.
        """
        before = self.stores.answers(self.project.name).count()
        with self.reporter.step(f"answering {count} questions through Label Studio") as step:
            self._answer(annotator, count, step)
        with self.reporter.step("every answer in a revision") as step:
            self._settle(before + count, step)
        with self.reporter.step("one training") as step:
            self._train(step)
        with self.reporter.step("the revision of the current model version") as step:
            self._settle(before + count, step)
        return self._summary()

    def _answer(self, annotator: Annotator, count: int, step: Step) -> None:
        curve: list[float] = []
        seen, last = -1, time.monotonic()
        for given in range(count):
            while not annotator.answer_next():
                self._pause(last, QUESTION_SECONDS, "no question to answer in Label Studio")
            last = time.monotonic()
            if given % 5 == 0:
                self.check()
            revision = self._revisions.current()
            if revision is not None and revision.answers // CURVE_STEP > seen:
                seen = revision.answers // CURVE_STEP
                curve.append(self._point(revision))
            step.say(f"{given + 1} answers" + (f" · ARI {curve[-1]:.3f} {sparkline(curve)}" if curve else ""))

    @property
    def _revisions(self) -> Any:
        return self.stores.revisions(self.project.name)

    def _point(self, revision: Revision) -> float:
        posterior = self._revisions.posterior()
        score = hidden_labels.score(posterior, self.labels)
        self.reporter.line(
            f"  {revision.answers:5d} answers   ARI {score.ari:.3f}   accuracy {score.accuracy:.3f}   {score.groups} groups"
        )
        return score.ari

    def _settle(self, expected: int, step: Step) -> None:
        """Until ``expected`` answers are in a revision that stems from the current model version."""
        answers, versions = self.stores.answers(self.project.name), self.stores.versions(self.project.name)
        started, asked = time.monotonic(), False
        while True:
            revision, known = self._revisions.current(), answers.count()
            if (
                revision is not None
                and revision.answers >= max(expected, known)
                and revision.version == versions.current()
            ):
                return
            step.say(f"{revision.answers if revision else 0} of {expected}")
            if not asked and known < expected and time.monotonic() - started > RECONCILE_AFTER_SECONDS:
                self.queues.reconcile(self.project.name, "a webhook was lost")
                asked = True
            self._pause(
                started, SETTLE_SECONDS, f"only {known} of {expected} answers arrived, or were not learned from"
            )

    def _train(self, step: Step) -> None:
        """Until a version that was trained is published or refused; asks for a training if none is on its way."""
        versions = self.stores.versions(self.project.name)
        answers = self.stores.answers(self.project.name).count()
        started = time.monotonic()
        if not trained_versions(versions.list()):
            self.queues.train(self.project.name, answers, "the demo wants to see one")
        while not trained_versions(versions.list()):
            step.say(self.queues.training_progress(self.project.name))
            self._pause(started, TRAIN_SECONDS, "no training has ended", TRAIN_POLL_SECONDS)
        for version, reason in versions.refused().items():
            self.reporter.line(f"  {version} was refused: {reason}")

    def _pause(self, since: float, limit: float, problem: str, poll: float = POLL_SECONDS) -> None:
        self.check()
        if time.monotonic() - since > limit:
            raise UnavailableError(f"{problem} after {limit:.0f} s; see the logs of worker and web")
        time.sleep(poll)

    def _summary(self) -> dict[str, Any]:
        name = self.project.name
        score = hidden_labels.score(self._revisions.posterior(), self.labels)
        posted = [q for q in self.stores.questions(name).all() if q.posted_at is not None]
        latencies = self._revisions.latencies()
        return {
            "answers": self.stores.answers(name).count(),
            "ari": score.ari,
            "nmi": score.nmi,
            "accuracy": score.accuracy,
            "groups": score.groups,
            "questions_posted": len(posted),
            "model_versions": len(self.stores.versions(name).list()),
            "median_seconds_webhook_to_revision": round(statistics.median(latencies), 3) if latencies else None,
        }


def trained_versions(versions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that a training made, current or refused."""
    return [version for version in versions if version["recipe"] != "given"]
