"""What answering costs the people of one project, as a sitting knows it: times as they come, gains of what is next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from pal_backend.core.effort import Timed, measure
from pal_backend.core.learner import Learner
from pal_backend.core.paying import Effort, Person, how_many, outlook
from pal_backend.core.vocabulary import Annotation, AnnotationKey, QuestionKind
from pal_backend.store.projects import Project

RECENT = 60
"""Annotations of one person at one kind that their seconds are taken from: people get quicker, and tired."""


class Efforts:
    """Times and counts of answers, kept up to date as annotations come and go."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._kinds: Mapping[str, QuestionKind] = {desk.name: desk.kind for desk in project.desks}
        self._timed: dict[tuple[str, QuestionKind], dict[AnnotationKey, Timed]] = {}
        self._said: dict[AnnotationKey, tuple[str, int]] = {}
        """Annotation → annotator and number of answers, to take back what is withdrawn."""
        self._answers: Counter[str] = Counter()

    def note(self, annotations: Iterable[Annotation]) -> None:
        """Take in annotations; one that was known already is replaced."""
        for annotation in annotations:
            self.forget([annotation.key])
            self._said[annotation.key] = (annotation.annotator, len(annotation.answers))
            self._answers[annotation.annotator] += len(annotation.answers)
            timed = _timed(annotation, self._kinds.get(annotation.key.desk))
            if timed is not None:
                kept = self._timed.setdefault((timed.annotator, timed.kind), {})
                kept[timed.key] = timed
                if len(kept) > 2 * RECENT:
                    self._timed[timed.annotator, timed.kind] = {one.key: one for one in _newest(kept.values())}

    def forget(self, keys: Iterable[AnnotationKey]) -> None:
        """Annotations were withdrawn. Older times than the recent ones, let go before, do not come back until the next sitting."""
        for key in keys:
            annotator, answers = self._said.pop(key, ("", 0))
            self._answers[annotator] -= answers
            for kind in QuestionKind:
                self._timed.get((annotator, kind), {}).pop(key, None)

    def now(self, learner: Learner) -> Effort:
        """Seconds and, where there is a desk of each kind, the gain of the next questions on each."""
        pace = measure(one for kept in self._timed.values() for one in _newest(kept.values()))
        kinds = {desk.kind for desk in self._project.desks if not desk.retired}
        outlooks = {}
        for kind in sorted(kinds):
            size = self._project.candidates
            # Looking ahead costs as much as choosing questions does: only where there is something to compare.
            upcoming = learner.ask(how_many(kind, size), kind=kind, candidates=size) if len(kinds) > 1 else None
            outlooks[kind] = outlook(kind, pace, size, upcoming)
        rates = learner.graph.rates
        people = tuple(
            Person(
                name,
                answers,
                rates.get(name),
                {kind: pace.medians[name, kind] for kind in QuestionKind if (name, kind) in pace.medians},
            )
            for name, answers in sorted(self._answers.items())
            if answers > 0
        )
        return Effort(outlooks, people, pace.error)


def _timed(annotation: Annotation, kind: QuestionKind | None) -> Timed | None:
    """How long it took; None for skips, for what nobody was timed at, and for desks that are gone."""
    seconds = annotation.seconds
    if kind is None or annotation.skipped or not annotation.answers or seconds is None or seconds <= 0.0:
        return None
    return Timed(annotation.key, annotation.annotator, kind, len(annotation.answers), seconds, annotation.updated_at)


def _newest(timed: Iterable[Timed]) -> list[Timed]:
    return sorted(timed, key=lambda one: (one.updated_at, one.key))[-RECENT:]
