"""The learner: a function of the set of answers, whatever way they came."""

from __future__ import annotations

import random
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pal_backend.core.learner import Learner
from pal_backend.core.neighbours import build_space
from pal_backend.core.posterior import Posterior
from pal_backend.core.vocabulary import AnnotationKey, Answer, Purpose, Question, QuestionKind, in_time
from pal_backend.errors import InputError
from tests.core.worlds import clusters, said, truthful

SPACE, LABELS = clusters(groups=3, each=15, spread=0.3)
TOLERANCE = 1e-3
"""Beliefs reached on two ways differ by float32 rounding, which sharpening may enlarge."""


def same_state(a: Learner, b: Learner) -> None:
    """Assert that two learners are in the same state."""
    one, other = a.posterior(), b.posterior()
    assert a.answers == b.answers
    assert one.groups == other.groups
    assert (one.components == other.components).all() and (one.cannot == other.cannot).all()
    assert one.probabilities == pytest.approx(other.probabilities, abs=TOLERANCE)
    assert (one.slope, one.intercept) == pytest.approx((other.slope, other.intercept), abs=1e-6)
    assert a.contradictions() == b.contradictions()


def fresh(answers: Iterable[Answer]) -> Learner:
    """A learner with this set of answers."""
    learner = Learner(SPACE)
    learner.set_answers(answers)
    return learner


def loop(count: int, **options: object) -> tuple[Learner, list[Answer]]:
    """A learner that asked ``count`` questions and got right answers."""
    learner, given_answers = Learner(SPACE), []
    for number in range(count):
        [question] = learner.ask(1, **options)  # type: ignore[arg-type]
        answers = truthful(number, question, SPACE, LABELS)
        given_answers += answers
        learner.update(answers, ())
    return learner, given_answers


samples = st.integers(0, len(LABELS) - 1)
rows = st.lists(st.tuples(samples, samples, st.booleans(), st.integers(0, 5)), max_size=30)


def answers_from(drawn: list[tuple[int, int, bool, int]]) -> list[Answer]:
    """Answers that are right but for those flagged; several pairs may share an annotation."""
    found: dict[tuple[object, ...], Answer] = {}
    for n, (a, b, right, back) in enumerate(drawn):
        if a != b:
            verdict = "same" if (LABELS[a] == LABELS[b]) == right else "different"
            answer = said(max(0, n - back), SPACE.sample_ids[a], SPACE.sample_ids[b], verdict, predicted=0.3)
            found[answer.annotation, answer.pair] = answer
    return list(found.values())


@given(rows, st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_order_of_answers_does_not_matter_property(drawn: list[tuple[int, int, bool, int]], rnd: random.Random) -> None:
    """Annotations put one by one in any order end where the whole set put at once does."""
    answers = answers_from(drawn)
    by_annotation: dict[AnnotationKey, list[Answer]] = {}
    for answer in answers:
        by_annotation.setdefault(answer.annotation, []).append(answer)
    order = list(by_annotation)
    rnd.shuffle(order)
    learner = Learner(SPACE)
    for key in order:
        learner.update(by_annotation[key], ())
    same_state(learner, fresh(in_time(answers)))


@given(rows, st.sets(st.integers(0, 30)))
@settings(max_examples=40, deadline=None)
def test_withdrawal_leaves_no_trace_property(drawn: list[tuple[int, int, bool, int]], gone: set[int]) -> None:
    """Withdrawn annotations are as if they had never been; withdrawing twice changes nothing."""
    answers = answers_from(drawn)
    keys = [AnnotationKey("desk", number) for number in sorted(gone)]
    learner = fresh(answers)
    learner.update((), keys)
    learner.update((), keys)
    same_state(learner, fresh(answer for answer in answers if answer.annotation not in keys))


@given(rows, rows)
@settings(max_examples=30, deadline=None)
def test_updates_replace_and_duplicates_do_nothing_property(
    drawn: list[tuple[int, int, bool, int]], newer: list[tuple[int, int, bool, int]]
) -> None:
    """An annotation put again replaces all its answers; putting the same twice, or the older late, changes nothing."""
    old = answers_from(drawn)
    new = [Answer(a.annotation, a.pair, a.verdict, a.annotator, updated_at=9) for a in answers_from(newer)]
    replaced = {answer.annotation for answer in new}
    expected = fresh([*(answer for answer in old if answer.annotation not in replaced), *new])
    learner = fresh(old)
    learner.update(new, ())
    learner.update(new, ())
    same_state(learner, expected)
    learner.update(old, ())
    same_state(learner, expected)
    same_state(fresh([*new, *old]), expected)


def test_a_mass_withdrawal_is_as_if_never_answered() -> None:
    """When most answers go at once, what is left is worked out afresh, with the same result."""
    learner, answers = loop(40)
    kept = [answer for answer in answers if answer.annotation.number < 6]
    learner.update((), {answer.annotation for answer in answers if answer not in kept})
    same_state(learner, fresh(kept))


def test_the_same_seed_and_set_ask_the_same() -> None:
    """Two learners that reached one set on different ways ask the same questions; another seed may not."""
    learner, answers = loop(12)
    asked, again = learner.ask(5), fresh(reversed(answers)).ask(5)
    assert [question.id for question in asked] == [question.id for question in again]


def test_it_finds_the_groups() -> None:
    """Forty right answers are enough for three easy clusters, named by their founders."""
    learner, _ = loop(40)
    groups, confidence = learner.posterior().assignment()
    for label in range(3):
        mine = groups[label == LABELS]
        assert (mine == np.bincount(mine).argmax()).mean() > 0.9
    assert confidence.min() >= 0.0
    assert set(learner.posterior().groups) <= set(SPACE.sample_ids)


def test_no_pair_twice_while_open() -> None:
    """Twenty questions asked in four goes are about twenty pairs and place twenty samples."""
    learner, _ = loop(6)
    asked: list[Question] = []
    for _ in range(4):
        asked += learner.ask(5, open_questions=asked)
    pairs = [pair for question in asked for pair in question.pairs]
    assert len(set(pairs)) == len(pairs) == 20
    assert len({question.candidates for question in asked}) == 20


@pytest.mark.parametrize("kind", list(QuestionKind))
def test_questions_say_what_was_expected(kind: QuestionKind) -> None:
    """Questions carry a probability for each candidate and an informativeness in 0..1, best first; the best one is full."""
    learner, _ = loop(3, kind=kind, candidates=4)
    questions = learner.ask(3, kind=kind, candidates=4)
    assert len(questions) == 3
    size = 1 if kind is QuestionKind.PAIR else 4
    assert len(questions[0].candidates) == size
    for question in questions:
        assert question.kind is kind
        assert len(question.probabilities) == len(question.candidates) <= size
        assert all(0.0 < p < 1.0 for p in question.probabilities)
        assert 0.0 <= question.informativeness <= 1.0
        assert question.anchor not in question.candidates
        value, same, moot = learner.value(question)
        assert value == pytest.approx(question.informativeness) and not moot
        assert same == pytest.approx(question.probabilities)


def test_a_settled_question_is_moot_unless_it_is_a_recheck() -> None:
    """What trusted answers imply need not be asked; a verification always may."""
    learner, answers = loop(10)
    pair = next(a.pair for a in answers if a.verdict == "same")
    settled = Question(QuestionKind.PAIR, pair.first, (pair.second,))
    assert learner.value(settled)[2] is True and learner.value(settled)[0] == 0.0
    verify = Question(QuestionKind.PAIR, pair.first, (pair.second,), Purpose.VERIFY)
    assert learner.value(verify)[2] is False
    assert learner.value(Question(QuestionKind.PAIR, "nowhere", (pair.second,)))[2] is True


def test_an_unlikely_answer_is_asked_again() -> None:
    """After one wrong answer amid right ones, a re-check of that very sample comes up."""
    learner, answers = loop(40)
    wrong = said(
        900,
        learner.posterior().groups[0],
        SPACE.sample_ids[_unasked(answers, other_than=learner)],
        "same",
        updated_at=1,
    )
    learner.update([wrong], ())
    rechecks = [q for q in learner.ask(20) if q.purpose is Purpose.RECHECK]
    assert any(set(wrong.pair) & set(question.candidates) for question in rechecks)


def _unasked(answers: list[Answer], other_than: Learner) -> int:
    """A sample in no answer whose label differs from the oldest group's founder."""
    seen = {sample for answer in answers for sample in answer.pair}
    founder = LABELS[SPACE.index[other_than.posterior().groups[0]]]
    ordered = np.argsort(-SPACE.densities)
    return next(int(row) for row in ordered if LABELS[row] != founder and SPACE.sample_ids[row] not in seen)


def test_asking_the_same_pair_again_is_another_question() -> None:
    """The round tells how often a pair was asked, so the id is new."""
    learner, answers = loop(5)
    assert all(q.round > 0 for q in learner.ask(30) if set(q.pairs) & {a.pair for a in answers})


def test_a_new_space_keeps_answers_and_groups() -> None:
    """Moving to a new model version keeps groups and components; moving there at once is the same."""
    learner, answers = loop(25)
    before = learner.posterior()
    moved = build_space(SPACE.sample_ids, SPACE.features @ np.diag([1.0, 2.0, 0.5]))
    learner.move_to(moved)
    after = learner.posterior()
    assert after.groups == before.groups
    assert (after.components == before.components).all()
    at_once = Learner(moved)
    at_once.set_answers(answers)
    same_state(learner, at_once)


def test_answers_about_unknown_samples_are_kept_but_do_no_harm() -> None:
    """A sample that the space does not know counts in the graph and nowhere else."""
    learner = fresh([said(1, "zz", SPACE.sample_ids[0], "same"), said(2, "zz", "zzz", "different")])
    assert learner.answers == 2
    assert learner.ask(1)
    assert (learner.posterior().components >= 0).sum() == 1


def test_posterior_survives_storage() -> None:
    """Header and arrays give the posterior back, and rows are sub-probabilities."""
    posterior = loop(15)[0].posterior()
    again = Posterior.load(SPACE.sample_ids, posterior.header(), posterior.arrays())
    assert again.groups == posterior.groups and (again.probabilities == posterior.probabilities).all()
    assert posterior.probabilities.min() >= 0.0 and posterior.probabilities.sum(axis=1).max() <= 1.0 + 1e-6


def test_nothing_to_ask_in_a_pool_of_one() -> None:
    """One sample makes no pair; two make one."""
    one = Learner(build_space(["a"], np.ones((1, 2), np.float32)))
    assert one.ask(3) == [] and one.posterior().groups == ()
    two = Learner(build_space(["a", "b"], np.eye(2, dtype=np.float32)))
    [question] = two.ask(3)
    assert set(question.samples) == {"a", "b"}


def test_unknown_strategy_is_refused() -> None:
    """The message names those that exist."""
    with pytest.raises(InputError, match="gain"):
        Learner(SPACE, strategy="nonsense")


def test_random_strategy_asks_unsettled_pairs() -> None:
    """The floor strategy works through the same interface."""
    learner = Learner(SPACE, strategy="random", seed=3)
    questions = learner.ask(10)
    assert len({question.pairs for question in questions}) == 10
