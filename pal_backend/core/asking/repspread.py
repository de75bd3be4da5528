"""The strategy ``repspread``: place the sample that is most in doubt where most samples are, by its likeliest group."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.asking.state import Candidates, State

NONE_OPEN = 1
JITTER = 0.05
SHORTLIST = 60
"""Samples for which partners are looked up; the selection takes from these."""


def doubt(state: State) -> NDArray[np.float64]:
    """Score of each sample: (1 - (p1 - p2)) times density, p over the known groups and "none", float64 (N,).

    For an answered sample p holds its answers, so an unlikely answer leaves doubt, and is asked again.
    """
    p = state.beliefs.probabilities
    if p.shape[1] < 2:
        return state.space.densities.astype(np.float64)
    top = np.partition(p, -2, axis=1)[:, -2:]
    sure = top[:, 1] - top[:, 0]
    if NONE_OPEN:
        leads = p[:, -1] >= top[:, 1]
        sure[leads] = 0
    return np.asarray((1.0 - sure) * state.space.densities)


def repspread(state: State, rng: np.random.Generator) -> Candidates:
    """Candidates of ``repspread``; nothing is random but for breaking no ties."""
    scores = doubt(state) * np.exp(JITTER * rng.standard_normal(len(state.space.sample_ids)))
    if not state.groups:
        return _first(state, scores)
    short = np.lexsort((np.arange(len(scores)), -scores))[: SHORTLIST + 4 * len(state.open_rows)]
    rows = []
    for row in short.tolist():
        partner = _partner(state, row)
        if partner >= 0:
            rows.append((row, partner, float(scores[row])))
    return Candidates.of(rows)


def _first(state: State, scores: NDArray[np.float64]) -> Candidates:
    anchor = int(scores.argmax())
    far = np.ones(len(scores), bool)
    far[anchor] = False
    far[state.space.neighbours(anchor)] = False
    rows = np.flatnonzero(far) if far.any() else np.flatnonzero(np.arange(len(scores)) != anchor)
    return Candidates(rows, np.full(len(rows), anchor, np.int64), scores[rows])


def _partner(state: State, row: int) -> int:
    """A representative of the likeliest known group that is not yet excluded; -1 if there is none."""
    known = state.beliefs.probabilities[row, :-1]
    order = np.argsort(-known, kind="stable")
    for group in order.tolist():
        other = state.representative(group, row)
        if other >= 0 and state.pair(row, other) not in state.open_pairs:
            return other
    return -1
