"""The exact solver for few samples, where features are functions of a kernel: PAL's own experiments.

Of all maps with components in the kernel's space, ``||Z Z^T - G||_F^2 + 2 lambda tr(Z^T K^{-1} Z)`` (the last term is the
norm in that space) is least at the K largest eigenpairs of ``G - lambda K^{-1}``. It is :mod:`pal_backend.core.solver` with
``X = K^{1/2}``, at O(N^3) a solution.

Source: Cabannes, Bottou, LeCun and Balestriero 2023, "Active Self-Supervised Learning", ICCV, arXiv 2303.15256.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, pinvh
from scipy.spatial.distance import cdist

from pal_backend.core.solver import RIDGE

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CUT = 1e-5
"""Eigenvalues of the kernel matrix below this over N are taken as 0."""


def laplacian_kernel(a: Floats, b: Floats, width: float) -> Floats:
    """``exp(-||a_i - b_j|| / width)``, float64 (n, m), of points (n, D) and (m, D)."""
    return np.asarray(np.exp(cdist(a, b) / -width))


@dataclass(frozen=True, eq=False)
class KernelSolution:
    """Embedding of the N samples, and the map that carries it to others.

    Args:
        embedding: Z*, float64 (N, K), orthonormal columns: the eigenvectors, not scaled, as in the paper's experiments.
        values: float64 (K,), their eigenvalues, largest first.
        map: ``K^{-1} Z*``, float64 (N, K).
    """

    embedding: Floats
    values: Floats
    map: Floats

    def embed(self, kernel: Floats) -> Floats:
        """``phi(x) = k(x, X) K^{-1} Z*``, (n, K), from the kernel (n, N) between n points and the N samples."""
        return kernel @ self.map


class KernelSolver:
    """Solves for graphs on the same N samples.

    Args:
        kernel: float64 (N, N), symmetric, positive semi-definite: values between the samples.
        dimension: K, at most N are found.
        ridge: lambda.
    """

    def __init__(self, kernel: Floats, *, dimension: int, ridge: float = RIDGE) -> None:
        if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1]:
            raise ValueError(f"a kernel of shape {kernel.shape} found; expected (N, N)")
        self._inverse: Floats = pinvh(kernel, atol=CUT / max(len(kernel), 1), rtol=0.0)
        self._dimension, self._ridge = min(dimension, len(kernel)), ridge

    def solve(self, graph: Floats) -> KernelSolution:
        """Of a signed symmetric graph, float64 (N, N); 0 means that nothing is known, and pulls to the right angle."""
        n = len(self._inverse)
        values, vectors = eigh(graph - self._ridge * self._inverse, subset_by_index=(n - self._dimension, n - 1))
        z = vectors[:, ::-1]
        return KernelSolution(z, values[::-1], self._inverse @ z)


def sensitivity(values: Floats, vectors: Floats, count: int, pairs: Ints) -> Floats:
    """How far the span of the first ``count`` eigenvectors turns for a small weight on each pair, float64 (E,).

    ``||dP||_F^2 / delta^2 = 2 sum_{k <= K < l} (u_ik u_jl + u_jk u_il)^2 / (lambda_k - lambda_l)^2`` for the projector P on
    the span and delta added to entries (i, j) and (j, i) of the matrix, i and j different: where it is large, an answer
    about the pair changes the embedding most.

    Args:
        values: float64 (N,), all eigenvalues, largest first.
        vectors: float64 (N, N), the eigenvectors as columns, in the same order.
        count: K, with ``values[K - 1] > values[K]``.
        pairs: int64 (E, 2).
    """
    near, far = vectors[:, :count], vectors[:, count:]
    gaps = values[:count, None] - values[None, count:]
    i, j = pairs[:, 0], pairs[:, 1]
    turned = near[i, :, None] * far[j, None, :] + near[j, :, None] * far[i, None, :]
    return np.asarray(2.0 * ((turned / gaps) ** 2).sum(axis=(1, 2)))
