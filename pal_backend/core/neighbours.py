"""The space the learner works in: samples, features, and the graph of nearest neighbours. Never N x N."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import brentq
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors

from pal_backend.core.difficulty import reconstruction_error
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.inference import Walk
from pal_backend.core.opinion import Smoother, gaussian_map
from pal_backend.core.vocabulary import SampleId

MEDOIDS = 40
"""Typical samples to begin with; with many fewer, a small class is found late or never."""
SCALE_NEIGHBOUR = 7
"""The distance to this neighbour is a sample's own scale (Zelnik-Manor and Perona 2004, "Self-tuning spectral clustering")."""
FELT = 5.0
"""Neighbours that a sample is to feel on average, however many edges it has."""
CONTRASTS = (0.5, 8.0)
"""Lowest and highest contrast of the weights."""


@dataclass(frozen=True, eq=False)
class Space:
    """One model version's view of N samples.

    Args:
        sample_ids: the N samples, in the order of the rows.
        features: float32 (N, D).
        graph: float32 csr (N, N), symmetric, weights in (0, 1], no diagonal.
        difficulty: float32 (N,), the loss of each sample in the pretext task that the model version was trained on,
            finite, larger is harder; None where there was none.
        contrast: c of the weights ``exp(-c r)``, positive.
    """

    sample_ids: tuple[SampleId, ...]
    features: NDArray[np.float32]
    graph: sparse.csr_array
    difficulty: NDArray[np.float32] | None = None
    contrast: float = 2.0

    @cached_property
    def index(self) -> dict[SampleId, int]:
        """Sample id to row."""
        return {sample: row for row, sample in enumerate(self.sample_ids)}

    @cached_property
    def densities(self) -> NDArray[np.float32]:
        """Sum of a sample's weights divided by the mean over all samples, float32 (N,): 1 is an ordinary place."""
        sums = np.asarray(self.graph.sum(axis=1), np.float32).reshape(-1)
        return (sums / max(float(sums.mean()), 1e-12)).astype(np.float32)

    @cached_property
    def medoids(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Typical samples: the one nearest each k-means centre, int64 (M,), and the size of its cluster in units of the
        mean cluster, float64 (M,). Whatever the seed of the learner, the space alone decides.
        """
        n = len(self.sample_ids)
        count = min(MEDOIDS, max(1, n // 4))
        fit = KMeans(count, n_init=1, random_state=0).fit(self.features)
        rows = np.unique(fit.transform(self.features).argmin(axis=0))
        sizes = np.bincount(fit.labels_, minlength=count)[fit.labels_[rows]]
        return rows.astype(np.int64), sizes * (count / n)

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Place of each sample among all by its id, int64 (N,): ties are broken by it."""
        place = np.empty(len(self.sample_ids), np.int64)
        place[np.argsort(np.asarray(self.sample_ids))] = np.arange(len(place))
        return place

    @cached_property
    def walk(self) -> Walk:
        """The walk that spreads labels on the graph."""
        return Walk(self.graph)

    @cached_property
    def smoother(self) -> Smoother:
        """The classifier that gives a second opinion."""
        return Smoother(gaussian_map(self.features))

    def opinion(self, graph: SimilarityGraph) -> Smoother:
        """Who gives the second opinion when these answers are there; the same whatever they say, unless a space learns."""
        del graph
        return self.smoother

    @cached_property
    def hardest(self) -> NDArray[np.int64]:
        """Rows from the hardest to the easiest, int64 (N,), by :attr:`difficulty`; where there is none, by what a PCA of
        the features leaves out. Ties go by sample id, so that the order of the rows tells nothing.
        """
        loss = reconstruction_error(self.features) if self.difficulty is None else self.difficulty
        return np.asarray(np.lexsort((np.asarray(self.sample_ids), -loss)), np.int64)

    def weights(self, row: int) -> NDArray[np.float32]:
        """Weights of the edges to :meth:`neighbours`, in the same order."""
        return np.asarray(self.graph.data[self.graph.indptr[row] : self.graph.indptr[row + 1]], np.float32)

    def neighbours(self, row: int) -> NDArray[np.int64]:
        """Rows of the samples that share an edge with ``row``."""
        return np.asarray(self.graph.indices[self.graph.indptr[row] : self.graph.indptr[row + 1]], np.int64)


def nearest(x: NDArray[np.float32], k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The k nearest other rows of each row of ``x`` (N, D), N at least 2: Euclidean distances float32 (N, k), rising, and
    rows int64 (N, k); k is cut to N - 1. Exact and in blocks. A row is left out of its own neighbours by its number, so
    equal rows are each other's neighbours and none is its own.
    """
    search = NearestNeighbors(n_neighbors=min(k, len(x) - 1), algorithm="brute").fit(x)
    distances, found = search.kneighbors()
    return np.asarray(distances, np.float32), np.asarray(found, np.int64)


def contrast_of(apart: NDArray[np.float64]) -> float:
    """c for which ``w = exp(-c r)`` makes a sample feel :data:`FELT` of its neighbours.

    Felt are ``(sum w)^2 / sum w^2``, the mean over samples counts. In features of many dimensions all neighbours are about
    equally far: under one c for all pools, weights there are nearly those of an unweighted graph.

    Args:
        apart: float64 (N, k), r of each sample's neighbours.
    """
    nearer = apart - apart.min(axis=1, keepdims=True)  # ratios of weights: none of a row's may all vanish

    def excess(c: float) -> float:
        w = np.exp(-c * nearer)
        return float((w.sum(axis=1) ** 2 / (w * w).sum(axis=1)).mean()) - FELT

    low, high = CONTRASTS
    if excess(low) <= 0.0:
        return low
    if excess(high) >= 0.0:
        return high
    return round(float(brentq(excess, low, high, xtol=1e-4)), 3)  # whatever the order of the rows


def build_space(
    sample_ids: Sequence[SampleId],
    features: NDArray[np.floating],
    k: int = 8,
    difficulty: NDArray[np.floating] | None = None,
    contrast: float | None = None,
) -> Space:
    """Exact k nearest neighbours (Euclidean, in blocks) with self-tuning weights, made symmetric by the mean of the
    two directions, so that neighbours of each other count twice.

    ``w_ij = exp(-c r_ij)``, ``r_ij = d_ij^2 / (s_i s_j)``, ``s_i`` = distance to the 7th neighbour, c the contrast.

    Args:
        sample_ids: N ids, all different.
        features: (N, D), finite.
        k: neighbours a sample; fewer where N is small.
        difficulty: (N,), finite, loss of each sample in a pretext task, if there was one.
        contrast: c, positive; the pool's :func:`contrast_of` if left out.

    Raises:
        ValueError: ids, features and difficulty do not fit together, or are not finite.
    """
    x = np.ascontiguousarray(features, dtype=np.float32)
    if x.ndim != 2 or len(x) != len(sample_ids):
        raise ValueError(f"features of shape {x.shape} do not fit {len(sample_ids)} sample ids; expected (N, D)")
    if len(set(sample_ids)) != len(sample_ids):
        raise ValueError("sample ids occur twice; every row needs an id of its own")
    if not np.isfinite(x).all():
        raise ValueError("features hold NaN or infinity; expected finite numbers")
    loss = None if difficulty is None else np.ascontiguousarray(difficulty, dtype=np.float32)
    if loss is not None and (loss.shape != (len(x),) or not np.isfinite(loss).all()):
        raise ValueError(f"difficulty of shape {loss.shape} cannot be used; expected {len(x)} finite numbers")
    n, k = len(x), min(k, len(x) - 1)
    if k < 1:
        return Space(tuple(sample_ids), x, sparse.csr_array((n, n), dtype=np.float32), loss)
    distances, found = nearest(x, k)
    scale = np.maximum(distances[:, min(SCALE_NEIGHBOUR, k) - 1], 1e-12).astype(np.float64)
    apart = distances.astype(np.float64) ** 2 / (scale[:, None] * scale[found])
    c = contrast or contrast_of(apart)
    return Space(tuple(sample_ids), x, _joined(np.exp(-c * apart), found), loss, c)


def _joined(weights: NDArray[np.float64], found: NDArray[np.int64]) -> sparse.csr_array:
    """The graph in which samples have these neighbours (N, k) with these weights."""
    n, k = found.shape
    # a weight that rounds to nothing would cut the edge out of the sparse matrix
    data = np.maximum(weights.reshape(-1), 2e-6).astype(np.float32)
    one_way = sparse.csr_array((data, (np.repeat(np.arange(n), k), found.reshape(-1))), shape=(n, n))
    graph = sparse.csr_array((one_way + one_way.T) * np.float32(0.5))
    graph.sort_indices()
    return graph
