"""From answered samples to beliefs about all: label spreading on the neighbour graph, by linear algebra.

A walk that steps along the graph's weights and gives up with probability ``leak`` at each step is stopped by the first
answered sample it meets; the chance of stopping in group k is the belief in k, the chance of giving up is "none of
them". With ``A = D - (1 - leak) W``, its inverse ``G`` (Green's function), answered rows L with targets Y and
``Q = (G_LL)^-1``, that is ``F = G_NL Q Y``: clamped label spreading (Zhu, Ghahramani and Lafferty 2003,
"Semi-supervised learning using Gaussian fields", eq. 5) with a leak. Written so, the beliefs are a function of the set
of answers, F is one product with the columns of G that are kept, or one sparse solve whatever the number of answers, and
what each answered sample would be believed to be *without its own answers* needs Q alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import cho_factor
from scipy.linalg.lapack import dpotri

Float = NDArray[np.float32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAK = 0.05
"""Chance that the walk gives up at a step."""
TOLERANCE = 1e-3
"""Share of the error (in the norm that D weighs) left when a system is solved; beliefs are no surer than that."""
LANES = 4
"""Sparse products are quickest with a multiple of so many columns, and with fewer than that one by one."""
BLOCK = 32
"""Columns of Green's function solved at once."""
TWINS = 1e-3
"""Added to the diagonal of G_LL, relative: nearly identical samples would make it singular."""
KEPT = 2**26
"""Numbers of Green's function that are kept at most: 256 MB."""
LOOK = 1000
"""Rows at which the whole pool is looked at, where about is enough."""
FOLLOWED = 120
"""Samples whose influence is worked out."""
STEPS = 2
"""Steps of a walk that are followed where only the surroundings matter."""


class Walk:
    """The leaky walk on one neighbour graph.

    Args:
        graph: float32 csr (N, N), symmetric, non-negative.
        leak: chance of giving up at each step, in (0, 1).
    """

    def __init__(self, graph: sparse.csr_array, leak: float = LEAK) -> None:
        degree = np.maximum(np.asarray(graph.sum(axis=1), np.float64).reshape(-1), 1e-12)
        self._per_degree = (1.0 / degree).astype(np.float32)[:, None]
        self._step = sparse.csr_array(
            sparse.diags_array((np.float32(1.0 - leak) / degree).astype(np.float32)) @ graph
        ).astype(np.float32)
        self._stay = 1.0 - leak
        self.size = graph.shape[0]

    @cached_property
    def reach(self) -> Float:
        """``G 1``, float32 (N,): with Q it tells how many samples each answered row speaks for, ``Q (G 1)_L``."""
        return self.solve(np.ones((self.size, 1), np.float32))[:, 0]

    @cached_property
    def _back(self) -> sparse.csr_array:
        """Transpose of the steps."""
        return sparse.csr_array(self._step.T)

    def average(self, p: Float) -> Float:
        """Mean of (N, K) values over each row's neighbours, weighted."""
        return np.asarray(self._step @ p, np.float32) / np.float32(self._stay)

    def solve(self, b: Float) -> Float:
        """x with ``A x = b``, float32 (N, K) as ``b``, by Chebyshev's semi-iteration on ``x = P x + D^-1 b``.

        ``x_{t+1} = w_{t+1} (P x_t + D^-1 b - x_{t-1}) + x_{t-1}``, ``w_2 = 2 / (2 - r^2)``, ``w_{t+1} = 1 / (1 - r^2 w_t / 4)``,
        P the walk's steps, whose eigenvalues lie within r = 1 - leak of 0. After t steps at most ``2 s^t`` of the error is left,
        ``s = r / (1 + sqrt(1 - r^2))``: there are as many as :data:`TOLERANCE` takes. So the number of steps is known
        beforehand, and the same columns, in whatever company and after whatever else, give the same bits.

        Source: Golub and Varga 1961, "Chebyshev semi-iterative methods", Numerische Mathematik 3

        Args:
            b: float32 (N, K).
        """
        count = b.shape[1]
        if 1 < count < LANES:
            return np.hstack([self.solve(b[:, k : k + 1]) for k in range(count)])
        r = self._stay
        shrink = r / (1.0 + math.sqrt(1.0 - r * r))
        x = np.zeros((len(b), count if count < LANES else -(-count // LANES) * LANES), np.float32)
        np.multiply(b, self._per_degree, out=x[:, :count])
        before, constant, w = np.zeros_like(x), x.copy(), 2.0
        for _ in range(math.ceil(math.log(TOLERANCE / 2.0) / math.log(shrink)) - 1):
            w = 1.0 / (1.0 - r * r * w / 4.0)
            before *= np.float32(1.0 - 1.0 / w)
            new = self._step @ x
            new += constant
            new -= before
            new *= np.float32(w)
            before, x = x, new
        return np.ascontiguousarray(x[:, :count])

    def columns(self, rows: Sequence[int]) -> Float:
        """Columns ``rows`` of G, float32 (N, len(rows))."""
        b = np.zeros((self.size, len(rows)), np.float32)
        b[list(rows), np.arange(len(rows))] = 1.0
        return self.solve(b)

    def chances(self, rows: Ints, stops: NDArray[np.bool_]) -> tuple[Ints, Ints, Floats]:
        """Chances h_jc that a walk from j meets row c before a stop, followed for a few steps: the numbers of c among
        ``rows``, rising, the rows j, and the chances, (E,) each; whatever else is 0.

        ``h_jc = B_jc / B_cc`` with ``B = sum_t (P_UU)^t``, P the walk's steps and U the rows that do not stop it.

        Args:
            rows: int64 (C,), all different.
            stops: bool (N,), rows where a walk ends (answered ones).
        """
        back, size = self._back, self.size
        # c and j in one number; products of sparse matrices would take half as long again for the few rows of an answer
        key: Ints = np.arange(len(rows)) * size + rows
        mass: Floats = np.ones(len(rows))
        keys, masses = [key], [mass]
        for _ in range(STEPS):
            key, mass = _summed(key, mass)
            place = key % size
            first = back.indptr[place]
            many = back.indptr[place + 1] - first
            edge = np.arange(many.sum()) + np.repeat(first - np.cumsum(many) + many, many)
            goes = ~stops[back.indices[edge]]
            key = (np.repeat(key - place, many) + back.indices[edge])[goes]
            mass = (np.repeat(mass, many) * back.data[edge])[goes]
            keys.append(key)
            masses.append(mass)
        key, mass = _summed(np.concatenate(keys), np.concatenate(masses))
        which, met = np.divmod(key, size)
        return which, met, mass / mass[met == rows[which]][which]


def _summed(keys: Ints, values: Floats) -> tuple[Ints, Floats]:
    """Keys without repetition, rising, and the sums of their values."""
    found, at = np.unique(keys, return_inverse=True)
    return found, np.asarray(np.bincount(at, values, len(found)), np.float64)


class Answered:
    """G_LL of the rows ever answered, float64, grown as rows come; what is asked of it is about the rows given then.

    A row costs one column of G when it comes and O(L) memory. The first columns are kept, as many as :data:`KEPT` has room
    for: while there are no more rows, spreading needs no solve. Of each column the entries at about :data:`LOOK` rows all
    over the pool are kept too.
    """

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._at: dict[int, int] = {}
        self._g: Floats = np.zeros((BLOCK, BLOCK))
        # only what is written takes memory
        self._columns: Float = np.empty((min(KEPT // max(walk.size, 1), walk.size), walk.size), np.float32)
        self._look = slice(None, None, max(1, walk.size // LOOK))
        self._seen: Float = np.zeros((BLOCK, len(range(walk.size)[self._look])), np.float32)

    def inverse(self, rows: Sequence[int]) -> Floats:
        """Q = (G_LL)^-1 of these rows, all different, float64 (L, L), in their order."""
        fresh = [row for row in rows if row not in self._at]
        for start in range(0, len(fresh), BLOCK):
            self._meet(fresh[start : start + BLOCK])
        if not len(rows):
            return np.zeros((0, 0))
        at = np.asarray([self._at[row] for row in rows])
        g = self._g[np.ix_(at, at)]
        g[np.diag_indices_from(g)] *= 1.0 + TWINS
        factor, lower = cho_factor(g, lower=True, overwrite_a=True)
        half, _ = dpotri(factor, lower=lower, overwrite_c=True)
        half = np.tril(half)
        return np.asarray(half + np.tril(half, -1).T)

    def spread(self, rows: Sequence[int], q: Floats, targets: Floats) -> Float:
        """F, float32 (N, K), from targets Y (L, K) on ``rows``: ``G_NL Q Y`` (:func:`spread`).

        Args:
            rows: L rows whose :meth:`inverse` was asked for, and is ``q``.
        """
        at = np.asarray([self._at[row] for row in rows], np.int64)
        if len(at) and at.max() >= len(self._columns):
            return spread(self._walk, np.asarray(rows), q, targets)
        in_order = np.array_equal(at, np.arange(len(at)))  # as they are, unless answers were withdrawn: no copy then
        columns = self._columns[: len(at)] if in_order else self._columns[at]
        return np.ascontiguousarray(((q @ targets).T.astype(np.float32) @ columns).T)

    def glance(self, rows: Sequence[int], values: Floats) -> Float:
        """``G_SL v`` at about :data:`LOOK` rows S all over the pool, float32 (S,): no solve is needed for it.

        Args:
            rows: L rows whose :meth:`inverse` was asked for.
            values: float64 (L,).
        """
        weights = np.zeros(len(self._at), np.float32)
        weights[[self._at[row] for row in rows]] = values
        return np.asarray(weights @ self._seen[: len(weights)], np.float32)

    def correlation(self, rows: Sequence[int]) -> Floats:
        """How near rows are to each other: ``G_ij / sqrt(G_ii G_jj)``, float64 (L, L), 0 to 1.

        Args:
            rows: L rows whose :meth:`inverse` was asked for.
        """
        at = np.asarray([self._at[row] for row in rows], np.int64)
        g = self._g[np.ix_(at, at)]
        scale = np.sqrt(np.maximum(np.diag(g), 1e-12))
        return np.asarray(g / scale[:, None] / scale)

    def _meet(self, rows: Sequence[int]) -> None:
        have, size = len(self._at), len(self._at) + len(rows)
        if size > len(self._g):
            more = size + size // 2 - len(self._g)
            self._g = np.pad(self._g, (0, more))
            self._seen = np.pad(self._seen, ((0, more), (0, 0)))
        self._at.update(zip(rows, range(have, size), strict=True))
        whole = self._walk.columns(rows)
        self._seen[have:size] = whole[self._look].T
        self._columns[have:size] = whole.T[: max(len(self._columns) - have, 0)]
        columns = whole[list(self._at)].astype(np.float64)
        # of the two values of one entry the later row's column gives it, so that G_LL does not tell in which blocks it grew
        columns[have:] = np.triu(columns[have:]) + np.triu(columns[have:], 1).T
        self._g[:size, have:size] = columns
        self._g[have:size, :size] = columns.T


def fill(q: Floats, targets: NDArray[Any], free: Ints) -> Floats:
    """Targets (L, K) with rows ``free`` set to what spreads to them from the others, as if they were not answered.

    ``Q_ff Y_f = -Q_fo Y_o``.
    """
    filled = np.array(targets, np.float64)
    if len(free):
        filled[free] = 0.0
        filled[free] = np.linalg.solve(q[np.ix_(free, free)], -(q[free] @ filled))
    return filled


def without_itself(q: Floats, targets: Floats) -> Floats:
    """What each answered row would be believed to be if it alone were not answered, float64 (L, K).

    ``Y_i - (Q Y)_i / Q_ii`` (Rasmussen and Williams 2006, eq. 5.12), without refitting.
    """
    return np.asarray(targets - (q @ targets) / np.diag(q)[:, None])


def spread(walk: Walk, rows: Ints, q: Floats, targets: Floats) -> Float:
    """F, float32 (N, K), from targets Y (L, K) on ``rows``: ``A F = Q Y``, one sparse solve."""
    b = np.zeros((walk.size, targets.shape[1]), np.float32)
    b[rows] = q @ targets
    return walk.solve(b)


def influence(walk: Walk, answered: Ints, margins: Floats) -> Floats:
    """``I_c = sum_j h_jc^2`` over unanswered j (:meth:`Walk.chances`), c itself among them, float64 (N,), in units of an
    ordinary sample: what is near c and not explained by others already. It is followed for the samples most in doubt
    only; the rest count as ordinary.

    Args:
        answered: int64 (L,), where walks end.
        margins: float64 (N,), 0 for a sample in full doubt, 1 for one in none.
    """
    found = np.ones(walk.size)
    stops = np.zeros(walk.size, bool)
    stops[answered] = True
    most = min(FOLLOWED, walk.size)
    rows = np.sort(np.argpartition(margins, most - 1)[:most])
    which, _, chance = walk.chances(rows, stops)
    told = np.bincount(which, chance**2, most)
    found[rows] = told / max(float(np.median(told)), 1e-9)
    return found
