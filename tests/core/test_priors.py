import numpy as np
import pytest

from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.priors import answer_log_odds, novelty, share_of_none, sharpen, sharpness, with_none
from tests.core.worlds import said


def test_novelty_falls_as_groups_are_met_again() -> None:
    """Good and Turing: many groups met once promise more, groups met often promise none."""
    graph = SimilarityGraph.of([])
    fresh = novelty(graph, ["a", "b", "c"], np.asarray([0, 1, 2]))
    known = novelty(graph, ["a", "b", "c"], np.repeat([0, 1, 2], 10))
    assert fresh > 0.8 > 0.05 > known


def test_strangers_keep_novelty_up() -> None:
    """A sample in no group that is kept apart from one counts as a likely new group."""
    graph = SimilarityGraph.of([said(1, "a", "x", "different")])
    group = np.asarray([0, 0, 0, 0, -1])
    assert novelty(graph, ["a"], group) > novelty(SimilarityGraph.of([]), ["a"], group)


def test_share_of_none_has_the_wanted_mean() -> None:
    """The mean chance of "none of them" is what was asked for."""
    coverage = np.random.default_rng(0).uniform(0, 0.8, 500)
    for rate in (0.05, 0.3, 0.8):
        none = share_of_none(coverage, rate)
        assert (none / (none + coverage)).mean() == pytest.approx(rate, abs=1e-3)


def test_with_none_rows_are_probabilities() -> None:
    """Rows sum to one, nothing is impossible, and "none of them" is largest where coverage is least."""
    p = with_none(np.asarray([[0.5, 0.0], [0.01, 0.0]]), 0.1)
    assert p.sum(axis=1) == pytest.approx([1.0, 1.0])
    assert p.min() > 0.0 and p[1, 2] > p[0, 2]


def test_sharpness_follows_the_placements() -> None:
    """Cautious beliefs that are always right are sharpened, beliefs that are right by chance are not."""
    own = np.full((40, 5), 0.125)
    group = np.arange(40) % 4
    own[np.arange(40), group] = 0.5
    assert sharpness(own, group) == 3.0
    assert sharpness(own, np.roll(group, 1)) == 1.0
    assert sharpness(own[:5], group[:5]) == 1.0
    assert sharpen(own, 2.0).sum(axis=1) == pytest.approx(np.ones(40))


def test_answers_that_fit_are_believed_more() -> None:
    """Where sure samples agree with their answers the log-odds rise above the prior's, else they fall."""
    own = np.tile([0.96, 0.02, 0.02], (200, 1))
    agree = np.tile([1.0, 0.0], (200, 1))
    against = np.tile([-1.0, 0.0], (200, 1))
    prior = answer_log_odds(own[:0], own[:0], agree[:0])
    assert prior == pytest.approx(np.log(19.0))
    assert answer_log_odds(own, own, agree) > prior > answer_log_odds(own, own, against)
