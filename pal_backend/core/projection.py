"""A map of the samples: a plane in which what is near in feature space stays near."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from pal_backend.core.places import LARGEST, Places

MOST = 20_000
"""Samples on a map; of a larger pool a uniform sample is drawn."""
COMPONENTS = 50
PERPLEXITY = 30.0
ITERATIONS = 500
LEAST = 10
"""Of fewer samples the two strongest components are map enough."""


def project(features: NDArray[np.float32], *, seed: int, most: int = MOST) -> Places:
    """Lay samples out by t-SNE (van der Maaten and Hinton 2008; the Barnes-Hut form of 2014, by scikit-learn), begun from
    the two strongest principal components, so that the whole keeps its shape (Kobak and Berens 2019).

    Args:
        features: float32 (N, D).
        seed: says which samples are drawn where there are more than ``most``.
        most: samples on the map.
    """
    n = len(features)
    chosen = np.arange(n) if n <= most else np.random.default_rng(seed).choice(n, most, replace=False)
    rows = np.sort(chosen).astype(np.int32)
    reduced = _components(features[rows], COMPONENTS)
    if len(rows) < LEAST or reduced.shape[1] < 2 or not np.ptp(reduced, axis=0).any():
        return Places(rows, _scaled(reduced), "principal components")
    plane = TSNE(
        init="pca",
        perplexity=min(PERPLEXITY, (len(rows) - 1) / 3),
        max_iter=ITERATIONS,
        random_state=seed,
        n_jobs=1,
    ).fit_transform(reduced)
    return Places(rows, _scaled(plane), "t-SNE")


def _components(x: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """The strongest ``count`` principal components, or as many as there can be, float32 (M, C)."""
    count = min(count, *x.shape)
    if count == 0 or not np.ptp(x, axis=0).any():
        return np.zeros((len(x), max(count, 1)), np.float32)
    return np.asarray(PCA(count, svd_solver="auto", random_state=0).fit_transform(x), np.float32)


def _scaled(plane: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The first two columns in whole numbers, (M, 2); both axes by the same factor, centred."""
    two = np.zeros((len(plane), 2))
    two[:, : plane.shape[1]] = plane[:, :2]
    if not len(two):
        return two.astype(np.uint16)
    low, high = two.min(axis=0), two.max(axis=0)
    span = max(float((high - low).max()), np.finfo(np.float64).tiny)
    shares = np.clip((two - (low + high) / 2) / span + 0.5, 0.0, 1.0)
    return np.asarray(np.rint(shares * LARGEST), np.uint16)
