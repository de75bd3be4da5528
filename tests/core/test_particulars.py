"""What answers say of single samples: by hand, and in the situations it is made for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pal_backend.core.asking.seams import Seam
from pal_backend.core.learner import Learner
from pal_backend.core.particulars import particulars
from pal_backend.core.posterior import Posterior
from tests.core import worlds

PROBABILITIES = np.asarray([[0.7, 0.1, 0.1, 0.1], [0.2, 0.6, 0.1, 0.1], [0.1, 0.1, 0.7, 0.1], [0.3, 0.3, 0.2, 0.2]])
OWN = np.asarray([[0.6, 0.2, 0.1, 0.1], [0.3, 0.4, 0.1, 0.2], [0.2, 0.2, 0.5, 0.1]])
ROWS = np.asarray([0, 1, 2])


def test_chances_are_those_of_the_definition() -> None:
    """Sample by sample and group by group; without answers on a sample they are ``F O`` for ``own`` = F."""
    evidence = np.asarray([[2.0, -3.0, 0.0], [0.0, 0.0, 0.0], [-1.0, 0.5, 4.0]])
    ties = np.asarray([[0.0, 1.0, -2.0], [1.0, 0.0, -4.0], [-2.0, -4.0, 0.0]])
    own = OWN.copy()
    own[1] = PROBABILITIES[1]
    beliefs = replace(worlds.held_beliefs(PROBABILITIES, ROWS, own), evidence=evidence, ties=ties)
    beliefs.placed[:3] = [0, -1, 2]
    f, one = PROBABILITIES[:3, :-1], beliefs.one
    expected = f @ one
    for i, g in ((0, 0), (2, 2)):
        r = np.exp(evidence[i])
        for other in {0, 1, 2} - {g}:
            [third] = {0, 1, 2} - {g, other}
            one_class = (own[i, g] + own[i, other]) * r[g] * r[other]
            either = one_class / (one_class + own[i, 3] + own[i, third] * r[third])
            changed = one[g, other] * (either - f[i, g] - f[i, other])
            expected[i, other] += changed
            expected[i, g] += changed
    found = particulars(beliefs, ())
    assert found is not None
    assert found.akin == pytest.approx(np.clip(expected, 0.0, 1.0), abs=1e-6)
    assert found.rows.tolist() == ROWS.tolist() and found.sides.shape == (3, 0)


def test_sides_of_seams_are_written_down() -> None:
    """Each answered row's side of each seam; without groups there is nothing to say."""
    beliefs = worlds.held_beliefs(PROBABILITIES, ROWS, OWN)
    found = particulars(
        beliefs, [Seam(np.asarray([2]), np.asarray([0, 1]), 3.0, 0.4), Seam(ROWS[:1], ROWS[1:2], 2.0, 0.1)]
    )
    assert found is not None
    assert found.sides.tolist() == [[-1, 1], [-1, -1], [1, 0]]
    assert found.two == pytest.approx([0.4, 0.1])
    assert particulars(replace(beliefs, groups=()), ()) is None


def test_who_was_told_from_a_group_is_not_of_it_even_if_the_groups_are_one() -> None:
    """Two groups that are one at 50 to 1: of two members of the first, one told from the second by a log-odds of -8, only the
    other is the same as members of the second; and it is all the same which sample of a pair is named first.
    """
    probabilities = np.asarray([[0.94, 0.03, 0.03], [0.94, 0.03, 0.03], [0.03, 0.94, 0.03]])
    ties = np.full((2, 2), np.log(50.0))
    beliefs = replace(worlds.held_beliefs(probabilities, ROWS, np.full((3, 3), [0.8, 0.1, 0.1])), ties=ties)
    beliefs.evidence[:] = [[2.0, -8.0], [2.0, 0.0], [0.0, 2.0]]
    beliefs.placed[:] = [0, 0, 1]
    posterior = Posterior(
        sample_ids=("x", "y", "z"),
        groups=beliefs.groups,
        probabilities=beliefs.probabilities[:, :-1],
        components=np.full(3, -1, np.int32),
        cannot=np.zeros((0, 2), np.int32),
        one=beliefs.one.astype(np.float32),
    )
    without = posterior.raw_probability_same([0, 1], [2, 2])
    told = replace(posterior, particulars=particulars(beliefs, ()))
    assert without == pytest.approx([0.92, 0.92], abs=0.02)
    assert told.raw_probability_same([0, 1], [2, 2]) == pytest.approx([0.02, 0.94], abs=0.02)
    assert (told.raw_probability_same([0, 1], [2, 2]) == told.raw_probability_same([2, 2], [0, 1])).all()


def test_a_learner_s_posterior_knows_its_seams() -> None:
    """One wrong "same" holds two clusters together: across it P(same) is lower than within its sides."""
    space, _ = worlds.clusters(groups=3, each=30, spread=0.2)
    ids = space.sample_ids
    answers = [worlds.said(10 * k + n, ids[k], ids[k + n], "same") for k in (0, 30, 60) for n in range(1, 9)]
    answers += [worlds.said(900 + k, ids[60], ids[k], "different") for k in (0, 30)]
    learner = Learner(space)
    learner.set_answers([*answers, worlds.said(999, ids[4], ids[34], "same")])
    across, within = learner.posterior().raw_probability_same([3, 3], [33, 5])
    assert learner.graph.joined(ids[3], ids[33])
    assert across < 0.93 < 0.99 < within
