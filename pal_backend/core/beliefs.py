"""Groups founded by the answers, and what is believed of every sample. A function of space and graph alone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.graph import Root, SimilarityGraph
from pal_backend.core.inference import Basis
from pal_backend.core.neighbours import Space

NOVELTY = 15.0
"""Answered samples after which a new group is no longer expected unless some group is known by one sample only."""
ROUNDS = 2
"""Times that beliefs of answered samples are fed back as targets; more changes next to nothing."""
M = 99
FLOOR = 1e-3
"""Least prior belief in any group: the features may be wrong."""


@dataclass(frozen=True, eq=False)
class Beliefs:
    """What is believed of N samples about K groups.

    Args:
        groups: the roots of the components that are groups, oldest first; a root is its group's founder.
        placed: int64 (N,), the group that trusted answers put the sample in, else -1.
        answered: int64 (L,), rows with answers.
        probabilities: float64 (N, K + 1), rows sum to 1, the last column is "none of them".
        own: float64 (L, K + 1), the same of the answered rows without their own answers.
        evidence: float64 (L, K), log-odds of the answers on the answered rows for each group.
    """

    groups: tuple[Root, ...]
    placed: NDArray[np.int64]
    answered: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    own: NDArray[np.float64]
    evidence: NDArray[np.float64]


def found(graph: SimilarityGraph) -> tuple[Root, ...]:
    """The components that are groups: those kept apart from every older group by trusted answers.

    A later answer that joins two groups leaves the older one's name.
    """
    apart: dict[Root, set[Root]] = defaultdict(set)
    for a, b in graph.cannot:
        apart[a].add(b)
        apart[b].add(a)
    groups: list[Root] = []
    for root in graph.members:
        if len(apart[root].intersection(groups)) >= min(len(groups), M):
            groups.append(root)
    return tuple(groups)


def believe(space: Space, graph: SimilarityGraph, basis: Basis) -> Beliefs:
    """Beliefs of all samples; ``basis`` holds exactly the rows of the samples in ``graph``."""
    groups = found(graph)
    number = {root: k for k, root in enumerate(groups)}
    answered = np.asarray(basis.rows, np.int64)
    at = {space.sample_ids[row]: i for i, row in enumerate(basis.rows)}
    mine = np.asarray([number.get(graph.component[sample], -1) for sample in at], np.int64)
    placed = np.full(len(space.sample_ids), -1, np.int64)
    placed[answered] = mine
    evidence = _evidence(graph, at, mine, len(groups))
    novelty = _novelty(mine, len(groups))
    targets = np.zeros((len(answered), len(groups)))
    targets[mine >= 0, mine[mine >= 0]] = 1.0
    own = np.zeros((len(answered), len(groups) + 1))
    for _ in range(ROUNDS):
        own = _with_none(basis.without_itself(targets), novelty)
        answers_too = _combine(own, evidence, mine)
        targets = answers_too[:, :-1]
    everywhere = _with_none(basis.spread(targets).astype(np.float64), novelty)
    everywhere[answered] = answers_too
    return Beliefs(groups, placed, answered, everywhere, own, evidence)


def _evidence(graph: SimilarityGraph, at: dict[str, int], mine: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    """Summed log-odds of each answered row's edges to members of each group, (L, K)."""
    ends = [
        (at[pair.first], at[pair.second], edge.weight)
        for pair, edge in graph.edges.items()
        if pair.first in at and pair.second in at
    ]
    out = np.zeros((len(at), size + 1))
    if ends:
        first, second, weight = (np.asarray(column) for column in zip(*ends, strict=True))
        np.add.at(out, (first, mine[second]), weight)
        np.add.at(out, (second, mine[first]), weight)
    return out[:, :size]


def _novelty(mine: NDArray[np.int64], size: int) -> float:
    """Factor on the belief in "none of them": Good-Turing's view, small once every group has been met twice."""
    seen = np.bincount(mine[mine >= 0], minlength=size)
    single = min(int((seen <= 1).sum()), 1)
    return min(1.0, NOVELTY * (single + 0.5) / (float(seen.sum()) + 1.0))


def _with_none(known: NDArray[np.float64], novelty: float) -> NDArray[np.float64]:
    """Append the belief in "none of them" and make rows sum to 1."""
    out = np.empty((known.shape[0], known.shape[1] + 1))
    out[:, :-1] = np.maximum(known, 0.0)
    out[:, -1] = novelty * np.maximum(1.0 - out[:, :-1].sum(axis=1), 0.0)
    out += FLOOR * novelty
    return np.asarray(out / np.maximum(out.sum(axis=1, keepdims=True), 1e-12))


def _combine(own: NDArray[np.float64], evidence: NDArray[np.float64], mine: NDArray[np.int64]) -> NDArray[np.float64]:
    """Prior times likelihood of the answers, rows sum to 1."""
    prior = own.copy()
    # what is no other group is the one that this very sample founded, as far as its answers go
    founder = np.flatnonzero(
        (mine >= 0) & (np.take_along_axis(np.c_[evidence, np.zeros(len(mine))], mine[:, None], 1)[:, 0] <= 0.0)
    )
    prior[founder, mine[founder]] += prior[founder, -1]
    prior[founder, -1] = 0.0
    log = np.log(np.maximum(prior, 1e-12))
    log[:, :-1] += evidence
    log -= log.max(axis=1, keepdims=True)
    p = np.exp(log)
    return np.asarray(p / p.sum(axis=1, keepdims=True))
