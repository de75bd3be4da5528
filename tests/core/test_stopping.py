"""Stopping rules, each on a case where it says yes and one where it says no; and what the next hundred answers bring."""

from __future__ import annotations

import numpy as np
import pytest

from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.learner import Learner
from pal_backend.core.quality import Accuracy, StoppingVerdict
from pal_backend.core.stopping import PAIR_ERROR, next_hundred, outcomes_when_asked, quality_of
from pal_backend.core.verification import Checks
from pal_backend.core.vocabulary import Answer, Purpose
from tests.core.test_verification import Told
from tests.core.worlds import clusters, said

SPACE, LABELS = clusters(groups=3, each=100, spread=0.1)
IDS = SPACE.sample_ids


def answers(members: int = 3, apart: bool = True, checks: int = 0, wrong: int = 0) -> list[Answer]:
    """Two groups of so many, kept apart or not, and checks of the next samples, the last of them ``wrong``."""
    made = [said(n, IDS[0], IDS[n], "same", updated_at=n) for n in range(1, members)]
    made += [said(200 + n, IDS[100], IDS[100 + n], "same", updated_at=200 + n) for n in range(1, members)]
    if apart:
        made += [said(500 + n, IDS[0], IDS[100], "different", updated_at=500 + n) for n in range(2)]
    for n in range(checks):
        verdict = "different" if n >= checks - wrong else "same"
        row = members + n
        for again in range(3 if verdict == "different" else 1):
            number = 1000 + 3 * n + again
            made.append(
                said(
                    number,
                    IDS[again],
                    IDS[row],
                    verdict,
                    purpose=Purpose.VERIFY,
                    candidate=IDS[row],
                    updated_at=number,
                )
            )
    return made


def verdicts(some: list[Answer]) -> dict[str, StoppingVerdict]:
    learner = Learner(SPACE)
    learner.set_answers(some)
    found = quality_of(SPACE, learner.graph, learner.beliefs, some).stopping
    return {verdict.name: verdict for verdict in found}


def test_every_rule_states_figure_threshold_and_a_sentence() -> None:
    """Also before there is anything to judge by; then none says that one may stop."""
    for some in ([], answers(checks=10)):
        found = verdicts(some)
        assert list(found) == [
            "groups-apart",
            "expected-error",
            "checks-agree",
            "no-new-group",
            "worth",
            "likelihood-ratio",
        ]
        for verdict in found.values():
            assert type(verdict.met) is bool and type(verdict.figure) is type(verdict.threshold) is float
            assert np.isfinite(verdict.figure) and verdict.sentence.endswith(".")
    assert not any(verdict.met for verdict in verdicts([]).values() if verdict.name != "likelihood-ratio")


def test_groups_must_be_kept_apart() -> None:
    """Of four groups two are not compared by any answer: one pair is left open, until they are."""
    more = [
        said(900 + n, IDS[a], IDS[b], "different")
        for n, a, b in ((0, 0, 260), (1, 100, 260), (2, 0, 160), (3, 100, 160))
    ]
    assert verdicts(answers())["groups-apart"].met
    loose = verdicts([*answers(), *more])["groups-apart"]
    assert not loose.met and loose.sentence.startswith("1 of 6 pairs")
    assert verdicts([*answers(), *more, said(910, IDS[260], IDS[160], "different")])["groups-apart"].met


def test_expected_error_is_that_of_all_pairs() -> None:
    """The K x K sums give the very sum over all pairs."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), 30)
    beliefs = Told(("a", "b", "c"), np.zeros(0, np.int64), p, np.zeros((0, 4)), np.eye(3))
    found = quality_of(SPACE, SimilarityGraph.of(()), beliefs, []).stopping[1]
    same = p[:, :-1] @ p[:, :-1].T
    upper = np.triu_indices(30, 1)
    assert found.figure == pytest.approx((same * (1.0 - same))[upper].mean())
    assert not found.met and found.threshold == PAIR_ERROR
    assert verdicts(answers(members=20))["expected-error"].met


def test_59_checks_without_an_error_are_the_fewest_that_agree() -> None:
    """58 do not do, and one wrong one undoes it."""
    assert verdicts(answers(checks=59))["checks-agree"].met
    assert not verdicts(answers(checks=58))["checks-agree"].met
    spoilt = verdicts(answers(checks=60, wrong=1))["checks-agree"]
    assert not spoilt.met and spoilt.sentence.startswith("59 of 60 checks agree")


def test_a_stranger_among_the_checks_starts_the_count_anew() -> None:
    """59 checks that all fit known groups rule out a class of one in twenty; one that founds a group does not."""
    assert verdicts(answers(checks=59))["no-new-group"].met
    some = answers(checks=59)
    row = IDS[250]  # of a class that no answer has met
    some += [
        said(2000 + n, anchor, row, "different", purpose=Purpose.VERIFY, candidate=row, updated_at=2000 + n)
        for n, anchor in enumerate((IDS[0], IDS[100], IDS[1], IDS[101], IDS[2], IDS[102]))
    ]
    found = verdicts(some)["no-new-group"]
    assert not found.met and found.figure == 0.0


def test_likelihood_ratio_wants_every_place_sure() -> None:
    """A sample that one answer put where it does not look to belong keeps the rule from holding."""
    sure = verdicts(answers(members=10))["likelihood-ratio"]
    odd = verdicts([*answers(members=10), said(950, IDS[0], IDS[150], "same", updated_at=950)])["likelihood-ratio"]
    assert odd.figure < min(sure.figure, odd.threshold) and not odd.met


@pytest.mark.parametrize("decay", [0.25, 0.75])
def test_the_next_hundred_follow_the_learning_curve(decay: float) -> None:
    """Where errors fell quickly more is expected than where they fell slowly; the fit finds the power that made them."""
    earlier = np.arange(40, 2000, 10)
    outcomes = 3.0 * (1.0 + earlier) ** -decay
    accuracy = Accuracy(0.9, 0.85, 0.95, len(earlier))
    expected = 0.1 * (1.0 - (2000 / 2100) ** decay)
    assert next_hundred(accuracy, np.minimum(outcomes, 1.0), earlier, 2000) == pytest.approx(expected, rel=0.25)


def test_a_few_checks_hardly_move_the_expectation() -> None:
    """With one check the prior stands; nothing is to gain where everything is right, and never less than nothing."""
    one = next_hundred(Accuracy(0.9, 0.5, 1.0, 1), np.zeros(1), np.asarray([40]), 100)
    assert one == pytest.approx(0.1 * (1.0 - 0.5**0.5), rel=0.2)
    assert next_hundred(Accuracy(1.0, 0.9, 1.0, 9), np.zeros(9), np.arange(9), 100) == 0.0
    rising = np.linspace(0.0, 1.0, 100)
    assert next_hundred(Accuracy(0.5, 0.4, 0.6, 100), rising, np.arange(100) * 10, 1000) >= 0.0


def test_outcomes_are_those_of_the_group_first_asked() -> None:
    """What people said of a check when it was first asked, by all that is known today."""
    learner = Learner(SPACE)
    some = answers(checks=6, wrong=2)
    learner.set_answers(some)
    found = outcomes_when_asked(learner.beliefs, Checks.of(some, SPACE, learner.beliefs))
    assert found[:4].max() < 0.2 and found[4:].min() > 0.5
