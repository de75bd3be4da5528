"""How likely two groups are one, by hand and in the situation it is made for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pal_backend.core.beliefs import believe
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.inference import Answered
from pal_backend.core.learner import Learner
from pal_backend.core.merging import AT_ONCE, places, said, told
from pal_backend.core.vocabulary import Answer, Origin, Purpose
from tests.core import worlds

SPACE, LABELS = worlds.clusters(groups=3, each=30, spread=0.1)
IDS = SPACE.sample_ids
HOME, HALF, AWAY, FAR = 0, 15, 30, 60
"""Founders: of both halves of one class, and of the other two classes."""


def test_evidence_is_the_ratio_of_what_one_and_two_groups_foretell() -> None:
    """Sample by sample, pair of groups by pair of groups, from the definition."""
    rng = np.random.default_rng(0)
    own, evidence = rng.dirichlet(np.ones(4), 5), rng.normal(0.0, 3.0, (5, 3))
    evidence[2] = 0.0
    expected = np.zeros((3, 3))
    for b, heard in zip(own, evidence, strict=True):
        two = b[3] + sum(b[m] * np.exp(heard[m]) for m in range(3))
        for k, other, third in ((0, 1, 2), (0, 2, 1), (1, 2, 0)):
            one = b[3] + b[third] * np.exp(heard[third]) + (b[k] + b[other]) * np.exp(heard[k] + heard[other])
            expected[[k, other], [other, k]] += np.log(one / two)
    assert told(own, evidence) == pytest.approx(expected)
    assert told(own[:0], evidence[:0]).tolist() == [[0.0] * 3] * 3


def test_many_samples_are_taken_in_portions() -> None:
    """More than fit at once add up to the sum of their parts."""
    rng = np.random.default_rng(1)
    count = AT_ONCE // 3 + 10
    own, evidence = rng.dirichlet(np.ones(4), count), rng.normal(0.0, 1.0, (count, 3))
    assert told(own, evidence) == pytest.approx(told(own[:7], evidence[:7]) + told(own[7:], evidence[7:]))


def test_an_answer_counts_at_the_sample_that_others_leave_less_sure() -> None:
    """Once, whichever end is named first; and not where the other end is in no group."""
    prior = np.asarray([[0.6, 0.3, 0.1], [0.9, 0.05, 0.05], [0.4, 0.4, 0.2]])
    evidence = np.asarray([[6.0, 0.0], [2.0, 0.0], [-3.0, -3.0]])
    edges = (np.asarray([0, 1, 2]), np.asarray([1, 2, 1]), np.asarray([2.0, -3.0, 0.5]))
    group = np.asarray([0, 0, 1])
    first = places(edges, prior, evidence, group)
    # row 0 is sure by its other answers, though row 1 is surer without any
    assert first.tolist() == [False, False, True]
    assert said(edges, first, group, 2).tolist() == [[0.0, 0.0], [2.0, 0.0], [-2.5, 0.0]]
    assert said(edges, first, np.asarray([-1, -1, -1]), 2).tolist() == [[0.0, 0.0]] * 3


def halves(victims: int) -> list[Answer]:
    """One class in two groups: fourteen samples were rightly said to be of the first; so many others, wrongly, to differ from
    it, and rightly to be of the second.
    """
    pairs = [(HOME, AWAY), (HOME, FAR), (AWAY, FAR), (HALF, AWAY), (HALF, FAR), (HOME, HALF)]
    answers = [worlds.said(n, IDS[a], IDS[b], "different") for n, (a, b) in enumerate(pairs)]
    answers += [worlds.said(10 + n, IDS[k], IDS[k + n], "same") for k in (AWAY, FAR) for n in range(1, 5)]
    answers += [worlds.said(30 + n, IDS[HOME], IDS[n], "same") for n in range(1, 15)]
    for n in range(16, 16 + victims):
        answers += [worlds.said(30 + 2 * n, IDS[HOME], IDS[n], "different")]
        answers += [worlds.said(31 + 2 * n, IDS[HALF], IDS[n], "same")]
    return answers


def one_of(answers: list[Answer], a: int, b: int) -> float:
    """The chance that the groups of two founders are one."""
    beliefs = believe(SPACE, SimilarityGraph.of(answers), Answered(SPACE.walk))
    return float(beliefs.one[beliefs.groups.index(IDS[a]), beliefs.groups.index(IDS[b])])


def test_those_whom_errors_drove_away_do_not_prove_two_groups() -> None:
    """Each of four said to differ from the one half and put into the other; added up it would be e^-17."""
    answers = halves(4)
    graph = SimilarityGraph.of(answers)
    assert graph.between[min(IDS[HOME], IDS[HALF]), max(IDS[HOME], IDS[HALF])] < -15.0
    assert one_of(answers, HOME, HALF) > 0.01 > 10.0 * one_of(answers, HOME, AWAY)


def test_founders_that_differ_count_in_full_and_what_a_lead_splits_stays_split() -> None:
    """Three more "different" between samples sure of their place; one decision."""
    answers = halves(6)
    again = [worlds.said(200 + n, IDS[1 + n], IDS[HALF], "different") for n in range(3)]
    assert one_of([*answers, *again], HOME, HALF) < 0.1 * one_of(answers, HOME, HALF)
    split = replace(
        worlds.said(300, IDS[2], IDS[HALF], "different"), origin=Origin.DECISION, purpose=Purpose.SPLIT, updated_at=1
    )
    assert one_of([*answers, split], HOME, HALF) < 1e-9


def test_a_class_split_by_errors_is_asked_about_and_made_whole() -> None:
    """Right answers to what is asked bring the two halves together within forty answers."""
    learner = Learner(SPACE)
    learner.set_answers(halves(5))
    for number in range(40):
        [question] = learner.ask(1)
        learner.update(worlds.truthful(400 + number, question, SPACE, LABELS), ())
        if len(learner.beliefs.groups) == 3:
            break
    assert len(learner.beliefs.groups) == 3


@pytest.mark.parametrize("verdict", ["same", "different"])
def test_one_more_answer_tells_the_same_as_all_at_once(verdict: str) -> None:
    """Between two full fits the chances move by what the answer's own samples tell, as a full fit has it."""
    answers = halves(5)
    learner = Learner(SPACE)
    learner.set_answers(answers)
    before = learner.beliefs
    learner.update([worlds.said(500, IDS[1], IDS[HALF], verdict, updated_at=1)], ())
    after, home, half = learner.beliefs, before.groups.index(IDS[HOME]), before.groups.index(IDS[HALF])
    assert after.groups == before.groups
    moved = after.ties[home, half] - before.ties[home, half]
    assert (moved > 0.0) == (verdict == "same") and abs(moved) > 0.5
    assert after.said.sum() - before.said.sum() == pytest.approx(
        learner.graph.edges[learner._ordered[-1].pair].weight * before.dials.strength, rel=0.2
    )  # the graph's error rate may have moved since
