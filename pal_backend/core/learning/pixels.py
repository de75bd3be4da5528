"""Features before any training: principal components of the pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

MAX_SIDE = 16
"""Images are averaged down to at most this side first: the strongest components are coarse, and the cost is cubic."""


@dataclass(frozen=True)
class Components:
    """The strongest principal components of some images' pixels.

    Args:
        pca: fitted on the shrunk pixels.
        signs: float64 (D,), by which each component is multiplied so that its largest loading is positive.
    """

    pca: PCA
    signs: NDArray[np.float64]

    @classmethod
    def of(cls, images: NDArray[np.uint8], dim: int = 50) -> Components:
        """Those of ``images``, uint8 (N, S, S, C); fewer than ``dim`` where N or the number of pixels is smaller."""
        x = _shrunk(images).reshape(len(images), -1)
        pca = PCA(n_components=min(dim, *x.shape), random_state=0).fit(x)
        loadings = pca.components_
        signs = np.sign(loadings[np.arange(len(loadings)), np.abs(loadings).argmax(axis=1)])
        return cls(pca, np.where(signs == 0, 1.0, signs))

    def features(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Places of images of the same shape along the components, float32 (N, D)."""
        x = _shrunk(images).reshape(len(images), -1)
        return np.ascontiguousarray(self.pca.transform(x) * self.signs, np.float32)

    @staticmethod
    def block(side: int) -> int:
        """Side of the blocks of pixels that are averaged first, for images of that side."""
        return -(-side // MAX_SIDE)


def pca_features(images: NDArray[np.uint8], dim: int = 50, fitted_on: int | None = None) -> NDArray[np.float32]:
    """The strongest principal components of the images' pixels.

    Deterministic: each component's largest loading is made positive.

    Args:
        images: uint8 (N, S, S, C).
        dim: components; fewer where N or the number of pixels is smaller.
        fitted_on: how many of the images, from the first, the components are fitted on; None: all.

    Returns:
        float32 (N, min(dim, N, pixels)), centred, in units of the full pixel range; not whitened, so that distances are
        those of the images.
    """
    return Components.of(images[:fitted_on], dim).features(images)


def _shrunk(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Block means, float32 (N, s, s, C) in [0, 1], s at most MAX_SIDE; a rest that fills no block is cut off."""
    n, side, _, channels = images.shape
    block = Components.block(side)
    small = side // block
    cut = images[:, : small * block, : small * block]
    blocks = cut.reshape(n, small, block, small, block, channels)
    return np.asarray(blocks.mean(axis=(2, 4), dtype=np.float32) / np.float32(255.0), np.float32)
