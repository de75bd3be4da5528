"""Where a group may have been sewn together wrongly: one wrong "same" joins two groups, and nothing else would tell.

Cutting one edge of the spanning tree of a group's "same" answers leaves two sides. How likely the two are one group is
judged as for two groups that may be one: from the neighbour graph, by the share of the smaller side's ties that run to
the other side, and from all answers between the sides. Ties between answered samples are the conductances ``-Q_ij`` of
the neighbour graph reduced to them (Kron reduction; Dorfler and Bullo 2013, "Kron reduction of graphs", eq. 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from pal_backend.core.beliefs import Beliefs
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.neighbours import Space
from pal_backend.core.vocabulary import Answer

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DOUBT = 0.02
"""Ties alone make nothing surer than this, nor more unlikely."""
KEPT = 8
"""Seams kept, the most doubtful ones."""


class Seam(NamedTuple):
    """Two sides of one group: rows of the smaller, rows of the larger, P(they are two groups) times the samples of the smaller."""

    small: Ints
    large: Ints
    stake: float


def seams(space: Space, graph: SimilarityGraph, beliefs: Beliefs) -> list[Seam]:
    """The most doubtful seams, largest stake first."""
    q = beliefs.precision
    answered = beliefs.answered[: len(q)]  # rows answered since everything was last worked out have no ties yet
    if not len(answered):
        return []
    ties = np.maximum(-q, 0.0)
    np.fill_diagonal(ties, 0.0)
    mass = np.maximum(q @ space.walk.reach[answered].astype(np.float64), 0.0)
    evidence = _evidence(space, graph, answered) * beliefs.dials.strength
    group = beliefs.placed[answered]
    found: list[Seam] = []
    for k in range(len(beliefs.groups)):
        inside = np.flatnonzero(group == k)
        if len(inside) >= 3:
            found += _cuts(inside, ties, mass, evidence[inside][:, inside].toarray(), answered)
    return sorted(found, key=lambda seam: -seam.stake)[:KEPT]


def unsettled(space: Space, known: Sequence[Seam], answer: Answer) -> list[Seam]:
    """Those of the seams that the answer tells nothing about."""
    a, b = (space.index.get(sample, -1) for sample in answer.pair)
    across = ((a, b), (b, a))
    return [seam for seam in known if not any(one in seam.small and other in seam.large for one, other in across)]


def _evidence(space: Space, graph: SimilarityGraph, answered: Ints) -> sparse.csr_array:
    """Log-odds of "same" between answered rows, csr (L, L), symmetric."""
    first, second, weight = graph.ends({space.sample_ids[row]: i for i, row in enumerate(answered.tolist())})
    size = len(answered)
    half = sparse.coo_array((weight, (first, second)), shape=(size, size))
    return sparse.csr_array(half + half.T)


def _cuts(inside: Ints, ties: Floats, mass: Floats, evidence: Floats, answered: Ints) -> list[Seam]:
    tree = csgraph.minimum_spanning_tree(
        sparse.csr_array(np.where(evidence > 0.0, 1.0 / np.maximum(evidence, 1e-9), 0.0))
    )
    order, before = csgraph.depth_first_order(tree, 0, directed=False)
    size = len(order)
    # where only answers about samples that the space does not know tie a part to the rest, that part is left out
    inside, evidence = inside[order], evidence[np.ix_(order, order)]
    place = np.empty(before.size, np.int64)
    place[order] = np.arange(size)
    parent = place[before[order[1:]]]
    below = np.ones(size, np.int64)
    for child in range(size - 1, 0, -1):
        below[parent[child - 1]] += below[child]
    start = np.arange(1, size)
    end = start + below[1:]
    part = ties[np.ix_(inside, inside)]
    across, said = _across(part, start, end), _across(evidence, start, end)
    outward = np.concatenate([[0.0], np.cumsum(ties[inside].sum(axis=1))])
    weight = np.concatenate([[0.0], np.cumsum(mass[inside])])
    here, there = weight[end] - weight[start], weight[-1] - (weight[end] - weight[start])
    inner, rest = _within(part, start, end), part.sum() - _within(part, start, end) - 2.0 * across
    out_here = outward[end] - outward[start] - inner
    out_there = outward[-1] - (outward[end] - outward[start]) - rest
    share = np.maximum(across / np.maximum(out_here, 1e-12), across / np.maximum(out_there, 1e-12))
    prior = np.clip(share, DOUBT, 1.0 - DOUBT)
    two = 1.0 / (1.0 + np.exp(np.clip(np.log(prior) - np.log1p(-prior) + said, -30.0, 30.0)))
    stake = two * np.minimum(here, there)
    found = []
    for cut in np.argsort(-stake, kind="stable")[:KEPT].tolist():
        side = np.zeros(size, bool)
        side[start[cut] : end[cut]] = True
        small = side if here[cut] <= there[cut] else ~side
        found.append(Seam(answered[inside[small]], answered[inside[~small]], float(stake[cut])))
    return found


def _across(m: Floats, start: Ints, end: Ints) -> Floats:
    """Sum of a symmetric matrix between the rows [start, end) and all others, for each interval."""
    rows = np.concatenate([[0.0], np.cumsum(m.sum(axis=1))])
    return np.asarray(rows[end] - rows[start] - _within(m, start, end))


def _within(m: Floats, start: Ints, end: Ints) -> Floats:
    """Sum of a matrix over the square blocks [start, end)."""
    total = np.zeros((len(m) + 1, len(m) + 1))
    total[1:, 1:] = m.cumsum(axis=0).cumsum(axis=1)
    return np.asarray(total[end, end] - total[start, end] - total[end, start] + total[start, start])
