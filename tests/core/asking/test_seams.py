"""Where a group was sewn together wrongly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pal_backend.core.asking.seams import Bystanders, Seam, _least, _Members, belonging, seams, unsettled
from pal_backend.core.asking.sides import Sides
from pal_backend.core.asking.state import State
from pal_backend.core.beliefs import Beliefs, believe
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.inference import Answered
from pal_backend.core.learner import Learner, checkpoint
from pal_backend.core.priors import Dials
from pal_backend.core.vocabulary import Answer, Purpose
from tests.core.worlds import clusters, said

SPACE, LABELS = clusters(groups=3, each=60, spread=0.2)
IDS = SPACE.sample_ids
EACH = 14
TREES = [
    said(100 * group + n, IDS[60 * group + (n - 1) // 2], IDS[60 * group + n], "same")
    for group in range(3)
    for n in range(1, EACH)
]
"""Fourteen members of each cluster, joined in a tree."""
APART = [said(301, IDS[0], IDS[120], "different"), said(302, IDS[60], IDS[120], "different")]
"""The third group is told apart from the two others."""
WRONG = said(310, IDS[4], IDS[66], "same")
"""Joins the first two."""


def worked_out(answers: list[Answer]) -> tuple[SimilarityGraph, Beliefs, list[Seam]]:
    """Graph, beliefs and seams of all answers."""
    graph, known = SimilarityGraph.of(answers), Answered(SPACE.walk)
    beliefs = believe(SPACE, graph, known)
    return graph, beliefs, seams(SPACE, graph, beliefs, known)


def test_one_wrong_same_is_the_top_seam() -> None:
    """The seam between the two clusters is the very first, its stake is one of them, and the others' are small."""
    graph, _, (top, *others) = worked_out([*TREES, *APART, WRONG])
    assert graph.joined(IDS[0], IDS[60])
    assert sorted([sorted(top.small.tolist()), sorted(top.large.tolist())]) == [
        list(range(EACH)),
        list(range(60, 60 + EACH)),
    ]
    assert 10.0 < top.stake < 60.0
    assert all(seam.stake < 0.01 * top.stake for seam in others)


def test_true_groups_have_small_stakes() -> None:
    """Where no "same" is wrong nothing is worth asking; before there are groups there is no seam."""
    graph, beliefs, found = worked_out([*TREES, *APART, said(303, IDS[0], IDS[60], "different")])
    state = State.of(SPACE, graph, beliefs, found)
    assert len(beliefs.groups) == 3 and len(state.seams) > 0
    assert all(state.seam_gain(seam) < 0.05 for seam in state.seams)
    assert worked_out([])[2] == []


def test_an_answer_across_settles_its_seam_only() -> None:
    """Those within one side, or about others, tell nothing about it."""
    found = worked_out([*TREES, *APART, WRONG])[2]
    top = found[0]
    for a, b, tells in ((0, 61, True), (61, 5, True), (0, 5, False), (0, 120, False), (0, 30, False)):
        assert any(seam is top for seam in unsettled(SPACE, found, said(1, IDS[a], IDS[b], "same"))) is not tells
    assert unsettled(SPACE, found, said(1, IDS[0], "nowhere", "same")) == found
    assert unsettled(SPACE, found, said(1, IDS[0], IDS[61], "unsure")) == found


def test_the_learner_finds_and_undoes_the_seam() -> None:
    """It asks about two samples across the wrong "same"; one "different" separates the groups, "same" settles the seam."""
    more = [said(320 + n, IDS[120], IDS[140 + n], "same") for n in range(9)]
    answers = [*TREES, *APART, WRONG, *more]
    assert checkpoint(len(answers)) == len(answers)  # a full fit looks for seams
    learner = Learner(SPACE)
    learner.set_answers(answers)
    assert len(learner.beliefs.groups) == 2
    question = next(asked for asked in learner.ask(2) if asked.purpose is Purpose.RECHECK)
    assert question.blind
    a, b = (SPACE.index[sample] for sample in question.samples)
    assert {LABELS[a], LABELS[b]} == {0, 1}
    learner.update([said(400, *question.samples, "different")], ())
    placed = learner.beliefs.placed
    assert len(learner.beliefs.groups) == 3
    assert placed[2] == placed[0] != placed[60] == placed[62] and placed[120] not in (placed[0], placed[60])
    best = learner.beliefs.probabilities[:, :-1].argmax(axis=1)
    assert all((best[label == LABELS] == placed[60 * label]).mean() > 0.95 for label in range(3))
    learner.update([said(400, *question.samples, "same", updated_at=1)], ())
    assert len(learner.beliefs.groups) == 2
    assert all(set(again.samples) != set(question.samples) for again in learner.ask(3))


def test_rows_answered_since_and_unknown_samples_are_left_out() -> None:
    """Seams are of the rows known when everything was last worked out; a sample of elsewhere may tie two parts."""
    elsewhere = [
        said(500, IDS[20], "nowhere", "same"),
        said(501, "nowhere", IDS[21], "same"),
        said(502, IDS[0], IDS[20], "same"),
    ]
    _, beliefs, found = worked_out([*TREES, *APART, *elsewhere])
    assert all(isinstance(seam, Seam) and seam.stake >= 0.0 for seam in found)
    sides = np.concatenate([np.concatenate(seam[:2]) for seam in found])
    assert set(sides.tolist()) <= set(beliefs.answered.tolist())
    learner = Learner(SPACE)
    learner.set_answers([*TREES, *APART, said(600, IDS[0], IDS[30], "same", updated_at=1)])
    assert len(learner.beliefs.answered) > len(learner.beliefs.precision)
    known = Answered(SPACE.walk)
    known.inverse(learner.beliefs.answered.tolist())
    assert seams(SPACE, learner.graph, learner.beliefs, known)


def test_ties_that_rounding_puts_below_nothing_count_as_none() -> None:
    """Conductances are sums of differences; a share is a chance all the same, whatever the sharpness."""
    found = belonging(np.asarray([-1e-18, 0.5]), np.asarray([[0.3, -1e-18], [-1e-18, -1e-19]]), Dials(power=2.5))
    assert 0.0 < found[0] < 0.01
    assert 0.99 < found[1] < 1.0


def test_two_wrong_answers_between_the_same_sides_are_one_seam() -> None:
    """No cut of one "same" parts what two of them join; how near the members are to each other does."""
    _, _, (top, *_) = worked_out([*TREES, *APART, WRONG, said(311, IDS[9], IDS[73], "same")])
    sides = sorted([sorted(top.small.tolist()), sorted(top.large.tolist())])
    assert sides == [list(range(EACH)), list(range(60, 60 + EACH))]


def test_bystanders_speak_against_the_side_they_do_not_look_like() -> None:
    """One that looks like the first member and differs from the second tells that the two sides are two, as far as it is
    believed to be of the group; one that differs from what it looks like tells nothing of sides.
    """
    sides, r = Sides(np.arange(3), np.asarray([0]), np.asarray([1])), np.exp(-2.0)
    share, each = np.asarray([[1.0, 0.0, 0.0]]), np.ones(1)
    for belief in (0.8, 0.1):
        told = Bystanders(share, np.asarray([[0.0, -2.0, 0.0]]), belief * each, (1.0 - belief) * each).told(sides)
        assert np.allclose(told, np.log(1.0 - belief + belief * r))
    told = Bystanders(share, np.asarray([[-2.0, 0.0, 0.0]]), 0.8 * each, 0.2 * each).told(sides)
    assert np.allclose(told, 0.0)


def test_a_group_s_bystanders_are_told_by_what_they_meet_first() -> None:
    """Samples near the one member that was joined wrongly, each said to differ from another member, are shares of that one."""
    answers = [answer for answer in TREES if not set(answer.pair) & set(IDS[60:120])]
    beside = [said(320 + n, IDS[61 + n], IDS[0], "different") for n in range(5)]
    _, beliefs, found = worked_out([*answers, APART[0], said(310, IDS[0], IDS[60], "same"), *beside])
    assert (beliefs.placed[61:66] == -1).all() and beliefs.placed[60] == beliefs.placed[0]
    assert next(seam for seam in found if seam.small.tolist() == [60]).two > 0.9


def test_a_seam_is_less_in_doubt_where_classes_have_several_looks() -> None:
    """By as much as that is likelier: of two sides of several samples anyway, of a sample alone as far as nothing reaches it."""
    graph, beliefs, (top, *_) = worked_out([*TREES, *APART, WRONG])
    known = Answered(SPACE.walk)
    known.inverse(beliefs.answered.tolist())
    first, *_ = seams(SPACE, graph, replace(beliefs, apart=0.3), known)
    assert first.small.tolist() == top.small.tolist()
    odds = np.asarray([seam.two / (1.0 - seam.two) for seam in (top, first)])
    assert odds[0] / odds[1] == pytest.approx((0.98 / 0.02) / (0.7 / 0.3), rel=1e-6)


@pytest.mark.parametrize("unforetold", [0.0, 0.8])
def test_a_sample_alone_may_be_the_first_of_another_look(unforetold: float) -> None:
    """One far sample of a group of three: its own belief in "none of them" counts, not that of the others."""
    order = np.arange(3)
    sides = Sides(order, np.asarray([0, 1]), np.asarray([1, 3]))
    members = _Members(0, order, *[np.zeros(0)] * 4, np.asarray([unforetold, 0.1, 0.1]), None)  # type: ignore[arg-type]
    assert _least(members, sides, 0.2) == pytest.approx([0.2 * unforetold] * 2)
