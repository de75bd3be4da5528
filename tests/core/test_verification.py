"""Accuracy from checks: calibrated, honest about people's errors, and never surer than the checks allow."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pal_backend.core.learner import Learner
from pal_backend.core.verification import Checks, judge
from pal_backend.core.vocabulary import Purpose
from tests.core.worlds import clusters, said


@dataclass(frozen=True)
class Told:
    """Beliefs as far as checks are judged by them."""

    groups: tuple[str, ...]
    answered: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    own: NDArray[np.float64]
    one: NDArray[np.float64]

    @property
    def placed(self) -> NDArray[np.int64]:
        """Nothing is placed."""
        return np.full(len(self.probabilities), -1)


@dataclass
class World:
    """Beliefs of N samples in two groups, C of them checked, and how many of all are right."""

    beliefs: Told
    checks: Checks
    accuracy: float


def world(
    *,
    accuracy: float = 0.9,
    checks: int = 100,
    errors: float = 0.0,
    seed: int = 0,
    samples: int = 3000,
    sure: bool = False,
    again: bool = True,
) -> World:
    """A pool whose beliefs foretell the truth (or, if ``sure``, are all but certain), with simulated answers to checks.

    A check that was answered "different" is asked about again until two more answers agree, as the asking does.
    """
    rng = np.random.default_rng(seed)
    p = np.full(samples, 0.999) if sure else rng.beta(8.0 * accuracy, 8.0 * (1.0 - accuracy), samples)
    right = rng.random(samples) < (accuracy if sure else p)
    rows = np.sort(rng.choice(samples, checks, replace=False))
    same, different = np.zeros((checks, 2)), np.zeros((checks, 2))
    for c, row in enumerate(rows.tolist()):
        for _ in range(5 if again else 1):
            yes = bool(right[row]) != bool(rng.random() < errors)
            (same if yes else different)[c, 0] += 1
            if not -3 < same[c, 0] - different[c, 0] < 1:
                break
    own = np.stack([p[rows], 0.7 * (1.0 - p[rows]), 0.3 * (1.0 - p[rows])], axis=1)
    both = own * np.exp(2.5 * np.stack([same[:, 0] - different[:, 0], np.zeros(checks), np.zeros(checks)], axis=1))
    probabilities = np.stack([p, 0.7 * (1.0 - p), 0.3 * (1.0 - p)], axis=1)
    probabilities[rows] = both / both.sum(axis=1, keepdims=True)
    beliefs = Told(("a", "b"), rows, probabilities, own, np.eye(2))
    zeros = np.zeros(checks, np.int64)
    found = Checks(rows, np.arange(checks), same, different, zeros + 1, zeros, zeros)
    # an answered sample is right by what is believed with its answers
    after = right.copy()
    after[rows] = (probabilities[rows, 0] > 0.5) == right[rows]
    return World(beliefs, found, float(after.mean()))


def interval(found: World, error_rate: float = 0.05) -> tuple[float, float, float]:
    judged = judge(found.beliefs, found.checks, error_rate)
    assert judged is not None
    return judged.accuracy.low, judged.accuracy.estimate, judged.accuracy.high


@pytest.mark.parametrize(
    ("accuracy", "sure", "width"),
    [
        (0.8, False, 0.185),
        (0.9, False, 0.15),
        (0.97, False, 0.08),
        (0.9, True, 0.15),
        (0.97, True, 0.08),
        (1.0, True, 0.05),
    ],
)
@pytest.mark.parametrize("errors", [0.0, 0.1])
def test_the_interval_holds_the_truth(accuracy: float, sure: bool, width: float, errors: float) -> None:
    """In at least 18 of 20 seeds, whether the beliefs foretell the errors or are certain and know nothing of them; and
    the interval is as narrow as a hundred checks allow.
    """
    held, widths = 0, []
    for seed in range(20):
        found = world(accuracy=accuracy, errors=errors, sure=sure, seed=seed)
        low, _, high = interval(found, 0.1 if errors else 0.03)
        held += low <= found.accuracy <= high
        widths.append(high - low)
    assert held >= 18
    assert np.mean(widths) < width


def test_more_checks_narrow_it() -> None:
    """Four times the checks, about half the width."""
    few, many = (interval(world(checks=checks, seed=3)) for checks in (50, 400))
    assert (many[2] - many[0]) < 0.6 * (few[2] - few[0])


@pytest.mark.parametrize(("checks", "lowest"), [(1, 0.85), (5, 0.9), (60, 0.98), (400, 0.996)])
def test_all_right_is_not_certainty(checks: int, lowest: float) -> None:
    """Without a single error the interval stays open below by about what nobody can have seen, and reaches up to 1."""
    low, estimate, high = interval(world(accuracy=1.0, checks=checks, sure=True), 0.03)
    assert high == 1.0
    assert low < lowest
    assert low < estimate < high


def test_wrong_answers_are_not_taken_for_wrong_groups() -> None:
    """With one answer in ten wrong, checks of perfect groups are not read as nine in ten right."""
    found = world(accuracy=1.0, errors=0.1, sure=True)
    raw = (found.checks.same[:, 0] > 0).mean()
    _, estimate, high = interval(found, 0.1)
    assert estimate > 0.96 and high > 0.99
    alone = world(accuracy=1.0, errors=0.1, sure=True, again=False)
    assert (alone.checks.same[:, 0] > 0).mean() < 0.95 <= interval(alone, 0.1)[1]
    assert raw > 0.95  # asking again has put most of them right


def test_answers_about_a_group_that_is_the_same_one_speak_for_it() -> None:
    """Where two groups are believed to be one, "same" as a member of the other is no error; where they are two, it is."""
    found = world(accuracy=1.0, checks=60, sure=True)
    found.checks.same[:10] = (0.0, 3.0)
    apart = interval(found)
    found.beliefs.one[:] = 1.0
    together = interval(found)
    assert apart[2] < 0.95
    assert together[1] > 0.97 and together[2] == 1.0


@pytest.mark.parametrize("times", [1, 4, 40])
def test_how_often_people_err_does_not_depend_on_how_much_is_said_of_a_check(times: int) -> None:
    """Nor do answers without number make errors look more likely: representatives that were checks once have many."""
    found = world(accuracy=1.0, checks=100, sure=True)
    found.checks.same[:, 0] = times
    found.checks.same[:20, 0] *= 10
    judged = judge(found.beliefs, found.checks, 0.03)
    assert judged is not None
    assert judged.error_rate < 0.03


def test_certain_beliefs_do_not_outvote_the_checks() -> None:
    """Three checks in ten twice "different" against beliefs of .999: about .7, and no belief is borne out above it."""
    found = world(accuracy=0.7, sure=True)
    judged = judge(found.beliefs, found.checks, 0.05)
    assert judged is not None
    assert judged.accuracy.estimate == pytest.approx(0.7, abs=0.1)
    assert judged.surest < 0.9
    wrong = found.checks.different[:, 0] >= 2
    assert judged.right[wrong].max() < 0.5 < judged.right[~wrong].min()


def test_nothing_is_said_without_checks_or_groups() -> None:
    """None, rather than a guess."""
    found = world(checks=10)
    empty = Checks(
        *(getattr(found.checks, name)[:0] for name in ("rows", "at", "same", "different")),
        *(np.zeros(0, np.int64),) * 3,
    )
    assert judge(found.beliefs, empty, 0.05) is None
    assert judge(replace(found.beliefs, groups=()), found.checks, 0.05) is None


SPACE, _ = clusters(groups=2, each=20, spread=0.1)
IDS = SPACE.sample_ids


def placed() -> list:  # type: ignore[type-arg]
    """Two groups of four, told apart."""
    answers = [said(n, IDS[0], IDS[n], "same", updated_at=n) for n in range(1, 4)]
    answers += [said(10 + n, IDS[20], IDS[20 + n], "same", updated_at=10 + n) for n in range(1, 4)]
    return [*answers, said(20, IDS[0], IDS[20], "different", updated_at=20)]


def verify(number: int, row: int, anchor: int, verdict: str) -> object:
    return said(number, IDS[anchor], IDS[row], verdict, purpose=Purpose.VERIFY, candidate=IDS[row], updated_at=number)


def rows_of(learner: Learner, answers: list) -> Checks:  # type: ignore[type-arg]
    learner.set_answers(answers)
    return Checks.of(answers, SPACE, learner.beliefs)


def test_checks_are_read_off_the_answers() -> None:
    """Which samples were drawn, when, how often they were asked about, and what was said of each group, whatever why."""
    answers = [
        *placed(),
        verify(30, 9, 0, "different"),
        verify(31, 30, 20, "same"),
        verify(32, 9, 1, "same"),
        said(33, IDS[9], IDS[20], "different", updated_at=33),
        verify(34, 12, 0, "unsure"),
        verify(35, 5, 0, "same"),
    ]
    learner = Learner(SPACE)
    found = rows_of(learner, answers)
    ours, theirs = learner.beliefs.placed[[0, 20]].tolist()
    assert found.rows.tolist() == [9, 30, 5]
    assert found.tries.tolist() == [2, 1, 1]
    assert found.earlier.tolist() == [7, 8, 11]
    assert found.first.tolist() == [ours, theirs, ours]
    assert found.same[0, [ours, theirs]].tolist() == [1.0, 0.0]
    assert found.different[0, [ours, theirs]].tolist() == [1.0, 1.0]


def test_the_order_of_the_answers_does_not_matter() -> None:
    """A function of the set."""
    answers = [*placed(), verify(30, 9, 0, "same"), verify(31, 30, 20, "same"), verify(32, 9, 1, "same")]
    one, two = rows_of(Learner(SPACE), answers), rows_of(Learner(SPACE), answers[::-1])
    for name in ("rows", "at", "same", "different", "tries", "earlier", "first"):
        array: NDArray[np.float64] = getattr(one, name)
        assert array.tolist() == getattr(two, name).tolist()


def test_the_learner_says_how_good_it_is() -> None:
    """Ten checks that agree: high but not certain; with more that disagree it falls."""
    agreeing = [*placed(), *(verify(30 + n, 5 + n, 0, "same") for n in range(10))]
    learner = Learner(SPACE)
    learner.set_answers(agreeing)
    good = learner.quality()
    assert good.accuracy is not None and good.accuracy.checks == 10
    assert good.accuracy.estimate > 0.85 and good.next_hundred is not None
    learner.set_answers([*agreeing, *(verify(50 + n, 30 + n // 2, 20 + n % 2, "different") for n in range(10))])
    bad = learner.quality()
    assert bad.accuracy is not None
    assert bad.accuracy.estimate < good.accuracy.estimate and bad.accuracy.low < good.accuracy.low
    unknown = Learner(SPACE).quality()
    assert unknown.accuracy is None and unknown.next_hundred is None
