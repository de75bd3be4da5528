"""Whose answer a re-check checks, so that somebody else is asked."""

from __future__ import annotations

from collections.abc import Iterable, Set

from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.vocabulary import AnnotationKey, Purpose, Question, SampleId
from pal_backend.store.answers import Answers
from pal_backend.store.questions import PostedQuestion
from pal_backend.store.withheld import Withheld

PATIENCE_SECONDS = 1800
"""A re-check waits so long for somebody else; then anybody may answer it."""


class Rechecks:
    """Keeps re-checks from the people whose answers they check, while somebody else is there to answer them."""

    def __init__(self, answers: Answers, withheld: Withheld) -> None:
        self._answers = answers
        self._withheld = withheld

    def keep(self, question: Question, desk: str, graph: SimilarityGraph, active: Set[str]) -> None:
        """Before a question is journalled: note who is not to get it. Other questions than re-checks are for everybody; a
        check that is asked about again is one, and so is what a lead wants asked again.

        Args:
            question: with its round, since its id is noted.
            desk: where it is asked.
            graph: what the answers say.
            active: annotators who answered lately.
        """
        again = any(sample in graph.component for sample in question.checked)
        if question.purpose not in (Purpose.RECHECK, Purpose.REVIEW) and not again:
            return
        answered = [self._answers.get(key) for key in sorted(checked(graph, question))]
        people = {annotation.annotator for annotation in answered if annotation is not None} - {""}
        if active - people:
            self._withheld.keep(question.id, desk, people)

    def review(self, waiting: Iterable[PostedQuestion], active: Set[str], now: float) -> None:
        """Give back what nobody else is there for, and what waits too long.

        Args:
            waiting: the open questions.
            active: annotators who answered lately.
            now: seconds since 1970.
        """
        since = {posted.id: posted.created_at for posted in waiting}
        kept = {question: people for question, people in self._withheld.all().items() if people and question in since}
        self._withheld.give_back(
            question
            for question, people in kept.items()
            if not active - set(people) or now - since[question] > PATIENCE_SECONDS
        )


def checked(graph: SimilarityGraph, question: Question) -> set[AnnotationKey]:
    """Annotations whose answers a question asks again, with whatever member of the group it asks now.

    Of each candidate: the answers that compare it with the anchor or a member of its component; where there are none, all
    answers between the two components (two groups that other members of theirs hold apart).
    """
    return {key for candidate in question.candidates for key in _checked(graph, question.anchor, candidate)}


def _checked(graph: SimilarityGraph, anchor: SampleId, candidate: SampleId) -> set[AnnotationKey]:
    component = graph.component
    home, other = component.get(anchor), component.get(candidate)
    direct: set[AnnotationKey] = set()
    between: set[AnnotationKey] = set()
    for pair, edge in graph.edges.items():
        if candidate in pair:
            partner = pair.second if pair.first == candidate else pair.first
            if partner == anchor or (home is not None and component.get(partner) == home):
                direct.update(edge.annotations)
        elif home != other and {component.get(pair.first), component.get(pair.second)} == {home, other}:
            between.update(edge.annotations)
    return direct or between
