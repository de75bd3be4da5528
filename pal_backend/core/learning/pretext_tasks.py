"""Pretext tasks: what a network can learn from images alone, and how badly it does on each of them."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate, normalize

from pal_backend.core.learning.autoencoder import SIDE, Autoencoder
from pal_backend.core.learning.backbones import Backbone, MakeBackbone, Projector, initialise
from pal_backend.core.learning.losses.simclr import simclr
from pal_backend.core.learning.views import STRONG, views

TURNS = 4
PATCH = 8
"""Side in pixels, of 32, of what is masked at once."""
PAIRS = 4
"""Pairs of views by which a sample's alignment is judged."""
FLAT = 1e-3
"""Added to the variance of a patch, pixels in [0, 1]: else the noise of an empty patch would count like a drawing."""
TEMPERATURE = 0.5


class Task(Protocol):
    """A pretext task with its network. Images are float (B, C, S, S) in [0, 1]; ``noise`` is on their device."""

    def loss(self, images: Tensor, noise: torch.Generator) -> Tensor:
        """What is minimised, shape ()."""
        ...

    def losses(self, images: Tensor, noise: torch.Generator) -> Tensor:
        """How badly each sample is done, float (B,), >= 0."""
        ...

    def optimiser(self) -> torch.optim.Optimizer:
        """As the task's source has it; the learning rate is its highest."""
        ...


class Rotation(nn.Module):
    r"""Which way up? By 0, 90, 180 or 270 degrees, all four in one step.

    .. math:: \ell_i = \frac14 \sum_{r=0}^{3} -\log p(r \mid \mathrm{rot}_{90 r}(x_i))

    Source: Yi et al. 2022 (arXiv 2201.07459), section 3, after Gidaris et al. 2018 (arXiv 1803.07728)
    """

    def __init__(self, channels: int, side: int, backbone: MakeBackbone, generator: torch.Generator) -> None:
        super().__init__()
        self.network: Backbone = backbone(channels, side, generator)  # type: ignore[assignment]
        self.head = nn.Linear(self.network.features, TURNS)
        initialise(self.head, generator)

    def loss(self, images: Tensor, noise: torch.Generator) -> Tensor:
        """Mean of :meth:`losses`."""
        return self.losses(images, noise).mean()

    def losses(self, images: Tensor, noise: torch.Generator) -> Tensor:
        """Mean cross-entropy over the four rotations of each image."""
        turned = torch.cat([images.rot90(turn, (2, 3)) for turn in range(TURNS)])
        turns = torch.arange(TURNS, device=images.device).repeat_interleave(len(images))
        each = cross_entropy(self.head(self.network(turned)).float(), turns, reduction="none")
        return each.view(TURNS, -1).mean(dim=0)

    def optimiser(self) -> torch.optim.Optimizer:
        """SGD as in PT4AL."""
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)


class ViewAlignment(nn.Module):
    r"""How far apart are two views of one image? For pools where any rotation is as good as another.

    The network learns by NT-Xent on two views; a sample's loss is its alignment, a mean over pairs of views,

    .. math:: \ell_i = \| \hat z_i - \hat z_i' \|^2 = 2 - 2 \hat z_i \cdot \hat z_i'

    Source: Chen et al. 2020 (arXiv 2002.05709), Eq. 1; the alignment loss of Wang and Isola 2020 (arXiv 2005.10242). As a
    pretext task of PT4AL it is ours.
    """

    def __init__(self, channels: int, side: int, backbone: MakeBackbone, generator: torch.Generator) -> None:
        super().__init__()
        self.network: Backbone = backbone(channels, side, generator)  # type: ignore[assignment]
        self.projector = Projector(self.network.features, self.network.features, generator)

    def loss(self, images: Tensor, noise: torch.Generator) -> Tensor:
        """NT-Xent of the batch."""
        rows = torch.arange(2 * len(images), device=images.device)
        partners = rows.roll(len(images))
        z = torch.cat(self._pair(images, noise))
        return simclr(z, rows, partners, torch.ones(len(rows), device=z.device), temperature=TEMPERATURE)

    def losses(self, images: Tensor, noise: torch.Generator) -> Tensor:
        """Mean squared distance between two views' embeddings of length 1."""
        found = torch.zeros(len(images), device=images.device)
        for _ in range(PAIRS):
            a, b = self._pair(images, noise)
            found += (a - b).square().sum(dim=1) / PAIRS
        return found

    def optimiser(self) -> torch.optim.Optimizer:
        """AdamW as in our recipes."""
        return torch.optim.AdamW(self.parameters(), lr=2e-3, weight_decay=1e-4)

    def _pair(self, images: Tensor, noise: torch.Generator) -> tuple[Tensor, Tensor]:
        z = normalize(self.projector(self.network(views(images.repeat(2, 1, 1, 1), STRONG, noise))).float(), dim=1)
        return z[: len(images)], z[len(images) :]


class MaskedPatches(nn.Module):
    r"""What stood in the patches that were masked? For textures, microscopy, and what looks alike from all sides.

    Half of the 16 patches are grey; an autoencoder restores them,

    .. math:: \ell_i = \mathrm{mean}_{p\ \text{masked}}\, \| \bar x_{ip} - d(e(x_i \odot m))_p \|^2 / |p|

    with :math:`\bar x_{ip}` the patch brought to mean 0 and deviation 1. While learning, the masked half is drawn anew;
    a sample is judged on one half and then on the other, so that every patch counts once.

    Source: He et al. 2022 (arXiv 2111.06377), section 3, with normalised pixels; theirs is a transformer, masks three
    quarters and knows no floor for empty patches. As a pretext task of PT4AL it is ours.
    """

    def __init__(self, channels: int, side: int, backbone: MakeBackbone, generator: torch.Generator) -> None:
        super().__init__()
        self.network = Autoencoder(channels, generator)

    def loss(self, images: Tensor, noise: torch.Generator) -> Tensor:
        """Mean over the masked patches of all images."""
        x = _sized(images)
        masked = self._half(x, noise)
        return (self._errors(x, masked) * masked).sum() / masked.sum()

    def losses(self, images: Tensor, noise: torch.Generator) -> Tensor:
        """Mean over all patches of each image, each while it was masked."""
        x = _sized(images)
        masked = self._half(x, noise)
        first, second = self._errors(x, masked), self._errors(x, ~masked)
        return torch.where(masked, first, second).mean(dim=(1, 2))

    def optimiser(self) -> torch.optim.Optimizer:
        """Adam as for the autoencoder of the prior."""
        return torch.optim.Adam(self.parameters(), lr=1e-3)

    def _half(self, x: Tensor, noise: torch.Generator) -> Tensor:
        """Which patches are masked, bool (B, P, P): half of them, drawn for each image."""
        across = SIDE // PATCH
        drawn = torch.rand(len(x), across * across, device=x.device, generator=noise)
        return (drawn.argsort(dim=1) < across * across // 2).view(-1, across, across)

    def _errors(self, x: Tensor, masked: Tensor) -> Tensor:
        """Mean squared error of each patch, (B, P, P), where the masked ones are not seen."""
        hidden = masked.repeat_interleave(PATCH, 1).repeat_interleave(PATCH, 2)[:, None]
        patches, restored = _patches(x), _patches(self.network(torch.where(hidden, 0.5, x)))
        deviation = (patches.var(dim=-1, correction=0, keepdim=True) + FLAT).sqrt()
        return ((patches - patches.mean(dim=-1, keepdim=True)) / deviation - restored).square().mean(dim=-1)


def _sized(images: Tensor) -> Tensor:
    if images.shape[-1] == SIDE:
        return images
    return interpolate(images, size=(SIDE, SIDE), mode="bilinear", antialias=True)


def _patches(x: Tensor) -> Tensor:
    """(B, C, 32, 32) to (B, P, P, numbers of a patch)."""
    return x.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH).permute(0, 2, 3, 1, 4, 5).flatten(3)
