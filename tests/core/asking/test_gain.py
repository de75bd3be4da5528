from __future__ import annotations

import numpy as np

from pal_backend.core.asking.gain import gain
from pal_backend.core.asking.state import Candidates, State
from pal_backend.core.learner import Learner
from pal_backend.core.vocabulary import Answer
from tests.core.worlds import clusters, said

SPACE, LABELS = clusters(groups=3, each=30, spread=0.1)
IDS = SPACE.sample_ids


def candidates(answers: list[Answer], seed: int = 0) -> Candidates:
    """What the strategy offers after some answers."""
    learner = Learner(SPACE)
    learner.set_answers(answers)
    return gain(State.of(SPACE, learner.graph, learner.beliefs), np.random.default_rng(seed))


def test_it_starts_from_typical_samples() -> None:
    """Before any answer one typical sample is the anchor and the best candidate is typical of another place."""
    offered = candidates([])
    medoids = set(SPACE.medoids[0].tolist())
    anchors = set(offered.right.tolist())
    best = int(offered.left[offered.scores.argmax()])
    assert len(anchors) == 1 and anchors <= medoids and best in medoids
    assert best not in SPACE.neighbours(anchors.pop())


def test_a_sample_meets_its_likeliest_group() -> None:
    """With all three groups known, samples are compared with a representative of their own cluster."""
    answers = [said(1, IDS[0], IDS[30], "different"), said(2, IDS[0], IDS[60], "different")]
    answers += [said(3, IDS[30], IDS[60], "different")]
    answers += [said(10 + n, IDS[n // 5 * 30], IDS[n // 5 * 30 + n % 5 + 1], "same") for n in range(15)]
    offered = candidates(answers)
    fresh = [m for m, row in enumerate(offered.left.tolist()) if row % 30 > 5]
    assert np.mean(LABELS[offered.left[fresh]] == LABELS[offered.right[fresh]]) > 0.9


def test_seeds_draw_among_near_equals() -> None:
    """Another seed changes scores a little; the same seed changes nothing."""
    assert (candidates([], 1).scores == candidates([], 1).scores).all()
    ratio = candidates([], 1).scores / candidates([], 2).scores
    assert ratio.std() > 0.0 and np.abs(np.log(ratio)).max() < 1.0
