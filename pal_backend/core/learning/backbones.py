"""Networks from images to features, and the projector that only training uses.

Pure: a network is made here or handed in. :mod:`pal_backend.backbones` makes those that come from libraries and files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from pal_backend.core.choice import Tuning
from pal_backend.errors import ConfigError

__all__ = [
    "Backbone",
    "Given",
    "MakeBackbone",
    "Projector",
    "SmallConvNet",
    "Tuning",
    "checked",
    "given",
    "initialise",
    "small",
]

NEAR_ZERO = 0.1
"""Scale of the last layer where embeddings are to begin near 0."""
MakeBackbone = Callable[[int, int, torch.Generator], nn.Module]
"""(channels, side, generator) to a :class:`Backbone` with initial weights, on the CPU."""


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


class Given(nn.Module):
    """Features made elsewhere stand in the place of images: (B, D) to (B, D), as they are."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features

    def forward(self, features: Tensor) -> Tensor:
        """The features."""
        return features


def given(channels: int, side: int, generator: torch.Generator) -> nn.Module:
    """:class:`Given`, for rows of ``channels`` numbers."""
    return Given(channels)


def _width(network: nn.Module) -> int:
    """The width that a network states, or 0 if it states none."""
    found = getattr(network, "features", None)
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else 0


def checked(make: Callable[[int, int, torch.Generator], object], about: str) -> MakeBackbone:
    """``make``, whose networks are tried on two images before anything is trained.

    Args:
        make: makes a network.
        about: its name, for the error.

    Raises (when it makes one):
        ConfigError: it is no network, states no width, fails, or does not give float (2, features), all finite.
    """

    def made(channels: int, side: int, generator: torch.Generator) -> nn.Module:
        network = make(channels, side, generator)
        _try(network, channels, side, about)
        return cast("nn.Module", network)

    return made


@torch.no_grad()
def _try(network: object, channels: int, side: int, about: str) -> None:
    if not isinstance(network, nn.Module):
        raise _unfit(about, f"is of type {type(network).__name__}", "a torch.nn.Module", "return one")
    width = _width(network)
    if not width:
        found = getattr(network, "features", None)
        raise _unfit(
            about,
            f"has .features {found!r:.40}" if found is not None else "has no .features",
            "the width of its output, a whole number above 0",
            "set self.features",
        )
    images = torch.rand(2, channels, side, side, generator=torch.Generator().manual_seed(0))
    training = network.training
    try:
        found = network.eval()(images)
    except Exception as problem:  # a network may fail in any way
        words = f"{type(problem).__name__}: {problem}"
        raise _unfit(
            about, f"fails on images of {tuple(images.shape)}: {words:.300}", f"features (2, {width})", "mend it"
        ) from problem
    finally:
        network.train(training)
    if not isinstance(found, Tensor) or found.shape != (2, width) or not found.is_floating_point():
        shown = f"{found.dtype} {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
        raise _unfit(
            about, f"gives {shown} for images of {tuple(images.shape)}", f"floats of (2, {width})", "pool and flatten"
        )
    if not bool(found.isfinite().all()):
        raise _unfit(about, "gives features that are not finite", "finite numbers", "see its weights")


def _unfit(about: str, found: str, expected: str, what_to_do: str) -> ConfigError:
    return ConfigError(f"the backbone {about} {found}; expected {expected}; {what_to_do} (docs/backbones.md)")


class Projector(nn.Module):
    """Features (B, D) to the embeddings (B, K) on which the loss is taken; thrown away after training.

    Args:
        features: D.
        width: K.
        generator: draws the initial weights.
        normalised: with batch normalisation, and embeddings that begin near 0. A loss to which the scale of embeddings
            matters starts at their common mean otherwise, and stays there: all of them the same.
    """

    def __init__(self, features: int, width: int, generator: torch.Generator, *, normalised: bool = False) -> None:
        super().__init__()
        norms = [nn.BatchNorm1d(features)] if normalised else []
        self.layers = nn.Sequential(nn.Linear(features, features), *norms, nn.ReLU(), nn.Linear(features, width))
        initialise(self, generator)
        if normalised:
            with torch.no_grad():
                cast("nn.Linear", self.layers[-1]).weight.mul_(NEAR_ZERO)

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
