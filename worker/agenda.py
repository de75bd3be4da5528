"""What a sitting does about questions: reads answers to them, keeps enough of them open, asks for training."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from pal_backend import wire
from pal_backend.core.learner import Learner
from pal_backend.core.posterior import Posterior
from pal_backend.core.vocabulary import Annotation, AnnotationKey, Purpose, Question
from pal_backend.store.projects import Project
from pal_backend.store.questions import PostedQuestion, State
from worker.bootstrap import Workshop
from worker.rechecks import Rechecks

log = logging.getLogger(__name__)

ACTIVE_SECONDS = 1800
"""An annotator who answered within half an hour counts as active."""
QUESTIONS_PER_ANNOTATOR = 3
GROWTH = 1.1
"""A training needs a tenth more samples in the graph than the one before saw."""


class Agenda:
    """The questions of one project, as a sitting sees them."""

    def __init__(self, project: Project, shop: Workshop) -> None:
        self.project = project
        """As it is now."""
        self._shop = shop
        self._questions = shop.stores.questions(project.name)
        self._answers = shop.stores.answers(project.name)
        self._versions = shop.stores.versions(project.name)
        self._rechecks = Rechecks(self._answers, shop.stores.withheld(project.name))
        self._last_seen: dict[str, int] = {}
        """Annotator → newest ``updated_at``."""

    def meet(self, annotations: Iterable[Annotation]) -> None:
        """Note who has answered, and when."""
        for annotation in annotations:
            last = self._last_seen.get(annotation.annotator, 0)
            self._last_seen[annotation.annotator] = max(last, annotation.updated_at)

    def read(self, desk_name: str, submission: wire.Submission) -> Annotation | None:
        """What a submission says, or None where it is on a task that is not ours."""
        posted = self._question_of(desk_name, submission)
        if posted is None:
            log.info(
                "annotation %d on task %d of desk %s is on no question of ours",
                submission.annotation,
                submission.task,
                desk_name,
            )
            return None
        return wire.to_annotation(submission, posted.question, self.project.desk(desk_name))

    def _question_of(self, desk: str, submission: wire.Submission) -> PostedQuestion | None:
        posted = self._questions.by_task(desk, submission.task)
        meta = submission.meta
        if posted is None and meta is not None and (meta.project, meta.desk) == (self.project.name, desk):
            # Answered before refill noted the task's number, or Redis was lost: the task itself says what it asked.
            posted = self._questions.get(meta.question.id) or PostedQuestion(
                question=meta.question, desk=desk, state=State.OPEN, task=submission.task, created_at=self._shop.clock()
            )
            self._questions.restore(posted)
        return posted

    def answered(self, annotations: Sequence[Annotation]) -> None:
        """Close the questions of these annotations."""
        self.meet(annotations)
        self._questions.close([a.question for a in annotations if a.skipped], "skipped")
        self._questions.close([a.question for a in annotations if not a.skipped], "answered")

    def unanswered(self, keys: Sequence[AnnotationKey]) -> None:
        """Open again the questions whose annotations were all withdrawn."""
        if not keys:
            return
        answered = {annotation.question for annotation in self._answers.all()}
        withdrawn = {tombstone.question for tombstone in self._answers.withdrawn(keys)}
        self._questions.reopen(sorted(withdrawn - answered - {""}))

    def ask_again(self, asked: wire.TaskMeta, learner: Learner) -> None:
        """Journal what a lead wants asked; the same question again changes nothing."""
        question = asked.question
        self._rechecks.keep(question, asked.desk, learner.graph, self._active())
        self._questions.journal(question, asked.desk, self._shop.clock())

    def plan(self, learner: Learner, posterior: Posterior | None = None) -> None:
        """Score the open questions anew, close those that have become moot, journal new ones unless paused, wake refill.

        Args:
            learner: chooses and scores questions.
            posterior: what it believes now, as published: guesses are made from its calibrated probabilities.
        """
        still_open = self._rescore(learner, posterior)
        active = self._active()
        self._rechecks.review(still_open, active, self._shop.clock())
        journalled = 0
        for desk in self.project.desks:
            if desk.retired:
                continue
            here = [posted for posted in still_open if posted.desk == desk.name]
            wanted = 0 if self.project.paused else self._wanted(len(active)) - len(here)
            if wanted <= 0:
                continue
            fresh = learner.ask(
                wanted,
                kind=desk.kind,
                candidates=self.project.candidates,
                open_questions=[posted.question for posted in still_open],
            )
            for question in fresh:
                asked = replace(question, round=self._questions.rounds(question))
                self._rechecks.keep(asked, desk.name, learner.graph, active)
                still_open.append(self._questions.journal(asked, desk.name, self._shop.clock()))
            journalled += len(fresh)
        self._shop.queues.refill(self.project.name)
        log.debug("%s: %d questions open, %d of them new", self.project.name, len(still_open), journalled)

    def _rescore(self, learner: Learner, posterior: Posterior | None) -> list[PostedQuestion]:
        kept: list[PostedQuestion] = []
        moot: list[str] = []
        scores: dict[str, tuple[float, tuple[float, ...]]] = {}
        for posted in self._questions.open():
            informativeness, raw, settled = learner.value(posted.question)
            if posted.question.purpose is Purpose.REVIEW:
                # a lead wants it asked, first of all, whatever it teaches; unless meanwhile it was decided
                informativeness, settled = 1.0, _decided(learner, posted.question)
            probabilities = (posterior and posterior.of_question(posted.question)) or raw
            scores[posted.question.id] = (wire.ASKED_LAST if settled else 1.0 - informativeness, probabilities)
            if settled:
                moot.append(posted.question.id)
            else:
                kept.append(posted)
        self._questions.rescore(scores)
        self._questions.close(moot, "moot")
        return kept

    def _active(self) -> set[str]:
        """Annotators who answered lately."""
        since = (self._shop.clock() - ACTIVE_SECONDS) * 1e6
        return {annotator for annotator, last in self._last_seen.items() if last >= since}

    def _wanted(self, active: int) -> int:
        """Q = max(10, 3 x active annotators), the 10 as project or environment say."""
        least = self.project.open_questions or self._shop.settings.open_questions
        return max(least, QUESTIONS_PER_ANNOTATOR * active)

    def ask_for_training(self, posterior: Posterior) -> None:
        """Enqueue a training when answers and components have grown enough since the last one (or version 0)."""
        answers = self._answers.count()
        if answers < self._shop.settings.train_after_answers:
            return
        versions = self._versions.list()
        at_answers = max((int(version["made_from_answers"]) for version in versions), default=0)
        at_joined = max((int(version["metrics"].get("joined_samples", 0)) for version in versions), default=0)
        fresh = answers - at_answers
        if fresh >= self._shop.settings.train_after_answers and joined_samples(posterior) >= GROWTH * at_joined:
            self._shop.queues.train(self.project.name, answers, f"{fresh} new answers")


def joined_samples(posterior: Posterior) -> int:
    """How many samples answers have joined to another or kept apart from one: what the graph knows."""
    return int(np.count_nonzero(posterior.components >= 0))


def _decided(learner: Learner, question: Question) -> bool:
    """Whether a lead decided all its pairs, or it has a sample that is not there."""
    edges = (learner.graph.edges.get(pair) for pair in question.pairs)
    known = all(sample in learner.space.index for sample in question.samples)
    return not known or all(edge is not None and edge.decided is not None for edge in edges)
