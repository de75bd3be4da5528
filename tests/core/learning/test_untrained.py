"""Features of a network as it comes."""

from __future__ import annotations

import numpy as np
import torch

from pal_backend.core.learning.backbones import SmallConvNet
from pal_backend.core.learning.untrained import untrained


def test_columns_are_scaled_and_the_network_is_left_alone() -> None:
    """Mean 0 and standard deviation 1 over the pool, of the network's own features; its weights are as before."""
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 1), dtype=np.uint8)
    network = SmallConvNet(1, torch.Generator().manual_seed(0))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = untrained(images, network, device="cpu").features
    with torch.no_grad():
        raw = network(torch.from_numpy(images).permute(0, 3, 1, 2) / 255.0).numpy()
    np.testing.assert_allclose(found, (raw - raw.mean(axis=0)) / (raw.std(axis=0) + 1e-6), atol=1e-3)
    np.testing.assert_allclose(found.mean(axis=0), 0.0, atol=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_column_that_is_the_same_for_all_is_nothing() -> None:
    """No division by zero: the column says nothing."""
    network = SmallConvNet(1, torch.Generator().manual_seed(0))
    assert np.array_equal(
        untrained(np.zeros((5, 8, 8, 1), np.uint8), network, device="cpu").features, np.zeros((5, 128))
    )
