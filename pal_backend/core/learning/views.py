"""Random views of images: every image of a batch gets its own transformation, all of them computed at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate


@dataclass(frozen=True)
class Augmentation:
    """How far views may stray from the image; every amount is drawn uniformly and separately for each image.

    Mirroring is off in both presets: it turns one thing into another wherever left and right matter (characters, signs,
    hands, most medical images), which costs far more than mirroring gains where they do not.
    """

    rotation: float
    """Degrees, either way."""
    scale: tuple[float, float]
    """Zoom; below 1 the image is enlarged, so that only a part of it is seen."""
    stretch: float
    """Relative change of width against height, either way; also how far it is sheared."""
    shift: float
    """Share of the width, either way, along both axes."""
    warp: float
    """Smooth local displacement, share of the width."""
    brightness: float
    contrast: float
    """Share of the full range and relative, either way."""
    saturation: float
    hue: float
    """Relative and in degrees, either way; colour images only."""
    grey: float
    """Probability that colour is dropped."""
    noise: float
    """Standard deviation of the noise on each pixel, share of the full range, at most."""
    mirror: bool = False
    """Flip half of the views from left to right."""

    def mirrored(self) -> Augmentation:
        """The same, with mirroring."""
        return replace(self, mirror=True)


WEAK = Augmentation(
    rotation=10.0, scale=(0.9, 1.1), stretch=0.1, shift=0.06, warp=0.0, brightness=0.05, contrast=0.1,
    saturation=0.1, hue=5.0, grey=0.0, noise=0.0,
)  # fmt: skip
"""Small changes that nobody would call another thing; where answers or a good prior say what is alike."""

STRONG = Augmentation(
    rotation=20.0, scale=(0.75, 1.2), stretch=0.2, shift=0.12, warp=0.04, brightness=0.15, contrast=0.4,
    saturation=0.5, hue=25.0, grey=0.2, noise=0.05,
)  # fmt: skip
"""Where views are the main source of similarity."""

PRESETS: Mapping[str, Augmentation] = MappingProxyType({"weak": WEAK, "strong": STRONG})
"""By the names that recipes use."""

_LUMA = (0.299, 0.587, 0.114)


def views(images: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """One random view of each image.

    Args:
        images: float (B, C, S, S) in [0, 1], C 1 or 3.
        augmentation: how far to go.
        generator: on the device of the images.

    Returns:
        float (B, C, S, S) in [0, 1]. What comes in from outside the image repeats its edge.
    """
    moved = grid_sample(images, _grid(images, augmentation, generator), padding_mode="border", align_corners=False)
    return _recoloured(moved, augmentation, generator).clamp(0.0, 1.0)


def _uniform(count: int, columns: int, like: Tensor, generator: torch.Generator) -> Tensor:
    """Draws in [-1, 1], (columns, count)."""
    return torch.rand(columns, count, device=like.device, generator=generator).mul(2.0).sub(1.0)


def _grid(images: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Where each pixel of the view comes from, (B, S, S, 2)."""
    draw = _uniform(len(images), 7, images, generator)
    angle = draw[0] * math.radians(augmentation.rotation)
    low, high = augmentation.scale
    zoom = (low + high) / 2 + draw[1] * (high - low) / 2
    stretch, shear = 1.0 + draw[2] * augmentation.stretch, draw[3] * augmentation.stretch
    mirror = torch.where(draw[6] < 0, -1.0, 1.0) if augmentation.mirror else torch.ones_like(zoom)
    cos, sin = torch.cos(angle), torch.sin(angle)
    # Rows of rotation @ shear @ diag(zoom * stretch * mirror, zoom / stretch); shifts are in half-widths.
    a, b = cos * zoom * stretch * mirror, (cos * shear - sin) * zoom / stretch
    c, d = sin * zoom * stretch * mirror, (sin * shear + cos) * zoom / stretch
    shift = draw[4:6] * 2.0 * augmentation.shift
    theta = torch.stack([a, b, shift[0], c, d, shift[1]], dim=1).view(-1, 2, 3)
    grid = affine_grid(theta, list(images.shape), align_corners=False)
    if augmentation.warp:
        coarse = torch.rand(len(images), 2, 4, 4, device=images.device, generator=generator).mul(2.0).sub(1.0)
        fine = _bicubic(4, images.shape[-1], images.device)
        field = (fine @ coarse @ fine.T).permute(0, 2, 3, 1)
        grid = grid + field * (2.0 * augmentation.warp)
    return grid


def _bicubic(coarse: int, fine: int, device: torch.device) -> Tensor:
    """The matrix (fine, coarse) of bicubic interpolation along one axis.

    Two products with it make an image of coarse values as fine as ``interpolate`` does, which is many times slower on
    thousands of tiny images.
    """
    unit = torch.eye(coarse, device=device).view(1, coarse, coarse, 1)
    return interpolate(unit, size=(fine, 1), mode="bicubic", align_corners=True)[0, :, :, 0].T


def _recoloured(images: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """Contrast, brightness and noise, and for colour images saturation and hue: one affine colour map for each image."""
    count, channels = images.shape[:2]
    draw = _uniform(count, 6, images, generator)
    contrast = (1.0 + draw[0] * augmentation.contrast).view(-1, 1, 1, 1)
    offset = (draw[1] * augmentation.brightness).view(-1, 1, 1, 1)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    if channels == 3:
        images = torch.einsum("bij,bjyx->biyx", _colour_matrices(draw[2:5], augmentation), images)
    images = (images - mean) * contrast + mean + offset
    if augmentation.noise:
        amount = ((draw[5] + 1.0) / 2.0 * augmentation.noise).view(-1, 1, 1, 1)
        images = images + torch.randn(images.shape, device=images.device, generator=generator) * amount
    return images


def _colour_matrices(draw: Tensor, augmentation: Augmentation) -> Tensor:
    """Saturation and hue as 3 x 3 matrices, (B, 3, 3): a turn around the grey axis, then a mix with the grey value."""
    device = draw.device
    saturation = 1.0 + draw[0] * augmentation.saturation
    saturation = torch.where((draw[1] + 1.0) / 2.0 < augmentation.grey, torch.zeros_like(saturation), saturation)
    angle = draw[2] * math.radians(augmentation.hue)
    cos, sin = torch.cos(angle).view(-1, 1, 1), torch.sin(angle).view(-1, 1, 1)
    eye = torch.eye(3, device=device)
    # Rodrigues' formula for the axis (1, 1, 1) / sqrt(3).
    cross = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]], device=device) / math.sqrt(3.0)
    turn = cos * eye + sin * cross + (1.0 - cos) / 3.0
    luma = torch.tensor(_LUMA, device=device).expand(3, 3)
    s = saturation.view(-1, 1, 1)
    return (s * eye + (1.0 - s) * luma) @ turn
