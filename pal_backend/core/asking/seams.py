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

from pal_backend.core.beliefs import Beliefs, Dials
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.inference import Answered
from pal_backend.core.neighbours import Space
from pal_backend.core.vocabulary import Answer, Verdict

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST = 0.003
"""Least chance that ties tell nothing."""
LOOKED, KEPT = 12, 8
"""Seams whose samples are counted, and those kept, the most doubtful ones."""


class Seam(NamedTuple):
    """Two sides of one group: rows of the smaller, rows of the larger, P(they are two groups) times the samples of the
    smaller, and P(they are two groups) itself.
    """

    small: Ints
    large: Ints
    stake: float
    two: float


def seams(space: Space, graph: SimilarityGraph, beliefs: Beliefs, known: Answered) -> list[Seam]:
    """The most doubtful seams, largest stake first.

    Args:
        known: what beliefs were worked out with.
    """
    q = beliefs.precision
    answered = beliefs.answered[: len(q)]  # rows answered since everything was last worked out have no ties yet
    if not len(answered):
        return []
    ties = np.maximum(-q, 0.0)
    np.fill_diagonal(ties, 0.0)
    mass = np.maximum(q @ space.walk.reach[answered].astype(np.float64), 0.0)
    evidence = _evidence(space, graph, answered) * beliefs.dials.strength
    group = beliefs.placed[answered]
    to_groups = ties @ beliefs.probabilities[answered, :-1].astype(np.float64)
    found: list[_Cut] = []
    for k in range(len(beliefs.groups)):
        inside = np.flatnonzero(group == k)
        if len(inside) >= 3:
            here = mass * (beliefs.sizes[k] / max(float(mass[inside].sum()), 1e-12))
            said = evidence[inside][:, inside].toarray()
            elsewhere = np.delete(to_groups, k, axis=1)
            found += _cuts(k, inside, ties, elsewhere=elsewhere, mass=here, evidence=said, dials=beliefs.dials)
    found = sorted(found, key=lambda cut: -cut.stake)[:LOOKED]
    return sorted(_staked(beliefs, known, answered, found), key=lambda seam: -seam.stake)[:KEPT]


def _staked(beliefs: Beliefs, known: Answered, answered: Ints, found: Sequence[_Cut]) -> list[Seam]:
    """With the samples that would go with the smaller side: those at which more walks end there than at the rest."""
    if not found:
        return []
    targets = np.zeros((len(answered), len(found)))
    for n, cut in enumerate(found):
        targets[cut.side, n] = beliefs.field[answered[cut.side], cut.group]
    group = np.asarray([cut.group for cut in found])
    leads = 2.0 * known.spread(answered.tolist(), beliefs.precision, targets) > beliefs.field[:, group]
    samples = np.einsum("nc,nc->c", leads, beliefs.probabilities[:, group], dtype=np.float64)
    out = []
    for cut, gone in zip(found, samples.tolist(), strict=True):
        sides = answered[cut.side], answered[cut.rest]
        small, large = sides if len(cut.side) <= len(cut.rest) else sides[::-1]
        stake = cut.two * min(gone, max(float(beliefs.sizes[cut.group]) - gone, 0.0))
        out.append(Seam(small, large, stake, cut.two))
    return out


def unsettled(space: Space, known: Sequence[Seam], answer: Answer) -> list[Seam]:
    """Those of the seams that the answer tells nothing about: all, where somebody was unsure."""
    if answer.verdict is Verdict.UNSURE:
        return list(known)
    a, b = (space.index.get(sample, -1) for sample in answer.pair)
    across = ((a, b), (b, a))
    return [seam for seam in known if not any(one in seam.small and other in seam.large for one, other in across)]


def _evidence(space: Space, graph: SimilarityGraph, answered: Ints) -> sparse.csr_array:
    """Log-odds of "same" between answered rows, csr (L, L), symmetric."""
    first, second, weight = graph.ends({space.sample_ids[row]: i for i, row in enumerate(answered.tolist())})
    size = len(answered)
    half = sparse.coo_array((weight, (first, second)), shape=(size, size))
    return sparse.csr_array(half + half.T)


class _Cut(NamedTuple):
    """Two sides of a group, by their places among the answered rows; P(they are two groups), and a first guess of what is
    at stake.
    """

    group: int
    side: Ints
    rest: Ints
    two: float
    stake: float


def _cuts(
    group: int, inside: Ints, ties: Floats, *, elsewhere: Floats, mass: Floats, evidence: Floats, dials: Dials
) -> list[_Cut]:
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
    outward = np.concatenate([np.zeros((1, elsewhere.shape[1])), np.cumsum(elsewhere[inside], axis=0)])
    weight = np.concatenate([[0.0], np.cumsum(mass[inside])])
    here, there = weight[end] - weight[start], weight[-1] - (weight[end] - weight[start])
    out_here = outward[end] - outward[start]
    share = np.maximum(belonging(across, out_here, dials), belonging(across, outward[-1] - out_here, dials))
    two = 1.0 / (1.0 + np.exp(np.clip(np.log(share) - np.log1p(-share) + said, -30.0, 30.0)))
    stake = two * np.minimum(here, there)
    found = []
    for cut in np.argsort(-stake, kind="stable")[:KEPT].tolist():
        side = np.zeros(size, bool)
        side[start[cut] : end[cut]] = True
        found.append(_Cut(group, inside[side], inside[~side], float(two[cut]), float(stake[cut])))
    return found


def belonging(across: Floats, elsewhere: Floats, dials: Dials) -> Floats:
    """Belief that a side belongs with the other, (C,) in (0, 1), from its ties there (C,) and to each other group
    (C, K - 1), as sharp as beliefs are.
    """
    # sums of differences: what is nothing may come out a rounding below it
    across, elsewhere = np.maximum(across, 0.0), np.maximum(elsewhere, 0.0)
    top = np.maximum(np.maximum(across, elsewhere.max(axis=1, initial=0.0)), 1e-12)
    own = (across / top) ** dials.power
    share = own / np.maximum(own + ((elsewhere / top[:, None]) ** dials.power).sum(axis=1), 1e-12)
    least = max(dials.astray, LEAST) / (elsewhere.shape[1] + 1)
    return np.asarray(np.clip(share, least, 1.0 - least))


def _across(m: Floats, start: Ints, end: Ints) -> Floats:
    """Sum of a symmetric matrix between the rows [start, end) and all others, for each interval."""
    rows = np.concatenate([[0.0], np.cumsum(m.sum(axis=1))])
    return np.asarray(rows[end] - rows[start] - _within(m, start, end))


def _within(m: Floats, start: Ints, end: Ints) -> Floats:
    """Sum of a matrix over the square blocks [start, end)."""
    total = np.zeros((len(m) + 1, len(m) + 1))
    total[1:, 1:] = m.cumsum(axis=0).cumsum(axis=1)
    return np.asarray(total[end, end] - total[start, end] - total[end, start] + total[start, start])
