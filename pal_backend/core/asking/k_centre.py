"""The strategy ``k-centre``: cover the pool, the sample farthest from all that were asked about first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import euclidean_distances, pairwise_distances_argmin_min

from pal_backend.core.asking.placing import place
from pal_backend.core.asking.relations import Floats, Ints, Relations
from pal_backend.core.asking.state import Candidates, State

PICKS = 64
"""Samples chosen a call, each O(N D)."""


def k_centre(state: State, rng: np.random.Generator) -> Candidates:
    """The sample farthest from all that were asked about, against the nearest group first.

    Greedy k-centre: ``x* = argmax_i min_{j in A} |f_i - f_j|``, A the samples in answers or open questions, and x*
    joins A for the next pick. The score is that distance at the time of the pick, over the first one's. Features are
    those of the space, not of random views. Placing a pick by its nearest group first is ours. Nothing is drawn: every
    seed asks the same.

    Source: Caramalau et al. 2022, "MoBYv2AL", BMVC, after Sener and Savarese 2018, "A core-set approach", Algorithm 1
    """
    relations = Relations(state)
    centres = relations.seen.copy()
    centres[relations.representatives[relations.representatives >= 0]] = True
    picks, radii = _farthest_first(state.space.features, np.flatnonzero(centres))
    scores = radii / radii.max(initial=1e-12)
    return place(state, relations, picks, scores, lambda rows: -_distances(state, relations, rows))


def _farthest_first(features: NDArray[np.float32], centres: Ints) -> tuple[Ints, Floats]:
    """Up to :data:`PICKS` rows in greedy order, int64 (M,), and their distances to what was covered, float64 (M,)."""
    radius = pairwise_distances_argmin_min(features, features[centres])[1].astype(np.float64)
    radius[centres] = 0.0  # rounding would leave a little
    x = features - features.mean(axis=0)
    squares = np.einsum("nd,nd->n", x, x)
    picks: list[int] = []
    radii: list[float] = []
    while len(picks) < PICKS and radius.max() > 0.0:
        pick = int(radius.argmax())
        picks.append(pick)
        radii.append(float(radius[pick]))
        # |a - b|^2 = |a|^2 + |b|^2 - 2 a.b
        near = np.sqrt(np.maximum(squares + squares[pick] - 2.0 * (x @ x[pick]), 0.0))
        near[pick] = 0.0
        radius = np.minimum(radius, near)
    return np.asarray(picks, np.int64), np.asarray(radii)


def _distances(state: State, relations: Relations, rows: Ints) -> Floats:
    """Distance of each row to the nearest representative of each group, float64 (R, K)."""
    x, members = state.space.features, relations.representatives
    if not len(rows):
        return np.zeros((0, len(members)))
    every = euclidean_distances(x[rows], x[members.reshape(-1)]).reshape(len(rows), *members.shape)
    return np.asarray(np.where(members < 0, np.inf, every).min(axis=2), np.float64)
