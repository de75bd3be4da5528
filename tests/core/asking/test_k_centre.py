"""Greedy k-centre: each pick is the sample farthest from all that were covered before."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from pal_backend.core.asking.k_centre import PICKS, k_centre
from pal_backend.core.asking.state import Candidates, State
from pal_backend.core.learner import Learner
from pal_backend.core.neighbours import build_space
from pal_backend.core.vocabulary import Answer, Question, QuestionKind
from tests.core.worlds import clusters, said

SPACE, LABELS = clusters(groups=3, each=40, spread=0.3)
IDS = SPACE.sample_ids
ANSWERS = [said(1, IDS[0], IDS[40], "different"), said(2, IDS[0], IDS[1], "same"), said(3, IDS[40], IDS[41], "same")]
COVERED = [0, 1, 40, 41]


def offered(answers: list[Answer], waiting: tuple[Question, ...] = ()) -> Candidates:
    """What the strategy offers."""
    learner = Learner(SPACE)
    learner.set_answers(answers)
    state = State.of(SPACE, learner.graph, learner.beliefs, learner.seams).with_open(waiting)
    return k_centre(state, np.random.default_rng(0))


def test_picks_match_the_greedy_reference() -> None:
    """Against the plain algorithm on the full table of distances: the same picks with the same radii."""
    distances = cdist(SPACE.features, SPACE.features)
    covered, picks, radii = list(COVERED), [], []
    for _ in range(PICKS):
        radius = distances[:, covered].min(axis=1)
        picks.append(int(radius.argmax()))
        radii.append(radius.max())
        covered.append(picks[-1])
    found = offered(ANSWERS)
    assert found.left.tolist() == picks
    assert found.scores == pytest.approx(np.asarray(radii) / radii[0], abs=1e-4)


def test_a_pick_meets_the_nearest_group() -> None:
    """Each pick is compared with a representative of the group that has the member nearest to it."""
    found = offered(ANSWERS)
    near = cdist(SPACE.features[found.left], SPACE.features[COVERED]).argmin(axis=1) // 2
    assert [row // 40 for row in found.right.tolist()] == near.tolist()


def test_open_questions_cover() -> None:
    """What an open question is about to place is a centre already."""
    first = int(offered(ANSWERS).left[0])
    waiting = Question(QuestionKind.PAIR, IDS[0], (IDS[first],))
    found = offered(ANSWERS, (waiting,))
    assert found.left[0] == offered(ANSWERS).left[1]


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_equal_samples_are_covered_by_one() -> None:
    """Where all samples look the same there is nothing to cover, and no division by nothing."""
    space = build_space(IDS[:9], np.ones((9, 3), np.float32))
    learner = Learner(space, strategy="k-centre")
    assert learner.ask(5) == []


def test_nothing_is_drawn() -> None:
    """Another seed asks the very same."""
    learner = Learner(SPACE)
    state = State.of(SPACE, learner.graph, learner.beliefs, learner.seams)
    one, two = (k_centre(state, np.random.default_rng(seed)) for seed in (1, 2))
    assert (one.left == two.left).all() and (one.scores == two.scores).all()
