"""Networks from images to features, and the projector that only training uses."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

import torch
from torch import Tensor, nn

MakeBackbone = Callable[[int, int, torch.Generator], nn.Module]
"""(channels, side, generator) to a :class:`Backbone` with initial weights, on the CPU."""


class Tuning(StrEnum):
    """How much of a network learns."""

    FULL = "full"
    """All weights."""
    HEAD = "head"
    """A linear map of its features; the network stays as it is."""
    FROZEN = "frozen"
    """Nothing: its features are taken as they come."""


class Backbone(Protocol):
    """What training and embedding need of a network."""

    features: int
    """Width D of its output."""

    def __call__(self, images: Tensor) -> Tensor:
        """Features of images: float (B, C, S, S) in [0, 1] to float (B, D)."""
        ...


class SmallConvNet(nn.Module):
    """Four convolutions for tiny images, to be trained on a CPU in about a minute: (B, C, S, S) to (B, 128).

    Group normalisation rather than batch normalisation: batches are not uniform (see ``batches.py``), so statistics over
    them would lean towards samples that were asked about, and an image's features would depend on its neighbours in the
    batch.

    Args:
        channels: 1 for grey images, 3 for colour.
        generator: draws the initial weights, on the CPU.
    """

    features = 128

    def __init__(self, channels: int, generator: torch.Generator) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_block(channels, 16, kernel=5, stride=2),
            *_block(16, 32, kernel=3, stride=2),
            *_block(32, 64, kernel=3, stride=2),
            *_block(64, self.features, kernel=3, stride=1),
        )
        initialise(self, generator)

    def forward(self, images: Tensor) -> Tensor:
        """Features of images in [0, 1]."""
        features: Tensor = self.body(images * 4.0 - 2.0).mean(dim=(2, 3))
        return features


def small(channels: int, side: int, generator: torch.Generator) -> nn.Module:
    """:class:`SmallConvNet`, for images of any side."""
    return SmallConvNet(channels, generator)


class Projector(nn.Module):
    """Features (B, D) to the embeddings (B, K) on which the loss is taken; thrown away after training."""

    def __init__(self, features: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, width))
        initialise(self, generator)

    def forward(self, features: Tensor) -> Tensor:
        """Embeddings of features."""
        embeddings: Tensor = self.layers(features)
        return embeddings


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw all weights anew from ``generator``: the same seed gives the same network, whatever ran before."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _block(inputs: int, outputs: int, *, kernel: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.GroupNorm(8, outputs),
        nn.ReLU(),
    ]
