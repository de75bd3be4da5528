from dataclasses import replace

import numpy as np
import pytest

from pal_backend.core.asking.scores import doubt
from pal_backend.core.asking.state import State
from pal_backend.core.learner import Learner
from tests.core.worlds import clusters, said

SPACE, LABELS = clusters(groups=3, each=30, spread=0.1)
IDS = SPACE.sample_ids


def test_unknown_clusters_are_in_more_doubt_than_known_ones() -> None:
    """With one group known, the typical samples of the other clusters come first."""
    learner = Learner(SPACE)
    learner.set_answers([said(n, IDS[0], IDS[n], "same") for n in range(1, 5)])
    worth = doubt(SPACE, learner.beliefs)
    assert LABELS[int(worth.argmax())] != LABELS[0]
    assert np.isfinite(worth).all() and worth.min() >= 0.0


def test_two_groups_in_one_cluster_are_worth_comparing() -> None:
    """Groups in one cluster gain more from a merge question than groups in two, and "different" lowers the gain."""
    answers = [said(1, IDS[0], IDS[30], "different"), said(2, IDS[0], IDS[60], "different")]
    answers += [said(3, IDS[30], IDS[60], "different"), said(4, IDS[0], IDS[1], "same")]
    answers += [said(5, IDS[30], IDS[15], "different"), said(6, IDS[60], IDS[15], "different")]
    learner = Learner(SPACE)
    learner.set_answers(answers)
    groups = learner.posterior().groups
    gains = State.of(SPACE, learner.graph, learner.beliefs, learner.seams).gains
    twin, home, away = groups.index(IDS[15]), groups.index(IDS[0]), groups.index(IDS[30])
    assert gains[twin, home] > gains[twin, away]
    assert (gains == gains.T).all() and not gains.diagonal().any()
    learner.update([said(7, IDS[0], IDS[15], "different")], ())
    assert State.of(SPACE, learner.graph, learner.beliefs, learner.seams).gains[twin, home] < gains[twin, home]


def test_a_sample_that_no_group_took_waits() -> None:
    """Kept from two of three groups it is a third in doubt; kept from all of them, it has nothing left to be asked."""
    groups = [said(1, IDS[0], IDS[30], "different"), said(2, IDS[0], IDS[60], "different")]
    groups += [said(3, IDS[30], IDS[60], "different")]
    groups += [said(10 + n, IDS[n // 3 * 30], IDS[n // 3 * 30 + n % 3 + 1], "same") for n in range(9)]
    apart = [said(20, IDS[20], IDS[30], "different"), said(21, IDS[20], IDS[60], "different")]
    shares = []
    for more in (apart, [*apart, said(22, IDS[20], IDS[0], "different"), said(23, IDS[20], IDS[1], "different")]):
        learner = Learner(SPACE)
        learner.set_answers([*groups, *more])
        beliefs = learner.beliefs
        p = beliefs.probabilities[20].copy()
        p[:] = (0.0, 0.0, 0.0, 1.0)
        known = replace(beliefs, probabilities=np.where(np.arange(90)[:, None] == 20, p, beliefs.probabilities))
        shares.append(doubt(SPACE, known)[20] / beliefs.influence[20])
    assert len(beliefs.groups) == 3
    assert shares == pytest.approx([1 / 3, 0.0])
