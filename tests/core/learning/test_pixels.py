"""Principal components of the pixels."""

from __future__ import annotations

import numpy as np
import pytest

from pal_backend.core.learning.pixels import pca_features


@pytest.mark.parametrize("shape", [(60, 8, 8, 1), (60, 32, 32, 3), (60, 33, 33, 1)])
def test_features_have_the_dimensions_asked_for(shape: tuple[int, ...]) -> None:
    """float32 rows with mean zero, strongest component first."""
    features = pca_features(np.random.default_rng(0).integers(0, 256, shape, np.uint8), 10)
    assert (features.shape, features.dtype) == ((60, 10), np.float32)
    np.testing.assert_allclose(features.mean(axis=0), 0.0, atol=1e-5)
    assert (np.diff(features.std(axis=0)) <= 1e-5).all()


def test_few_samples_give_fewer_components() -> None:
    """There are never more components than samples."""
    assert pca_features(np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), np.uint8), 50).shape == (4, 4)


def test_full_components_keep_the_distances_of_the_images() -> None:
    """Components are not whitened: with all of them distances are those of the pixels in [0, 1]."""
    images = np.random.default_rng(1).integers(0, 256, (90, 6, 6, 1), np.uint8)
    features = pca_features(images, 36)
    x = images.reshape(90, -1) / 255.0
    assert np.linalg.norm(features[0] - features[7]) == pytest.approx(np.linalg.norm(x[0] - x[7]), rel=1e-4)


def test_signs_do_not_depend_on_the_order_of_the_images() -> None:
    """The largest loading of each component is positive, so permuted images give permuted features."""
    rng = np.random.default_rng(2)
    images = (rng.random((80, 8, 8, 1)) * np.linspace(20, 255, 64).reshape(8, 8, 1)).astype(np.uint8)
    order = rng.permutation(80)
    np.testing.assert_allclose(pca_features(images[order], 5), pca_features(images, 5)[order], atol=1e-3)
