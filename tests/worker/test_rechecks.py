"""Whose answers a re-check checks, and from whom it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.vocabulary import (
    Annotation,
    AnnotationKey,
    Answer,
    Pair,
    Purpose,
    Question,
    QuestionKind,
    Verdict,
)
from pal_backend.credentials import Credentials
from pal_backend.queues import Queues
from pal_backend.settings import Settings
from pal_backend.store.stores import Stores
from tests.worker.house import NAME, build_house
from worker.agenda import ACTIVE_SECONDS, Agenda
from worker.bootstrap import Workshop
from worker.rechecks import PATIENCE_SECONDS, checked

NOW = 1_800_000_000.0
A, B, C, D, E, F = (f"{letter:0>16}" for letter in "abcdef")


def said(number: int, first: str, second: str, verdict: str, annotator: str = "7", at: float = NOW) -> Answer:
    key = AnnotationKey("pairs", number)
    return Answer(key, Pair.of(first, second), Verdict(verdict), annotator, updated_at=int(at * 1e6))


def recheck(anchor: str, *candidates: str, purpose: Purpose = Purpose.RECHECK) -> Question:
    kind = QuestionKind.PAIR if len(candidates) == 1 else QuestionKind.SCREEN
    return Question(kind, anchor, candidates, purpose)


def numbers(answers: Sequence[Answer], question: Question) -> set[int]:
    """Annotations that a question checks, by their numbers."""
    return {key.number for key in checked(SimilarityGraph.of(answers), question)}


GROUP = [said(1, A, B, "same"), said(2, B, C, "same"), said(3, A, C, "same")]


def test_what_was_said_with_any_member_of_the_group_is_checked() -> None:
    """D was held against A; asked again with C, it is A's answer that is checked, and not those that made the group."""
    answers = [*GROUP, said(4, A, D, "different"), said(5, D, E, "different"), said(6, E, F, "same")]
    assert numbers(answers, recheck(C, D)) == {4}


def test_answers_against_each_other_are_both_checked() -> None:
    """Whoever said "same" and whoever said "different" about the sample and the group."""
    answers = [*GROUP, said(4, A, D, "different"), said(5, B, D, "same")]
    assert {4, 5} <= numbers(answers, recheck(C, D))


def test_a_member_is_checked_by_what_put_it_there() -> None:
    """A sample inside the group: the answers that hold it, not those among the others."""
    answers = [*GROUP, said(4, A, D, "same"), said(5, B, C, "same")]
    assert numbers(answers, recheck(C, D)) == {4}


def test_groups_held_apart_by_others_are_checked_there() -> None:
    """Neither of the two samples was in the answer, but it is what holds their groups apart."""
    answers = [*GROUP, said(4, D, E, "same"), said(5, A, D, "different")]
    assert numbers(answers, recheck(C, E)) == {5}


def test_nothing_said_nothing_checked() -> None:
    """New samples, and an "unsure" on another pair: nobody is spared."""
    assert numbers([], recheck(A, B)) == set()
    assert numbers([said(1, A, C, "unsure")], recheck(A, B)) == set()
    assert numbers([said(1, A, B, "unsure")], recheck(A, B)) == {1}


def test_a_screen_checks_each_candidate() -> None:
    """Answers about any of its candidates count."""
    answers = [*GROUP, said(4, A, D, "different"), said(5, B, E, "different")]
    assert numbers(answers, recheck(C, D, E, F)) == {4, 5}


@dataclass
class Asks:
    """A learner that asks what it is told to."""

    graph: SimilarityGraph
    questions: list[Question]

    def ask(self, count: int, **_: object) -> list[Question]:
        asked, self.questions = self.questions[:count], self.questions[count:]
        return asked

    def value(self, question: Question) -> tuple[float, tuple[float, ...], bool]:
        return 0.5, (0.5,) * len(question.candidates), False


@dataclass
class Desk:
    """A project whose agenda is planned by hand."""

    stores: Stores
    agenda: Agenda
    now: list[float]

    def plan(self, answers: Sequence[Answer], *questions: Question) -> None:
        annotations = [
            Annotation(a.annotation, a.annotation.number, f"q{a.annotation.number}", a.annotator, a.updated_at, (a,))
            for a in answers
        ]
        self.stores.answers(NAME).put(annotations)
        self.agenda.meet(annotations)
        self.agenda.plan(Asks(SimilarityGraph.of(answers), list(questions)))  # type: ignore[arg-type]

    def kept(self) -> dict[str, tuple[str, ...]]:
        """Questions in the journal that are kept from somebody, by their candidate."""
        found = self.stores.withheld(NAME).all()
        posted = {posted.id: posted.question for posted in self.stores.questions(NAME).open()}
        return {posted[question].candidates[0]: people for question, people in found.items()}


@pytest.fixture
def desk(stores: Stores, settings: Settings) -> Desk:
    build_house(stores, settings, samples=20)
    now = [NOW]
    shop = Workshop(settings, Credentials(), stores, Queues(settings.redis_url), lambda: now[0])
    return Desk(stores, Agenda(stores.projects.get(NAME), shop), now)


DISPUTED = [*GROUP, said(4, A, D, "different", "8")]


def test_a_recheck_is_kept_from_whoever_answered(desk: Desk) -> None:
    """Of two people who are there, the one whose answer is checked does not get it; other questions are for both."""
    desk.plan(DISPUTED, recheck(C, D), recheck(B, E, purpose=Purpose.PLACE))
    assert desk.kept() == {D: ("8",)}


def test_a_check_asked_again_is_kept_too(desk: Desk) -> None:
    """A verification of a sample nobody was asked about is for everybody; asked again, it is kept as a re-check is."""
    desk.plan(DISPUTED, recheck(C, D, purpose=Purpose.VERIFY), recheck(B, F, purpose=Purpose.VERIFY))
    assert desk.kept() == {D: ("8",)}


def test_alone_nobody_is_spared(desk: Desk) -> None:
    """When only the one who answered is there, or everybody who is there answered, it is for everybody."""
    late = NOW - ACTIVE_SECONDS - 1
    desk.plan([said(1, A, B, "same", "7", late), said(4, A, D, "different", "8")], recheck(B, D))
    assert desk.kept() == {}
    desk.plan([said(5, B, E, "different", "7"), said(6, A, E, "same", "8")], recheck(C, E))
    assert desk.kept() == {}


def test_it_is_given_back_when_the_other_person_leaves(desk: Desk) -> None:
    """After half an hour without an answer of the other one, it is for everybody."""
    desk.plan(DISPUTED, recheck(C, D))
    desk.now[0] += ACTIVE_SECONDS + 1
    desk.plan([said(9, A, F, "different", "8", desk.now[0])])
    assert desk.kept() == {D: ()}


def test_it_is_given_back_when_it_waits_too_long(desk: Desk) -> None:
    """Though the other one is there, it is given back after a while, and not before."""
    desk.plan(DISPUTED, recheck(C, D))
    for waited, kept in ((PATIENCE_SECONDS - 1, ("8",)), (PATIENCE_SECONDS + 1, ())):
        desk.now[0] = NOW + waited
        desk.plan([said(9, A, F, "different", "7", desk.now[0]), said(10, A, E, "different", "8", desk.now[0])])
        assert desk.kept() == {D: kept}
