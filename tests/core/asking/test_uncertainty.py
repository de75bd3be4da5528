"""The pair about which belief is nearest to one half."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import entropy

from pal_backend.core.asking.state import Candidates, State
from pal_backend.core.asking.uncertainty import uncertainty
from pal_backend.core.learner import Learner
from pal_backend.core.vocabulary import Answer
from tests.core.worlds import clusters, said

SPACE, LABELS = clusters(groups=3, each=30, spread=0.4)
IDS = SPACE.sample_ids
ANSWERS = [
    said(1, IDS[0], IDS[30], "different"),
    said(2, IDS[0], IDS[60], "different"),
    said(3, IDS[30], IDS[60], "different"),
    *(said(10 + row, IDS[row], IDS[row + n], "same") for row in (0, 30, 60) for n in (1, 2)),
]


def offered(answers: list[Answer]) -> tuple[State, Candidates]:
    """What the strategy offers."""
    learner = Learner(SPACE)
    learner.set_answers(answers)
    state = State.of(SPACE, learner.graph, learner.beliefs, learner.seams)
    return state, uncertainty(state, np.random.default_rng(0))


def test_scores_match_the_entropy() -> None:
    """A score is the entropy in bits of P(same) between the sample and the representative of the group tried."""
    state, found = offered(ANSWERS)
    p = state.beliefs.probabilities[:, :-1]
    best = [members[0] for members in state.members]
    group = [next(k for k, members in enumerate(state.members) if right in members) for right in found.right.tolist()]
    same = np.asarray([p[row] @ p[best[k]] for row, k in zip(found.left.tolist(), group, strict=True)])
    assert found.scores == pytest.approx(entropy([same, 1.0 - same], base=2), abs=1e-5)


def test_the_least_certain_pair_of_all_comes_first() -> None:
    """No sample has a pair, open to questions, that is nearer to one half than the best one offered."""
    state, found = offered(ANSWERS)
    p = state.beliefs.probabilities[:, :-1]
    best = np.asarray([members[0] for members in state.members])
    same = p @ p[best].T
    free = np.asarray(
        [[not state.graph.settled(IDS[row], IDS[other]) for other in best.tolist()] for row in range(len(IDS))]
    )
    assert np.abs(same - 0.5)[free].min() == pytest.approx(
        np.abs(same[found.left[found.scores.argmax()]] - 0.5).min(), abs=1e-4
    )


def test_an_unsure_answer_halves_the_score() -> None:
    """Who could not be told apart once is not asked about at once again."""
    _, found = offered(ANSWERS)
    top = int(found.scores.argmax())
    row, other = int(found.left[top]), int(found.right[top])
    _, again = offered([*ANSWERS, said(99, IDS[row], IDS[other], "unsure")])
    assert again.left[again.scores.argmax()] != row


def test_without_groups_the_draw_decides() -> None:
    """Before any answer all pairs are equal, and another seed puts others first."""
    state, found = offered([])
    assert found.scores == pytest.approx(found.scores[0], abs=1e-5) and found.scores.min() > 0.0
    assert uncertainty(state, np.random.default_rng(1)).left.tolist() != found.left.tolist()
