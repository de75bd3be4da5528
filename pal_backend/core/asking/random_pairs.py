"""The strategy ``random``: uniform pairs, the floor for any comparison."""

from __future__ import annotations

import numpy as np

from pal_backend.core.asking.relations import Relations
from pal_backend.core.asking.state import Candidates, State

DRAWN = 200
"""Pairs drawn a call; settled ones are dropped."""


def random_pairs(state: State, rng: np.random.Generator) -> Candidates:
    """Uniform pairs that no answer settles yet, in random order.

    ``score ~ U(0, 1)``. A pair with an answer that settled nothing may be drawn again.
    """
    n = len(state.space.sample_ids)
    left, right, scores = rng.integers(n, size=DRAWN), rng.integers(n, size=DRAWN), rng.random(DRAWN)
    some = Relations(state).askable(left, right)
    return Candidates(left[some], right[some], scores[some])
