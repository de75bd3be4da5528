"""How likely two groups that do not touch are one: by hand, and in pools whose classes have one look or several."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.special import betaincinv

from pal_backend.core.beliefs import Beliefs
from pal_backend.core.learner import Learner
from pal_backend.core.looks import CAUTION, PRIOR_ONE, PRIOR_TWO, _before, several_looks
from pal_backend.core.vocabulary import Purpose, Question
from tests.core import worlds


def test_what_follows_from_those_before_is_the_conditional_mean() -> None:
    """Of a Gaussian with this precision, from its covariance: ``S_i< (S_<<)^-1``."""
    rng = np.random.default_rng(0)
    a = rng.standard_normal((5, 5))
    q = a @ a.T + 5.0 * np.eye(5)
    s = np.linalg.inv(q)
    found = _before(q)
    for i in range(5):
        assert found[i, :i] == pytest.approx(s[i, :i] @ np.linalg.inv(s[:i, :i]) if i else np.zeros(0))
        assert (found[i, i:] == 0.0).all()


def test_regions_and_comparisons_in_vain_are_counted() -> None:
    """Eight samples in two groups. The third follows from the first; the fourth from nothing, though it is of the second's
    group, and the fifth and sixth follow from it: its belief counts, and what the first of the three regions are told from.
    The seventh follows from nothing either, but nothing from it: odd. The last is in no group.
    """
    q = np.eye(8)
    for i, j in ((0, 2), (3, 4), (4, 5)):
        q[i, j] = q[j, i] = -0.5
    group = np.asarray([0, 1, 0, 1, 1, 1, 0, -1])
    both = np.zeros((8, 3))
    both[:, :2] = [[1, 0], [0, 1], [0.9, 0.1], [0.2, 0.8], [0.1, 0.9], [0, 1], [0.6, 0.4], [0, 0]]
    evidence = np.zeros((8, 2))
    evidence[:4] = [[0, -2], [-2, 0], [3, -3], [-2, 4]]
    evidence[6:] = [[2, -2], [-1, -1]]
    expected = betaincinv(0.8 + PRIOR_ONE, 3.0 + PRIOR_TWO, CAUTION)
    assert several_looks(q, both, evidence, group, 0.05) == pytest.approx(expected)


def test_before_there_are_answers_or_groups_it_is_the_prior() -> None:
    """Nobody answered; two samples in no group."""
    prior = betaincinv(PRIOR_ONE, PRIOR_TWO, CAUTION)
    nothing = np.zeros((0, 0))
    assert several_looks(nothing, np.zeros((0, 1)), nothing, np.zeros(0, np.int64), 1.0) == prior
    assert several_looks(np.eye(2), np.ones((2, 1)), np.zeros((2, 0)), np.asarray([-1, -1]), 1.0) == prior


def chance(beliefs: Beliefs) -> float:
    """That two groups which do not touch are one."""
    n = len(beliefs.precision)
    rows = beliefs.answered[:n]
    both = beliefs.probabilities[rows].astype(np.float64)
    return several_looks(beliefs.precision, both, beliefs.evidence[:n], beliefs.placed[rows], beliefs.dials.none)


def asked(looks: int, answers: int) -> tuple[Learner, list[Question]]:
    """Twenty-four clusters far apart, each so many of which are one class, after truthful answers to these questions."""
    space, clusters = worlds.clusters(groups=24, each=100, spread=0.06)
    learner, questions = Learner(space), list[Question]()
    while learner.answers < answers:
        questions += learner.ask(1)
        learner.update(worlds.truthful(learner.answers, questions[-1], space, clusters // looks), ())
    return learner, questions


def test_classes_of_several_looks_are_found_whole() -> None:
    """Eight classes of three looks each are eight groups after 250 answers."""
    learner, _ = asked(3, 250)
    assert len(learner.beliefs.groups) == 8
    assert chance(learner.beliefs) > 0.05


@pytest.mark.parametrize("looks", [2, 4])
def test_nobody_is_asked_over_and_over_about_a_place_far_from_its_group(looks: int) -> None:
    """To place a sample takes five questions at most, wherever it lies."""
    _, questions = asked(looks, 200)
    placed = Counter(question.candidates for question in questions if question.purpose is not Purpose.MERGE)
    assert max(placed.values()) <= 5


def test_where_each_class_has_one_look_groups_are_not_taken_for_one() -> None:
    """No sample of twenty-four classes surprises, and what was compared was two."""
    learner, _ = asked(1, 150)
    assert len(learner.beliefs.groups) == 24
    assert chance(learner.beliefs) < 0.001
