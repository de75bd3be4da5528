"""Times and counts of answers while a sitting goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pal_backend.core.learner import Learner
from pal_backend.core.paying import Person, Verdict, compare
from pal_backend.core.vocabulary import Annotation, AnnotationKey, Question, QuestionKind
from pal_backend.store.projects import Desk, Project
from tests.core.worlds import clusters, truthful
from worker.efforts import RECENT, Efforts

PAIR, SCREEN = QuestionKind.PAIR, QuestionKind.SCREEN
SPACE, LABELS = clusters(groups=4, each=25)
PAIRS = Desk("pairs", PAIR, project_id=1, backend_id=1, webhook_id=1)
SCREENS = Desk("screens", SCREEN, project_id=2, backend_id=2, webhook_id=2)
BOTH = Project("birds", "/nowhere", (PAIRS, SCREENS), candidates=4)


def annotation(
    number: int, seconds: float | None = 3.0, kind: QuestionKind = PAIR, annotator: str = "7", **more: object
) -> Annotation:
    """An annotation on the desk of its kind, with an answer to every pair."""
    size = 1 if kind is PAIR else 4
    question = Question(kind, SPACE.sample_ids[0], SPACE.sample_ids[1 : 1 + size], probabilities=(0.5,) * size)
    fields = {"answers": tuple(truthful(number, question, SPACE, LABELS)), "updated_at": number, "seconds": seconds}
    key = AnnotationKey("pairs" if kind is PAIR else "screens", number)
    return Annotation(key, number, "q", annotator, **{**fields, **more})  # type: ignore[arg-type]


@pytest.fixture
def learner() -> Learner:
    return Learner(SPACE)


def test_people_are_counted_and_timed(learner: Learner) -> None:
    """Answers of each person, a screen for all its candidates; medians of what they were timed at; their error rate."""
    efforts = Efforts(BOTH)
    some = [annotation(n, 2.0 + n, annotator="a") for n in range(3)]
    some += [annotation(9, 14.0, SCREEN, "b"), annotation(10, None, annotator="b")]
    efforts.note(some)
    learner.set_answers(answer for one in some for answer in one.answers)
    people = efforts.now(learner).people
    rates = learner.graph.rates
    assert people == (Person("a", 3, rates.get("a"), {PAIR: 3.0}), Person("b", 5, rates.get("b"), {SCREEN: 14.0}))


def test_updates_replace_and_withdrawals_take_back(learner: Learner) -> None:
    """An annotation counts once, as it stands; nobody is left when all is withdrawn."""
    efforts = Efforts(BOTH)
    efforts.note([annotation(1, 3.0), annotation(2, 5.0)])
    efforts.note([annotation(1, 9.0, annotator="8")])
    assert efforts.now(learner).people == (Person("7", 1, None, {PAIR: 5.0}), Person("8", 1, None, {PAIR: 9.0}))
    efforts.forget([AnnotationKey("pairs", 1), AnnotationKey("pairs", 2), AnnotationKey("pairs", 3)])
    assert efforts.now(learner).people == ()
    assert efforts.now(learner).outlooks[PAIR].timed == 0


def test_a_restarted_sitting_knows_the_same(learner: Learner) -> None:
    """Noting all annotations at once, in any order, is the same as noting them as they come."""
    some = [annotation(n, 1.0 + n % 7, annotator="ab"[n % 2]) for n in range(50)]
    one, two = Efforts(BOTH), Efforts(BOTH)
    for each in some:
        one.note([each])
    two.note(some[::-1])
    assert one.now(learner) == two.now(learner)


@pytest.mark.parametrize(
    "untimed",
    [
        annotation(1, None),
        annotation(1, 0.0),
        annotation(1, 3.0, answers=(), skipped=True),
        replace(annotation(1, 3.0), key=AnnotationKey("gone", 1)),
    ],
)
def test_what_nobody_was_timed_at_does_not_count(learner: Learner, untimed: Annotation) -> None:
    """Guesses accepted in bulk, skips, and annotations of a desk that is not ours."""
    efforts = Efforts(BOTH)
    efforts.note([untimed])
    assert efforts.now(learner).outlooks[PAIR].timed == 0


def test_only_recent_answers_count(learner: Learner) -> None:
    """Who has become quick is quick, and memory does not grow with the answers timed."""
    efforts = Efforts(BOTH)
    efforts.note(annotation(n, 30.0) for n in range(RECENT * 2))
    efforts.note(annotation(1000 + n, 2.0) for n in range(RECENT))
    found = efforts.now(learner)
    assert found.outlooks[PAIR].timed == RECENT
    assert found.people[0].median_seconds == {PAIR: 2.0} and found.people[0].answers == 3 * RECENT
    assert sum(map(len, efforts._timed.values())) <= 2 * RECENT


def test_with_a_desk_of_each_kind_one_is_said_to_pay(learner: Learner) -> None:
    """Screens that take hardly longer than pairs pay; measured, and looked at without asking anything."""
    efforts = Efforts(BOTH)
    efforts.note(annotation(n, 4.0) for n in range(30))
    efforts.note(annotation(n, 4.5, SCREEN) for n in range(30))
    found = efforts.now(learner)
    assert found.outlooks[PAIR].ahead > 1 and found.outlooks[SCREEN].ahead >= 1
    assert (compare(found).verdict, compare(found).better) == (Verdict.PAYS, SCREEN)


@pytest.mark.parametrize("desks", [(PAIRS,), (PAIRS, Desk("screens", SCREEN, 2, 2, 2, retired=True))])
def test_with_one_kind_nothing_is_looked_at(
    learner: Learner, desks: tuple[Desk, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Choosing questions only to compare kinds would cost time for nothing."""
    monkeypatch.setattr(learner, "ask", None)
    found = Efforts(Project("birds", "/nowhere", desks)).now(learner)
    assert set(found.outlooks) == {PAIR} and found.outlooks[PAIR].gain is None
