"""A second opinion: a kernel classifier over all samples, honest about what it is asked.

Label spreading follows chains of neighbours; a smooth classifier sees the whole. Kernel ridge regression on the current
beliefs T of all N samples, ``S = K (K + r I)^-1 T`` with a Gaussian kernel of rank M (Nystroem), is a linear smoother
``S = H T`` that is prepared once for a space. What it says of a sample without that sample's own belief is
``(S_i - H_ii T_i) / (1 - H_ii)`` (Craven and Wahba 1979, "Smoothing noisy data with spline functions", eq. 2.3).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.kernel_approximation import Nystroem
from sklearn.metrics import pairwise_distances

Float = NDArray[np.float32]
Rows = NDArray[np.int64]

RANK = 400
"""M, directions of the kernel that are kept."""
LANDMARKS = 1200
"""Samples whose kernels those directions are made of, at most; few landmarks alone miss what so many directions can hold."""
SAMPLED = 4
"""The strongest directions are looked for in so many samples a landmark."""
BLOCK = 4096
"""Samples mapped at once."""
SHARE = 0.3
"""The kernel is as wide as the mean squared distance to the sample's nearest such share of the pool."""
RIDGE = 0.1
TAUGHT = 4096
"""Samples whose beliefs the classifier learns from, at most; it is asked about all."""
PROBES = 300
EVERYONE = slice(None)
"""All rows, as they lie."""


def gaussian_map(features: Float) -> Float:
    """Features (N, M) whose products are those of the Gaussian kernel, of rank M, between rows of ``features`` (N, D): the
    strongest directions of a Nystroem map.
    """
    n, rng = len(features), np.random.default_rng(0)
    probes = features[rng.choice(n, min(PROBES, n), replace=False)]
    distances = pairwise_distances(probes, features, metric="sqeuclidean")
    rank = min(int(SHARE * n), n - 1)
    width = max(float(np.partition(distances, rank, axis=1)[:, rank].mean()), 1e-12)
    landmarks = min(LANDMARKS, max(1, n // 3))
    kernel = Nystroem(gamma=1.0 / width, n_components=landmarks, random_state=0).fit(features)
    some = kernel.transform(features[rng.permutation(n)[: SAMPLED * landmarks]])
    strongest = np.linalg.eigh((some.T @ some).astype(np.float64))[1][:, -RANK:].astype(np.float32)
    blocks = (features[start : start + BLOCK] for start in range(0, n, BLOCK))
    return np.concatenate([np.asarray(kernel.transform(block) @ strongest, np.float32) for block in blocks])


class Smoother:
    """``H`` in factors, float32 (N, M + 1) and (M + 1, M + 1): memory O(N M). In large pools a sample of N is learned from.

    Args:
        mapped: float32 (N, M), features whose products are the kernel; rows of length about 1.

    Attributes:
        taught: int64 (n,), the rows learned from, ascending.
    """

    def __init__(self, mapped: Float) -> None:
        self._map = np.concatenate([mapped, np.ones((len(mapped), 1))], axis=1, dtype=np.float32)
        self.taught: Rows = np.arange(len(mapped))
        self._lessons = self._map
        if len(mapped) > TAUGHT:
            self.taught = np.sort(np.random.default_rng(0).permutation(len(mapped))[:TAUGHT])
            self._lessons = self._map[self.taught]
        gram = (self._lessons.T @ self._lessons).astype(np.float64)
        self._inverse = np.linalg.inv(gram + RIDGE * np.eye(len(gram))).astype(np.float32)
        own = np.einsum("nm,nm->n", self._lessons @ self._inverse, self._lessons)
        # those it did not learn from have no part in what is said of them
        self._own = np.zeros((len(mapped), 1), np.float32)
        self._own[self.taught, 0] = np.clip(own, 0.0, 0.9)

    def without_itself(self, beliefs: Float) -> Float:
        """Scores (N, K): what all other samples' beliefs (N, K) say of each sample; a belief's scale, but unbounded."""
        return self._scores(self._map @ self._weights(beliefs), beliefs, EVERYONE)

    def of_taught(self, beliefs: Float, besides: Rows) -> Float:
        """The same (n + m, K) of the n rows it learns from, then of m others: less than half of a large pool."""
        weights = self._weights(beliefs)
        rows = np.concatenate([self.taught, besides])
        return self._scores(np.concatenate([self._lessons @ weights, self._map[besides] @ weights]), beliefs, rows)

    def _weights(self, beliefs: Float) -> Float:
        # flat on tall is half as quick again as tall on flat
        return np.asarray(self._inverse @ (np.ascontiguousarray(beliefs[self.taught].T) @ self._lessons).T)

    def _scores(self, said: Float, beliefs: Float, rows: Rows | slice) -> Float:
        own = self._own[rows]
        return np.asarray((said - own * beliefs[rows]) / (1.0 - own), np.float32)
