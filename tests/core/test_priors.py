import numpy as np
import pytest

from pal_backend.core.priors import (
    Answers,
    among,
    answer_log_odds,
    founding,
    guidance,
    levels,
    mixture,
    novel,
    novelty,
    posterior,
    share_of_none,
    sharpen,
    whole,
)


def test_novelty_falls_as_groups_are_met_again() -> None:
    """Good and Turing: many classes met once promise more, none met once promises next to none."""
    assert novelty(np.ones(3), 3) > 0.8 > 0.05 > novelty(np.zeros(0), 30)


def test_whoever_is_hardly_new_promises_little() -> None:
    """A sample in no group counts by the chance that it is the first of its class."""
    assert novelty(np.asarray([0.9]), 20) > novelty(np.asarray([0.1]), 20) > novelty(np.zeros(0), 20)


def test_share_of_none_has_the_wanted_mean() -> None:
    """The mean chance of "none of them" is what was asked for, whatever beliefs say among the groups."""
    coverage = np.random.default_rng(0).uniform(0, 0.8, 500)
    for rate in (0.05, 0.3, 0.8):
        none = share_of_none(coverage, rate)
        assert novel(coverage, none).mean() == pytest.approx(rate, abs=1e-3)


def test_whole_rows_are_probabilities() -> None:
    """Rows sum to one, nothing is impossible, "none of them" is what it is told, and hardly reached samples are open."""
    spread = np.asarray([[0.5, 0.0], [0.001, 0.0]])
    known = among(spread, 0.1)
    p = whole(sharpen(known, 3.0), 0.01, novel(spread.sum(axis=1), 0.1))
    assert p.sum(axis=1) == pytest.approx([1.0, 1.0])
    assert p[:, 2] == pytest.approx([0.1 / 0.6, 0.1 / 0.101])
    assert p.min() > 0.0 and known[0, 0] > 0.98 and known[1, 0] < 0.9
    assert p[0, 1] >= 0.005 * (1.0 - p[0, 2])


def test_levels_bring_groups_half_way_to_one_size() -> None:
    """A group that spreading finds four times as large is halved against the other; without groups there is nothing to do."""
    spread = np.asarray([[0.8, 0.1], [0.8, 0.3]], np.float32)
    level = levels(spread)
    assert level[1] / level[0] == pytest.approx(2.0) and level.mean() == pytest.approx(1.0)
    assert level.dtype == np.float32 and levels(np.zeros((3, 0), np.float32)).shape == (0,)
    assert np.isfinite(levels(np.zeros((3, 2), np.float32))).all()


def test_fit_is_the_likelihood_of_the_answers() -> None:
    """Against the sum over places written out, with error rate .1: one answer for the first group, one against it."""
    p, none = np.asarray([[2 / 3, 1 / 3], [2 / 3, 1 / 3]]), np.full(2, 0.1)
    odds = np.log(9.0)
    evidence = np.asarray([[odds, 0.0], [-odds, 0.0]])
    yes = 0.6 * 0.9 + 0.4 * 0.1  # said "same" as the first group
    no = 0.6 * 0.1 + 0.4 * 0.9
    sure, lost = Answers(evidence).fit(p, none, [0.0, 1.0])
    assert sure == pytest.approx(np.log(yes / 0.1) + np.log(no / 0.9))
    either = 0.45 * np.exp(evidence) @ np.ones(2) + 0.1  # where beliefs are no guide both groups are as likely
    assert lost == pytest.approx(np.log(either).sum())


def test_guidance_follows_the_answers() -> None:
    """Cautious beliefs that are always right are sharpened, those right by chance are not and are taken for no guide."""
    group = np.arange(40) % 4
    own = np.full((40, 4), 0.15)
    own[np.arange(40), group] = 0.55
    none = np.full(40, 0.01)
    evidence = np.full((40, 4), -3.0)
    evidence[np.arange(40), group] = 3.0
    power, astray = guidance(own, none, evidence)
    assert (power, astray) == (3.0, 0.003)
    power, astray = guidance(own, none, np.roll(evidence, 1, axis=0))
    assert (power, astray) == (1.0, 0.1)
    assert guidance(own[:5], none[:5], evidence[:5])[0] == 1.0


def test_the_second_opinion_counts_where_it_is_right() -> None:
    """An opinion that knows what label spreading does not gets the largest weight, one that is wrong none."""
    group = np.arange(40) % 4
    own, none = np.full((40, 4), 0.25), np.full(40, 0.01)
    own[:, 0], own[:, 1] = 0.3, 0.2
    scores = np.eye(4)[group]
    evidence = np.where(scores > 0.0, 3.0, -3.0)
    assert mixture(own, scores, none, 0.01, evidence)[1] == 0.6
    right = 0.8 * scores + 0.05
    assert mixture(right, np.roll(scores, 1, axis=0), none, 0.01, evidence)[1] == 0.0


def test_answers_that_fit_are_believed_more() -> None:
    """Where sure samples agree with their answers the log-odds rise above the prior's, else they fall."""
    own = np.tile([0.96, 0.02, 0.02], (200, 1))
    agree = np.tile([1.0, 0.0], (200, 1))
    against = np.tile([-1.0, 0.0], (200, 1))
    prior = answer_log_odds(own[:0], own[:0], agree[:0])
    assert prior == pytest.approx(np.log(19.0))
    assert answer_log_odds(own, own, agree) > prior > answer_log_odds(own, own, against)


def test_what_no_group_reaches_may_be_of_each() -> None:
    """By Bayes: "none of them" gives each of two groups a tenth as much as it keeps; one that founded a group is of that."""
    own = np.asarray([[0.0, 0.0, 1.0], [0.3, 0.1, 0.6], [0.2, 0.0, 0.8]])
    evidence = np.asarray([[3.0, 0.0], [0.0, -1.0], [-2.0, 0.0]])
    prior = founding(own, evidence, np.asarray([0, -1, 1]), 0.1)
    none = np.asarray([1.0, 0.6]) / 1.2
    assert prior[:2, -1] == pytest.approx(none)
    assert prior[:2, :-1] == pytest.approx(own[:2, :-1] + 0.1 * none[:, None])
    assert prior[2] == pytest.approx([0.2, 0.8, 0.0])
    both = posterior(own, evidence, np.asarray([0, -1, 1]), 0.1)
    assert both[0, 0] == pytest.approx(0.1 * np.exp(3.0) / (0.1 * np.exp(3.0) + 0.1 + 1.0))
