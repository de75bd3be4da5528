import numpy as np

from pal_backend.core.asking.random_pairs import random_pairs
from pal_backend.core.asking.state import State
from pal_backend.core.learner import Learner
from tests.core.worlds import clusters, said

SPACE, _ = clusters(groups=2, each=3)
IDS = SPACE.sample_ids


def test_settled_pairs_are_left_out() -> None:
    """What answers imply is not drawn: here everything but pairs with the last sample."""
    learner = Learner(SPACE)
    answers = [said(n, IDS[0], IDS[n], "same") for n in (1, 2)] + [said(n, IDS[3], IDS[n], "same") for n in (4,)]
    learner.set_answers([*answers, said(9, IDS[0], IDS[3], "different")])
    state = State.of(SPACE, learner.graph, learner.beliefs, learner.seams)
    offered = random_pairs(state, np.random.default_rng(0))
    assert len(offered.left)
    assert all(5 in pair for pair in zip(offered.left.tolist(), offered.right.tolist(), strict=True))
