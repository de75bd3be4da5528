"""From answered samples to beliefs about all: label spreading on the neighbour graph, in closed form.

A walk that steps along the graph's weights and gives up with probability ``leak`` at each step is stopped by the first
answered sample it meets; the chance of stopping in group k is the belief in k, the chance of giving up is "none of
them". With ``A = D - (1 - leak) W`` and its inverse ``G`` (Green's function), and answered rows L with targets Y, that
is ``F = G_NL (G_LL)^-1 Y``: clamped label spreading (Zhu, Ghahramani and Lafferty 2003, "Semi-supervised learning using
Gaussian fields", eq. 5) with a leak. Written so, the beliefs are a function of the set of answers (no iteration whose
start would matter), a new answered sample is one more column, and what each answered sample would be believed to be
*without its own answers* comes for free.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import solve_triangular

Float = NDArray[np.float32]

TOLERANCE = 1e-5
"""Relative residual at which a column of Green's function is taken as solved."""
BLOCK = 64
"""Columns solved at once: wide enough for the sparse product, small enough for memory."""


class Walk:
    """The leaky walk on one neighbour graph; gives columns of its Green's function.

    Args:
        graph: float32 csr (N, N), symmetric, non-negative.
        leak: chance of giving up at each step, in (0, 1).
    """

    def __init__(self, graph: sparse.csr_array, leak: float) -> None:
        degree = np.maximum(np.asarray(graph.sum(axis=1), np.float64).reshape(-1), 1e-12)
        self._root = (1.0 / np.sqrt(degree)).astype(np.float32)
        scale = sparse.diags_array(self._root)
        self._step = sparse.csr_array((scale @ graph @ scale) * np.float32(1.0 - leak)).astype(np.float32)
        self.size = graph.shape[0]

    def columns(self, rows: Sequence[int]) -> Float:
        """Columns ``rows`` of G, float32 (N, len(rows)), by conjugate gradients on the symmetric form I - a S."""
        if len(rows) == 1:
            return self._column(rows[0])[:, None]
        b = np.zeros((self.size, len(rows)), np.float32)
        b[list(rows), np.arange(len(rows))] = self._root[list(rows)]
        x = np.zeros_like(b)
        residual, direction = b.copy(), b.copy()
        norm = np.einsum("nk,nk->k", residual, residual)
        goal = norm * TOLERANCE**2
        for _ in range(500):
            moved = direction - self._step @ direction
            length = norm / np.maximum(np.einsum("nk,nk->k", direction, moved), 1e-30)
            x += length * direction
            residual -= length * moved
            new = np.einsum("nk,nk->k", residual, residual)
            if (new <= goal).all():
                break
            direction = residual + (new / np.maximum(norm, 1e-30)) * direction
            norm = new
        return np.asarray(x * self._root[:, None], np.float32)

    def _column(self, row: int) -> Float:
        """The same for one row: without the columns' bookkeeping it takes half the time."""
        x = np.zeros(self.size, np.float32)
        residual = np.zeros_like(x)
        residual[row] = self._root[row]
        direction = residual.copy()
        norm = float(residual @ residual)
        goal = norm * TOLERANCE**2
        for _ in range(500):
            moved = direction - self._step @ direction
            length = np.float32(norm / max(float(direction @ moved), 1e-30))
            x += length * direction
            residual -= length * moved
            new = float(residual @ residual)
            if new <= goal:
                break
            direction *= np.float32(new / norm)
            direction += residual
            norm = new
        return np.asarray(x * self._root, np.float32)


class Basis:
    """Answered rows, in the order they came, with what is needed to spread targets from them.

    Holds H = G_NL C^-T, float32 (N, L), and M = C^-1, float64 (L, L), with C the Cholesky factor of G_LL. Adding a row
    costs one column of G and O(N L); nothing depends on the targets, which may change freely.
    """

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self.rows: list[int] = []
        self._h: Float = np.zeros((walk.size, BLOCK), np.float32, order="F")
        self._m: NDArray[np.float64] = np.zeros((BLOCK, BLOCK))
        self._diagonal: NDArray[np.float64] = np.zeros(BLOCK)  # of (G_LL)^-1 = M^T M

    def add(self, rows: Sequence[int]) -> None:
        """Append rows, all different and not yet there."""
        for start in range(0, len(rows), BLOCK):
            some = list(rows[start : start + BLOCK])
            self._reserve(len(some))
            for row, column in zip(some, self._walk.columns(some).T, strict=True):
                self._append(row, column)

    def _reserve(self, more: int) -> None:
        have, need = self._m.shape[0], len(self.rows) + more
        if need <= have:
            return
        room = max(need, have + have // 2)
        h = np.zeros((self._walk.size, room), np.float32, order="F")
        m = np.zeros((room, room))
        h[:, :have], m[:have, :have] = self._h, self._m
        self._h, self._m = h, m
        self._diagonal = np.concatenate([self._diagonal, np.zeros(room - have)])

    def _append(self, row: int, column: Float) -> None:
        size = len(self.rows)
        known = self._h[row, :size]
        own = column - self._h[:, :size] @ known
        # nearly identical samples leave next to nothing of their own; without the floor rounding errors would grow
        pivot = float(np.sqrt(max(float(own[row]), 1e-4 * float(column[row]))))
        self._h[:, size] = own / np.float32(pivot)
        self._m[size, :size] = -(known.astype(np.float64) @ self._m[:size, :size]) / pivot
        self._m[size, size] = 1.0 / pivot
        self._diagonal[: size + 1] += self._m[size, : size + 1] ** 2
        self.rows.append(row)

    def remove(self, row: int) -> None:
        """Take one row out again, with the same result as if it had never been added, in O(N L + L^3)."""
        at, size = self.rows.index(row), len(self.rows)
        spare: Float = self._h[:, at].copy()
        rest = self.rows[at + 1 :]
        for column, other in enumerate(rest, start=at + 1):
            # the rotation that clears the removed column's entry in this row keeps the factor triangular
            a, b = float(self._h[other, column]), float(spare[other])
            radius = float(np.hypot(a, b))
            turned = (a * self._h[:, column] + b * spare) / radius
            spare = np.asarray((a * spare - b * self._h[:, column]) / radius, np.float32)
            self._h[:, column - 1] = turned
        self._h[:, size - 1] = 0.0
        del self.rows[at]
        self._m[:] = 0.0
        factor = np.tril(self._h[self.rows, : size - 1]).astype(np.float64)
        self._m[: size - 1, : size - 1] = solve_triangular(factor, np.eye(size - 1), lower=True)
        self._diagonal = np.einsum("ij,ij->j", self._m, self._m)

    @property
    def size(self) -> int:
        """N."""
        return int(self._walk.size)

    def spread(self, targets: NDArray[Any]) -> Float:
        """F, float32 (N, K), from targets Y, (L, K)."""
        size = len(self.rows)
        inner = (self._m[:size, :size] @ targets).astype(np.float32)
        return np.asarray(self._h[:, :size] @ inner, np.float32)

    def fill(self, targets: NDArray[Any], free: NDArray[np.int64]) -> NDArray[np.float64]:
        """Targets with rows ``free`` set to what spreads to them from the others, as if they were not answered.

        With Q = (G_LL)^-1: ``Q_ff Y_f = -Q_fo Y_o``.
        """
        filled = np.array(targets, np.float64)
        if not len(free):
            return filled
        m = self._m[: len(self.rows), : len(self.rows)]
        inverse = m[:, free].T @ m
        filled[free] = 0.0
        filled[free] = np.linalg.solve(inverse[:, free], -(inverse @ filled))
        return filled

    def without_itself(self, targets: NDArray[Any]) -> NDArray[np.float64]:
        """What each answered row would be believed to be if it alone were not answered, float64 (L, K).

        ``Y_i - (G_LL^-1 Y)_i / (G_LL^-1)_ii`` (Rasmussen and Williams 2006, eq. 5.12), without refitting.
        """
        size = len(self.rows)
        m = self._m[:size, :size]
        solved = m.T @ (m @ targets)
        return np.asarray(targets - solved / self._diagonal[:size, None])
