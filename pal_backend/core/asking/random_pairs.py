"""The strategy ``random``: uniform pairs, the floor for any comparison."""

from __future__ import annotations

import numpy as np

from pal_backend.core.asking.state import Candidates, State

DRAWN = 200
"""Pairs drawn a call; settled ones are dropped."""


def random_pairs(state: State, rng: np.random.Generator) -> Candidates:
    """Uniform pairs that no answer settles yet, in random order."""
    n = len(state.space.sample_ids)
    rows = []
    for a, b, score in zip(
        rng.integers(n, size=DRAWN).tolist(),
        rng.integers(n, size=DRAWN).tolist(),
        rng.random(DRAWN).tolist(),
        strict=True,
    ):
        if a == b or state.pair(a, b) in state.open_pairs:
            continue
        if not state.graph.settled(*state.pair(a, b)):
            rows.append((a, b, score))
    return Candidates.of(rows)
