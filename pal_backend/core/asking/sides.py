"""Sides of a group that may be another group: branches of two trees over its members.

One is the tree of the "same" answers that hold the group together: cutting one of them leaves two sides. Where several
answers join two sides no cut of one finds them; so the other tree is of how near members are to each other. In both a branch
is a run of the members as the tree lists them, so that sums over all sides are differences of running sums.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.cluster.hierarchy import linkage
from scipy.sparse import csgraph

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Sides(NamedTuple):
    """C sides of a group: the members ``order[start:end]``, and all others of ``order``.

    Args:
        order: int64 (n,), members by their place in the group.
        start, end: int64 (C,), ``0 <= start < end <= n``, never all members.
    """

    order: Ints
    start: Ints
    end: Ints

    def member(self, side: int) -> NDArray[np.bool_]:
        """Which of ``order`` are on one side, bool (n,)."""
        place = np.arange(len(self.order))
        return np.asarray((place >= self.start[side]) & (place < self.end[side]))

    def sums(self, values: Floats) -> Floats:
        """Sums of values (..., n), in the order of the members, over each side, (..., C)."""
        running = np.concatenate([np.zeros((*values.shape[:-1], 1)), values.cumsum(axis=-1)], axis=-1)
        return np.asarray(running[..., self.end] - running[..., self.start])

    def across(self, values: Floats) -> Floats:
        """Sums of a symmetric matrix (n, n) between each side and the others, (C,)."""
        total = np.zeros((len(values) + 1, len(values) + 1))
        total[1:, 1:] = values.cumsum(axis=0).cumsum(axis=1)
        start, end = self.start, self.end
        within = total[end, end] - total[start, end] - total[end, start] + total[start, start]
        return np.asarray(self.sums(values.sum(axis=1)) - within)


def by_answers(evidence: Floats) -> Sides:
    """Branches of the spanning tree of the strongest "same" answers; what only answers about others tie to it is left out.

    Args:
        evidence: float64 (n, n), log-odds of "same" between members, symmetric.
    """
    tree = csgraph.minimum_spanning_tree(
        sparse.csr_array(np.where(evidence > 0.0, 1.0 / np.maximum(evidence, 1e-9), 0.0))
    )
    order, before = csgraph.depth_first_order(tree, 0, directed=False)
    size = len(order)
    place = np.empty(before.size, np.int64)
    place[order] = np.arange(size)
    parent = place[before[order[1:]]]
    below = np.ones(size, np.int64)
    for child in range(size - 1, 0, -1):
        below[parent[child - 1]] += below[child]
    start = np.arange(1, size)
    return Sides(order.astype(np.int64), start, start + below[1:])


def by_nearness(near: Floats) -> Sides:
    """Branches of several members in the tree that average linkage makes.

    Args:
        near: float64 (n, n), 1 for the same and less for others, symmetric; n is at least 2.
    """
    size = len(near)
    tree = linkage(np.maximum(1.0 - near[np.triu_indices(size, 1)], 0.0), "average")
    count = np.concatenate([np.ones(size, np.int64), tree[:, 3].astype(np.int64)])
    start = np.zeros(2 * size - 1, np.int64)
    for branch, (left, right) in reversed(list(enumerate(tree[:, :2].astype(np.int64).tolist(), size))):
        start[left], start[right] = start[branch], start[branch] + count[left]
    inner = slice(size, -1)
    return Sides(np.argsort(start[:size]), start[inner], start[inner] + count[inner])
