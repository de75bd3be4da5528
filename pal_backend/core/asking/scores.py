"""What it is worth to place a sample, and to learn whether two groups are one. Pure functions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.beliefs import Beliefs
from pal_backend.core.contraction import ascending
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.neighbours import Space

Floats = NDArray[np.float64]

MEDOID_WORTH = 2.0
"""A typical sample that may be in no known group is worth this many ordinary ones, times its cluster's size."""
DISPUTED = 0.2
"""Least worth of a sample that trusted answers put where it is not believed to be, over one in full doubt."""
MERGE_WORTH = 10.0
"""Worth of one ordinary sample's place, over that of one sample moved by a merge; a placed sample also tells about its
neighbours, N / L of them, which is taken into account."""
SETTLED = 0.05
"""A re-check worth less than this is not asked, and is moot if it is open."""
LEAST_MERGE = 0.004
"""Least prior chance that two groups are one."""


def doubt(space: Space, beliefs: Beliefs) -> Floats:
    """Worth of placing each sample, float64 (N,): ``(1 - (p1 - p2)) * density``, p over the groups and "none of them".

    Where "none of them" leads the doubt is full, whatever the margin, since such a sample may found a group; a typical
    sample counts for its cluster. An answered sample's p holds its answers: an unlikely one leaves doubt, and so is
    asked about again, also where everything else outvotes it, since trusted answers hold until answers overrule them.
    """
    p = beliefs.probabilities
    score = space.densities.astype(np.float64)
    if p.shape[1] > 1:
        top = np.partition(p, -2, axis=1)[:, -2:]
        margin = top[:, 1] - top[:, 0]
        margin[p[:, -1] >= top[:, 1]] = 0.0
        stake = 1.0 - margin
        here = beliefs.answered[beliefs.placed[beliefs.answered] >= 0]
        stake[here] = np.maximum(stake[here], DISPUTED * (1.0 - p[here, beliefs.placed[here]]))
        score *= stake
    rows, sizes = space.medoids
    score[rows] = np.maximum(score[rows], MEDOID_WORTH * p[rows, -1] * sizes)
    return score


def merge_gains(space: Space, graph: SimilarityGraph, beliefs: Beliefs) -> Floats:
    """Worth of asking whether two groups are one, float64 (K, K), symmetric, zero on the diagonal.

    ``P(one) * (size of the smaller)``, per N / L samples. P(one) has half the share of the smaller one's graph weight
    that runs to the other as prior, and the answers between the two as evidence.
    """
    p = beliefs.spread[:, :-1]
    count = p.shape[1]
    sizes = p.sum(axis=0)
    degree = np.maximum(np.asarray(space.graph.sum(axis=1)).reshape(-1), 1e-12)
    flow = p.T @ ((space.graph @ p) / degree[:, None])
    share = (flow + flow.T) / np.maximum(2.0 * sizes, 1e-9)[:, None]
    prior = np.clip(np.maximum(share, share.T), LEAST_MERGE, 0.5)
    logit = np.log(prior) - np.log1p(-prior) + _between(graph, beliefs)
    chance = 1.0 / (1.0 + np.exp(-np.clip(logit, -50.0, 50.0)))
    per_sample = len(beliefs.answered) / len(p)
    gains = MERGE_WORTH * chance * np.minimum(sizes[:, None], sizes[None, :]) * per_sample
    gains[np.arange(count), np.arange(count)] = 0.0
    return np.asarray(gains)


def _between(graph: SimilarityGraph, beliefs: Beliefs) -> Floats:
    """Evidence between the groups, (K, K)."""
    groups, between = beliefs.groups, graph.between
    return np.asarray([[between.get(ascending(a, b), 0.0) for b in groups] for a in groups]).reshape(
        len(groups), len(groups)
    )
