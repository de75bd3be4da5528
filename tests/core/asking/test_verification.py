"""About one question in twenty checks a uniform sample, whatever the size of the batch, and nobody can tell which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pal_backend.core.asking.state import Candidates
from pal_backend.core.asking.verification import (
    AGAIN_SHARE,
    FIRST_ANSWERS,
    MOST_TRIES,
    SHARE,
    Budget,
    mix_in,
    unresolved,
)
from pal_backend.core.learner import Learner
from pal_backend.core.verification import Checks
from pal_backend.core.vocabulary import AnnotationKey, Answer, Purpose, Question, QuestionKind, Verdict
from tests.core.worlds import clusters, said

SPACE, LABELS = clusters(groups=4, each=150, spread=0.25)
IDS = SPACE.sample_ids
Says = Callable[[Question, int], bool]


def truth(question: Question, candidate: int) -> bool:
    return bool(LABELS[SPACE.index[question.anchor]] == LABELS[SPACE.index[question.candidates[candidate]]])


def answered(number: int, question: Question, says: Says = truth) -> list[Answer]:
    """One annotation."""
    return [
        Answer(
            AnnotationKey("desk", number),
            pair,
            Verdict.SAME if says(question, i) else Verdict.DIFFERENT,
            updated_at=number,
            purpose=question.purpose_of(sample),
            candidate=sample,
        )
        for i, (pair, sample) in enumerate(zip(question.pairs, question.candidates, strict=True))
    ]


def run(
    answers: int, *, batch: int = 1, kind: QuestionKind = QuestionKind.PAIR, says: Says = truth, seed: int = 0
) -> tuple[Learner, list[Question]]:
    """Ask in batches, with the last batch open while the next is asked, and answer everything."""
    learner, asked, waiting, held = Learner(SPACE, seed=seed), list[Question](), list[Question](), 0
    while held < answers:
        fresh = learner.ask(batch, kind=kind, open_questions=waiting)
        if not fresh and not waiting:
            break
        for question in waiting:
            learner.update(answered(len(asked), question, says), ())
            asked.append(question)
            held += len(question.candidates)
        waiting = fresh
    return learner, asked


@pytest.mark.parametrize(("kind", "batch"), [("pair", 1), ("pair", 10), ("pair", 37), ("screen", 1), ("screen", 5)])
def test_one_answer_in_twenty_checks_whatever_the_batch(kind: str, batch: int) -> None:
    """Held and open checks are counted against the answers held and to come; none comes before the first forty."""
    _, asked = run(240, batch=batch, kind=QuestionKind(kind))
    total = sum(len(question.candidates) for question in asked)
    checks = [sample for question in asked for sample in question.checked]
    assert SHARE * total - 8 <= len(set(checks)) <= SHARE * total + 3
    first = next(n for n, question in enumerate(asked) if question.checked)
    assert sum(len(question.candidates) for question in asked[:first]) >= FIRST_ANSWERS - 2 * 8 * batch
    assert all(question.blind for question in asked if question.checked)


def test_checks_are_samples_never_shown_against_their_predicted_group() -> None:
    """A check's sample was in no earlier question, and its anchor is a member of the group that is likeliest for it."""
    learner, asked = Learner(SPACE), list[Question]()
    for number in range(200):
        [question] = learner.ask(1)
        if question.purpose is Purpose.VERIFY:
            [sample] = question.candidates
            assert all(sample not in earlier.samples for earlier in asked)
            beliefs, row = learner.beliefs, SPACE.index[sample]
            assert beliefs.placed[SPACE.index[question.anchor]] == beliefs.probabilities[row, :-1].argmax()
            assert len(question.probabilities) == 1
        learner.update(answered(number, question), ())
        asked.append(question)
    assert sum(question.purpose is Purpose.VERIFY for question in asked) >= 8


def test_every_sample_is_as_likely_to_be_drawn() -> None:
    """Over many seeds the checks of one and the same state fall on all classes, on the dense and the sparse alike."""
    learner, _ = run(100)
    held = [replace(a, purpose=Purpose.PLACE) for some in learner._answers.values() for a in some]
    drawn = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        asked = mix_in(
            learner._state(()),
            Candidates.of([]),
            [],
            held,
            kind=QuestionKind.PAIR,
            count=4,
            size=8,
            open_questions=(),
            rng=rng,
        )
        drawn += [SPACE.index[s] for question in asked for s in question.checked]
    shown = {SPACE.index[sample] for answer in held for sample in answer.pair}
    free = np.asarray([row for row in range(len(IDS)) if row not in shown])
    assert len(drawn) >= 300 and not shown & set(drawn)
    share = np.bincount(LABELS[drawn], minlength=4) / len(drawn)
    np.testing.assert_allclose(share, np.bincount(LABELS[free], minlength=4) / len(free), atol=0.08)
    assert SPACE.densities[drawn].mean() == pytest.approx(SPACE.densities[free].mean(), abs=0.05)


def test_the_draw_is_a_function_of_answers_and_open_questions() -> None:
    """A learner that was given the answers at once draws the same checks."""
    learner, _ = run(200)
    held = [answer for some in learner._answers.values() for answer in some]
    fresh = Learner(SPACE)
    fresh.set_answers(held[::-1])
    for open_questions in ([], fresh.ask(6)):
        drawn = [
            [question.id for question in each.ask(24, open_questions=open_questions) if question.checked]
            for each in (fresh, learner)
        ]
        assert drawn[0] == drawn[1]
    assert any(question.checked for question in fresh.ask(24))


def test_a_check_stands_in_a_screen_of_its_group_at_any_place() -> None:
    """Mixed among ordinary candidates, one on a screen, of the screen's own group, and not always at the same place."""
    learner, asked = run(640, kind=QuestionKind.SCREEN)
    mixed = [question for question in asked if question.checks]
    assert len(mixed) >= 18
    assert all(len(question.checks) == 1 and question.purpose is not Purpose.VERIFY for question in mixed)
    assert all(len(question.candidates) <= 8 for question in asked)
    assert all(len(question.probabilities) == len(question.candidates) for question in mixed)
    places = {question.candidates.index(*question.checks) for question in mixed if len(question.candidates) == 8}
    assert len(places) >= 4
    alone = sum(len(question.candidates) == 1 for question in mixed)
    assert alone <= len(mixed) / 3
    right = [truth(question, question.candidates.index(*question.checks)) for question in mixed]
    assert np.mean(right) > 0.8
    assert learner.quality().accuracy is not None


def test_a_project_without_checks_catches_up_slowly() -> None:
    """With 240 answers and no check twelve are due, but at most every fourth question is one."""
    learner, _ = run(240)
    learner.set_answers(
        [replace(answer, purpose=Purpose.PLACE) for some in learner._answers.values() for answer in some]
    )
    asked = learner.ask(16)
    assert sum(bool(question.checked) for question in asked) == 4
    assert len({pair for question in asked for pair in question.pairs}) == 16


def test_open_checks_count() -> None:
    """What is open is not asked a second time."""
    learner, _ = run(120)
    first = learner.ask(20)
    second = learner.ask(20, open_questions=first)
    samples = [sample for question in [*first, *second] for sample in question.checked]
    assert len(samples) == len(set(samples)) <= SHARE * 160 + 1


def test_an_unlikely_check_is_asked_again_with_another_representative() -> None:
    """After a wrong "different" the same sample is compared with other members, until two more answers agree (as a check or as
    the strategy's own re-check); each time without a guess.
    """
    wrong: list[str] = []

    def says(question: Question, candidate: int) -> bool:
        sample = question.candidates[candidate]
        if question.purpose is Purpose.VERIFY and not wrong and truth(question, candidate):
            wrong.append(sample)
            return False
        return truth(question, candidate)

    learner, asked = run(200, says=says)
    about = [question for question in asked if wrong[0] in question.candidates]
    assert about[0].purpose is Purpose.VERIFY
    assert len(about) >= 3 and all(question.blind for question in about)
    assert len({question.anchor for question in about[:3]}) == 3
    quality = learner.quality()
    assert quality.accuracy is not None and quality.accuracy.high > 0.98


def test_nobody_is_asked_for_ever() -> None:
    """People who always say "different" are asked no more than a few times about a check, and within the share."""
    learner, asked = run(240, says=lambda question, candidate: truth(question, candidate) and not question.checked)
    times: dict[str, int] = {}
    for question in asked:
        for sample in question.checked:
            times[sample] = times.get(sample, 0) + 1
    assert max(times.values()) <= MOST_TRIES
    assert sum(times.values()) - len(times) <= AGAIN_SHARE * len(asked) + 1
    quality = learner.quality()
    assert quality.accuracy is not None and quality.accuracy.low < 0.8


def test_unsure_counts_as_asked() -> None:
    """A check that nobody can tell is neither asked again nor drawn again, nor does it make room for another."""
    made = [said(n, IDS[0], IDS[n], "same", updated_at=n) for n in range(1, 100)]
    unsure = [
        said(200 + n, IDS[0], IDS[200 + n], "unsure", purpose=Purpose.VERIFY, candidate=IDS[200 + n]) for n in range(5)
    ]
    assert Budget.of([*made, *unsure], (), 1).fresh == 0
    assert Budget.of(made, (), 4).fresh == 1
    assert Budget.of(made[: FIRST_ANSWERS - 1], (), 4) == Budget(0, 0)


def checks(same: list[list[int]], different: list[list[int]], tries: list[int]) -> Checks:
    none = np.zeros(len(tries), np.int64)
    return Checks(
        none, none, np.asarray(same, float), np.asarray(different, float), np.asarray(tries, np.int64), none, none
    )


def test_when_a_check_is_resolved() -> None:
    """By one "same"; by two "different", or three where everything else speaks for the prediction; "same" with another
    group speaks against it; and a check that was only held against a group nobody predicts any more is asked about.
    """
    found = checks(
        same=[[1, 0], [0, 0], [0, 0], [0, 0], [1, 0], [0, 1], [0, 1], [0, 0], [0, 0]],
        different=[[0, 0], [1, 0], [2, 0], [2, 0], [1, 0], [0, 0], [1, 0], [0, 1], [1, 0]],
        tries=[1, 1, 2, 2, 2, 1, 2, 1, MOST_TRIES],
    )
    group = np.zeros(9, np.int64)
    after = np.asarray([0, 0, 0, 1, 0, 0, 1, 0, 0])
    apart = unresolved(found, group, after, np.eye(2))
    assert apart.tolist() == [False, True, True, False, True, True, False, True, False]


def test_what_is_said_of_a_group_that_is_the_same_one_counts() -> None:
    """ "Same" with the other half of a class resolves a check, "different" from it leaves it open; a small chance that two
    groups are one does neither.
    """
    found = checks(same=[[1, 0], [0, 1], [0, 1]], different=[[0, 1], [0, 0], [1, 0]], tries=[1, 1, 2])
    group, after = np.zeros(3, np.int64), np.asarray([0, 0, 1])
    apart, nearly = (unresolved(found, group, after, np.asarray([[1.0, p], [p, 1.0]])) for p in (0.0, 0.1))
    assert apart.tolist() == nearly.tolist() == [False, True, False]
    assert unresolved(found, group, after, np.ones((2, 2))).tolist() == [True, False, True]


def test_a_check_is_moot_only_where_its_group_is_gone() -> None:
    """While its group stands it waits, keeps the informativeness it was given, and is not overtaken for ever."""
    learner, _ = run(200)
    [check] = [question for question in learner.ask(30) if question.purpose is Purpose.VERIFY][:1]
    for number in range(30):
        learner.update(answered(1000 + number, learner.ask(1, open_questions=[check])[0]), ())
        value, _, moot = learner.value(check)
        assert not moot and value >= check.informativeness
    best = max(learner.value(question)[0] for question in learner.ask(8, open_questions=[check]))
    assert check.informativeness >= 0.5 * best
    learner.set_answers([said(1, IDS[7], IDS[8], "same")])
    assert learner.value(check)[2]
