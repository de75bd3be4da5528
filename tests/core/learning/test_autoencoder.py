"""The autoencoder whose bottleneck is a prior space."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pal_backend.core.learning.autoencoder import FEATURES, train_autoencoder


def bars(count: int, side: int = 16, channels: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    """Images of one bright bar each, at a random place and of a random width."""
    rng = np.random.default_rng(seed)
    images = np.zeros((count, side, side, channels), np.uint8)
    for image, start, width in zip(images, rng.integers(0, side - 4, count), rng.integers(1, 5, count), strict=True):
        image[:, start : start + width] = rng.integers(80, 256, channels)
    return images


def test_it_learns_to_restore_images() -> None:
    """The error falls below that of the mean image, on images it has not seen as well."""
    images, others = bars(512, 32), bars(64, 32, seed=1)
    told: list[dict[str, Any]] = []
    network = train_autoencoder(images, seed=0, epochs=12, progress=told.append)
    assert [state["epoch"] for state in told] == list(range(1, 13))
    assert told[-1]["loss"] < told[0]["loss"]
    with torch.inference_mode():
        x = torch.from_numpy(others).permute(0, 3, 1, 2).float() / 255
        error = float(((network(x) - x) ** 2).mean())
    assert error < 0.7 * float((((others - images.mean(axis=0)) / 255.0) ** 2).mean())


@pytest.mark.parametrize(("side", "channels"), [(8, 1), (32, 3), (50, 1)])
def test_features_of_any_side(side: int, channels: int) -> None:
    """Grey and colour images of any side give finite float32 features of one width."""
    images = bars(20, side, channels)
    features = train_autoencoder(images, seed=0, epochs=1).features(images)
    assert (features.shape, features.dtype) == ((20, FEATURES), np.float32)
    assert np.isfinite(features).all()


def test_the_same_seed_gives_the_same_bits() -> None:
    """The seed decides everything; another one gives other features."""
    images = bars(60)
    first, again, other = (train_autoencoder(images, seed=seed, epochs=2).features(images) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_it_stops_when_asked() -> None:
    """Asked to stop in the second epoch it gives what it has, and reports no epoch it did not finish."""
    told: list[dict[str, Any]] = []
    network = train_autoencoder(bars(60), seed=0, epochs=50, progress=told.append, should_stop=lambda: len(told) > 0)
    assert len(told) == 1
    assert network.features(bars(60)).shape == (60, FEATURES)


def test_no_images_have_no_features() -> None:
    """Features of an empty pool are an empty array."""
    assert train_autoencoder(bars(4), seed=0, epochs=1).features(bars(0)).shape == (0, FEATURES)
