"""Which space a rule's neighbours are taken in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import Tensor, nn

from pal_backend.core.learning.autoencoder import train_autoencoder
from pal_backend.core.learning.pixels import pca_features
from pal_backend.core.learning.positives import positives
from pal_backend.core.learning.prior import backbone_features, prior_neighbours
from pal_backend.core.recipes import NeighbourRule
from pal_backend.errors import InputError
from tests.core.learning.test_autoencoder import bars

IMAGES = bars(40, 8)
FEATURES = np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)


class Mean(nn.Module):
    """A network whose features are the mean colour, times a weight that is drawn."""

    features = 3

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3, generator=generator) + 0.5)

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3)) * self.weight


def mean(channels: int, side: int, generator: torch.Generator) -> nn.Module:
    assert (channels, side) == (3, 8)
    return Mean(generator)


def neighbours(space: str, **more: Any) -> sparse.csr_array:
    rule = NeighbourRule(space=space, k=3)
    return prior_neighbours(rule, IMAGES, FEATURES, backbone=mean, seed=0, device=torch.device("cpu"), **more)


@pytest.mark.parametrize("space", ["version", "pca", "autoencoder", "backbone"])
def test_each_space_gives_its_own_neighbours(space: str) -> None:
    """The neighbours are those of the features that the name promises."""
    features = {
        "version": lambda: FEATURES,
        "pca": lambda: pca_features(IMAGES),
        "autoencoder": lambda: train_autoencoder(IMAGES, seed=0).features(IMAGES),
        "backbone": lambda: backbone_features(IMAGES, mean, seed=0, device=torch.device("cpu")),
    }[space]()
    assert (neighbours(space) != positives(features, NeighbourRule(k=3))).nnz == 0


def test_without_a_space_there_is_no_neighbour() -> None:
    """The rule "none" leaves samples their own views."""
    found = neighbours("none")
    assert (found.shape, found.nnz, found.dtype) == ((40, 40), 0, np.float32)


def test_a_network_is_compared_by_the_angle() -> None:
    """Rows have length 1, in the order of the images, and blocks are reported."""
    told: list[dict[str, Any]] = []
    found = backbone_features(IMAGES, mean, seed=3, device=torch.device("cpu"), progress=told.append)
    weight = Mean(torch.Generator().manual_seed(3)).weight.detach().numpy()
    expected = IMAGES.mean(axis=(1, 2)) * weight
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)
    assert told == [{"done": 40, "of": 40}]


def test_the_autoencoder_tells_how_far_it_is() -> None:
    """Progress goes through to who asked for neighbours, and so does the wish to stop."""
    told: list[dict[str, Any]] = []
    neighbours("autoencoder", progress=told.append, should_stop=lambda: len(told) == 2)
    assert [state["epoch"] for state in told] == [1, 2]


def test_an_unknown_space_is_refused() -> None:
    """The message lists those there are."""
    with pytest.raises(InputError, match="expected one of: version, pca, autoencoder, backbone, none"):
        neighbours("clip")
