"""From spread beliefs to probabilities: room for "none of them", sharpness, and how far answers are believed.

All three are set by the answers themselves; nothing here knows a label or the number of classes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.graph import Root, SimilarityGraph

Floats = NDArray[np.float64]

MOST_NOVEL = 0.9
"""Highest mean chance of "none of them", met at the very start."""
FLOOR = 0.003
"""Added to every probability: the features may mislead."""
POWERS = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0)
"""Powers tried for sharpening; label spreading is too cautious in many groups."""
TEMPERATURES = (2.0, 4.0, 6.0, 9.0, 13.0)
"""Inverse temperatures tried for the second opinion."""
MIXES = (0.0, 0.2, 0.4, 0.6)
"""Weights tried for the second opinion."""
FEW = 15
"""Placed samples below which sharpness is not judged."""
SURE = 0.7
"""Belief without its own answers from which a sample may judge them."""
PRIOR_ERROR, PRIOR_ANSWERS = 0.05, 60.0
"""An error rate of .05 counts as seen in 60 answers."""


def novelty(graph: SimilarityGraph, groups: Sequence[Root], group: NDArray[np.int64]) -> float:
    """Chance that a sample belongs to no known group, after Good and Turing: groups met once over samples placed.

    A sample that is in no group yet, but already kept apart from a share of the groups, counts by that share.

    Args:
        graph: the answers.
        groups: the K groups.
        group: int64 (L,), group of each answered sample or -1.
    """
    met = np.bincount(group[group >= 0], minlength=len(groups))
    known = set(groups)
    excluded: dict[Root, int] = defaultdict(int)
    for a, b in graph.cannot:
        excluded[a] += b in known
        excluded[b] += a in known
    rest = [root for root in graph.members if root not in known]
    strangers = sum(excluded[root] for root in rest) / max(len(groups), 1)
    once = int((met <= 1).sum())
    return min(MOST_NOVEL, (once + strangers + 0.5) / (float(met.sum()) + len(rest) + 1.0))


def share_of_none(coverage: NDArray[np.floating], rate: float) -> float:
    """t such that ``t / (t + coverage)`` is ``rate`` on average: what "none of them" weighs.

    Args:
        coverage: (n,) summed beliefs of some samples in the known groups, before "none of them" has its place.
        rate: the chance of "none of them" over all samples, in (0, 1).
    """
    cover = np.maximum(coverage.astype(np.float64), 0.0) + 1e-9
    low, high = 1e-9, 1e3
    for _ in range(40):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if (middle / (middle + cover)).mean() < rate else (low, middle)
    return float(np.sqrt(low * high))


def with_none(spread: NDArray[Any], none: float) -> NDArray[Any]:
    """Append "none of them" with weight ``none``, (n, K + 1) of the same dtype, rows sum to 1, nothing is impossible."""
    out = np.empty((spread.shape[0], spread.shape[1] + 1), spread.dtype)
    np.maximum(spread, 0.0, out=out[:, :-1])
    out[:, -1] = none
    out *= ((1.0 - FLOOR * out.shape[1]) / out.sum(axis=1, keepdims=True)).astype(out.dtype)
    out += np.asarray(FLOOR, out.dtype)
    return out


def sharpen(p: NDArray[Any], power: float) -> NDArray[Any]:
    """``p ** power`` of positive rows, rows sum to 1 again."""
    if power == 1.0:
        return p.copy()
    q = np.exp(np.asarray(power, p.dtype) * np.log(p))
    q /= q.sum(axis=1, keepdims=True)
    return np.asarray(q)


def softmax(scores: NDArray[Any], temperature: float) -> NDArray[Any]:
    """``exp(temperature * scores)``, rows sum to 1."""
    e = np.exp(np.asarray(temperature, scores.dtype) * (scores - scores.max(axis=1, keepdims=True)))
    e /= e.sum(axis=1, keepdims=True)
    return np.asarray(e)


def blend(p: NDArray[Any], opinion: NDArray[Any], mix: float) -> NDArray[Any]:
    """Geometric mean of two beliefs about the known groups; "none of them" stays as ``p`` has it.

    ``q_k ~ p_k ** (1 - mix) * (opinion_k + FLOOR) ** mix``.

    Args:
        p: (n, K + 1), positive, rows sum to 1.
        opinion: (n, K), rows sum to 1.
        mix: weight of the opinion, in [0, 1].
    """
    if mix == 0.0:
        return p.copy()
    log = (1.0 - mix) * np.log(np.maximum(p[:, :-1], 1e-12)) + mix * np.log(opinion + np.asarray(FLOOR, opinion.dtype))
    q = softmax(log.astype(p.dtype), 1.0)
    return np.concatenate([q * (1.0 - p[:, -1:]), p[:, -1:]], axis=1)


def mixture(own: Floats, scores: NDArray[Any], group: NDArray[np.int64]) -> tuple[float, float]:
    """Temperature and weight of the second opinion under which both together best foretell where samples were placed.

    Args:
        own: (L, K + 1) beliefs without the rows' own answers.
        scores: (L, K) scores of the second opinion, without the rows' own beliefs.
        group: int64 (L,), group of each answered sample or -1.
    """
    rows = np.flatnonzero(group >= 0)
    if len(rows) < FEW:
        return TEMPERATURES[len(TEMPERATURES) // 2], MIXES[len(MIXES) // 2]
    at = np.arange(len(rows)), group[rows]
    alone = [np.log(0.9 * softmax(scores[rows], t)[at] + 0.01).sum() for t in TEMPERATURES]
    temperature = TEMPERATURES[int(np.argmax(alone))]
    opinion = softmax(scores[rows], temperature).astype(np.float64)
    found = [np.log(0.9 * blend(own[rows], opinion, mix)[at] + 0.01).sum() for mix in MIXES]
    return temperature, MIXES[int(np.argmax(found))]


def sharpness(own: Floats, group: NDArray[np.int64]) -> float:
    """The power of :data:`POWERS` under which beliefs without a sample's own answers best foretell where it was placed.

    A tenth of the placements is taken to be arbitrary, so that a wrong answer does not decide.

    Args:
        own: (L, K + 1) leave-one-out beliefs.
        group: int64 (L,), group of each answered sample or -1.
    """
    rows = np.flatnonzero(group >= 0)
    if len(rows) < FEW:
        return 1.0
    found = [sharpen(own[rows], power)[np.arange(len(rows)), group[rows]] for power in POWERS]
    return POWERS[int(np.argmax([np.log(0.9 * p + 0.01).sum() for p in found]))]


def answer_log_odds(own: Floats, both: Floats, evidence: Floats) -> float:
    """Log-odds that one answer is right, judged by samples whose place is sure without their own answers.

    Args:
        own: (L, K + 1) beliefs without the samples' own answers.
        both: (L, K + 1) beliefs with them.
        evidence: (L, K) log-odds of the answers; only the signs count here.
    """
    sure = own[:, :-1].max(axis=1, initial=0.0) > SURE
    said, p = evidence[sure], both[sure, :-1]
    wrong = np.where(said > 0.0, 1.0 - p, p)[said != 0.0]
    error = (wrong.sum() + PRIOR_ERROR * PRIOR_ANSWERS) / (wrong.size + PRIOR_ANSWERS)
    error = float(np.clip(error, 0.01, 0.2))
    return float(np.log((1.0 - error) / error))
