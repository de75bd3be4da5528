"""How hard a sample is, where no pretext task has been learned: what a PCA of the features leaves out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

KEPT = 0.9
"""Share of the variance that the kept components hold; the rest is what is looked at."""


def reconstruction_error(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """``l_i = |x_i - P P^T x_i|^2`` for centred features x and the first principal directions P; float32 (N,), >= 0.

    A stand-in for a pretext loss (Yi et al. 2022, "PT4AL", section 3): it too says how badly a model that has seen no
    label, here a linear auto-encoder, does on each sample.

    Args:
        features: float32 (N, D), finite.

    >>> line = np.asarray([[0, 0], [1, 1], [2, 2], [3, 3], [1, 2]], np.float32)
    >>> int(reconstruction_error(line).argmax())
    4
    """
    x = features - features.mean(axis=0)
    if len(x) < 2 or not x.any():
        return np.zeros(len(x), np.float32)
    # "covariance_eigh": O(N D^2), and no random start
    fit = PCA(KEPT, svd_solver="covariance_eigh").fit(x)
    rest = x - fit.inverse_transform(fit.transform(x))
    return np.asarray(np.einsum("nd,nd->n", rest, rest), np.float32)
