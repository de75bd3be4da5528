"""Random views of images: every image of a batch gets its own transformation, all of them computed at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate


@dataclass(frozen=True)
class Augmentation:
    """How far views may stray from the image; every amount is drawn uniformly and separately for each image.

    Mirroring is off in our own presets: it turns one thing into another wherever left and right matter (characters, signs,
    hands, most medical images), which costs far more than mirroring gains where they do not.
    """

    rotation: float = 0.0
    """Degrees, either way."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Zoom; below 1 the image is enlarged, so that only a part of it is seen."""
    stretch: float = 0.0
    """Relative change of width against height, either way; also how far it is sheared."""
    shift: float = 0.0
    """Share of the width, either way, along both axes."""
    whole: bool = False
    """Shift by whole pixels, so that nothing is interpolated: a crop of the padded image."""
    crop: tuple[float, float] = (1.0, 1.0)
    """Share of the area that a random resized crop keeps; its width over its height is between 3/4 and 4/3."""
    warp: float = 0.0
    """Smooth local displacement, share of the width."""
    jitter: float = 1.0
    """Probability that brightness, exposure, contrast, saturation and hue change."""
    brightness: float = 0.0
    """Added, share of the full range, either way."""
    exposure: float = 0.0
    contrast: float = 0.0
    """Factors, relative, either way."""
    saturation: float = 0.0
    hue: float = 0.0
    """Relative and in degrees, either way; colour images only."""
    grey: float = 0.0
    """Probability that colour is dropped."""
    blur: float = 0.0
    """Probability of a Gaussian blur of 0.1 to 2 pixels in an image of 32 (more in larger ones, in proportion)."""
    noise: float = 0.0
    """Standard deviation of the noise on each pixel, share of the full range, at most."""
    mirror: bool = False
    """Flip half of the views from left to right."""

    def mirrored(self) -> Augmentation:
        """The same, with mirroring."""
        return replace(self, mirror=True)

    @property
    def moves(self) -> bool:
        """Whether anything but mirroring moves pixels."""
        still = (0.0, (1.0, 1.0), 0.0, 0.0, (1.0, 1.0), 0.0)
        return (self.rotation, self.scale, self.stretch, self.shift, self.crop, self.warp) != still

    @property
    def recolours(self) -> bool:
        """Whether values of pixels change."""
        amounts = (self.brightness, self.exposure, self.contrast, self.saturation, self.hue, self.grey, self.noise)
        return any(amounts)


WEAK = Augmentation(
    rotation=10.0, scale=(0.9, 1.1), stretch=0.1, shift=0.06, brightness=0.05, contrast=0.1, saturation=0.1, hue=5.0
)
"""Small changes that nobody would call another thing; where answers or a good prior say what is alike."""

STRONG = Augmentation(
    rotation=20.0, scale=(0.75, 1.2), stretch=0.2, shift=0.12, warp=0.04, brightness=0.15, contrast=0.4,
    saturation=0.5, hue=25.0, grey=0.2, noise=0.05,
)  # fmt: skip
"""Where views are the main source of similarity."""

SIMCLR = Augmentation(
    crop=(0.08, 1.0), jitter=0.8, exposure=0.8, contrast=0.8, saturation=0.8, hue=72.0, grey=0.2, blur=0.5, mirror=True
)
"""Strong views of SimCLR and GPS-SSL (Chen et al. 2020, appendix A), for natural images."""

MOBY_WEAK = Augmentation(shift=4 / 32, whole=True, mirror=True)
"""Weak views of MoBYv2AL: flip, and a crop of the image padded by 4 pixels of 32."""

FLIP = Augmentation(mirror=True)
"""Mirroring alone: GPS-SSL's test of what a prior is worth without strong views."""

PRESETS: Mapping[str, Augmentation] = MappingProxyType(
    {"weak": WEAK, "strong": STRONG, "flip": FLIP, "simclr": SIMCLR, "moby-weak": MOBY_WEAK}
)
"""By the names that recipes use."""

_LUMA = (0.299, 0.587, 0.114)
_RATIO = math.log(4 / 3)
_BLUR = (0.1, 2.0)


class _Draws(NamedTuple):
    """Random numbers for each of ``of`` images, of which those of ``rows`` are needed; None is all."""

    generator: torch.Generator
    of: int
    rows: Tensor | None

    def columns(self, columns: int) -> Tensor:
        """Draws in [-1, 1], (columns, B)."""
        drawn = torch.rand(columns, self.of, device=self.generator.device, generator=self.generator)
        return (drawn if self.rows is None else drawn.index_select(1, self.rows)).mul(2.0).sub(1.0)

    def uniform(self, *shape: int) -> Tensor:
        """Draws in [0, 1), (B, *shape)."""
        return self.own(torch.rand(self.of, *shape, device=self.generator.device, generator=self.generator))

    def normal(self, *shape: int) -> Tensor:
        """Normal draws, (B, *shape)."""
        return self.own(torch.randn(self.of, *shape, device=self.generator.device, generator=self.generator))

    def own(self, drawn: Tensor) -> Tensor:
        """What is needed of something drawn for each image."""
        return drawn if self.rows is None else drawn.index_select(0, self.rows)


def views(
    images: Tensor,
    augmentation: Augmentation,
    generator: torch.Generator,
    *,
    of: int | None = None,
    rows: Tensor | None = None,
) -> Tensor:
    """One random view of each image.

    Args:
        images: float (B, C, S, S) in [0, 1], C 1 or 3.
        augmentation: how far to go.
        generator: on the device of the images.
        of, rows: where the images are a part of a batch, how many that has and which rows they are, int64 (B,): their
            views are those that they have in a call with the whole batch, and the generator ends up in the same state.

    Returns:
        float (B, C, S, S) in [0, 1]. What comes in from outside the image repeats its edge.
    """
    draws = _Draws(generator, len(images) if of is None else of, rows)
    if augmentation.moves:
        grid = _grid(images, augmentation, draws)
        images = grid_sample(images, grid, padding_mode="border", align_corners=False)
    elif augmentation.mirror:
        flipped = draws.uniform() < 0.5
        images = torch.where(flipped.view(-1, 1, 1, 1), images.flip(3), images)
    if augmentation.recolours:
        images = _recoloured(images, augmentation, draws).clamp(0.0, 1.0)
    return _blurred(images, augmentation.blur, draws) if augmentation.blur else images


def _grid(images: Tensor, augmentation: Augmentation, draws: _Draws) -> Tensor:
    """Where each pixel of the view comes from, (B, S, S, 2)."""
    draw = draws.columns(7)
    angle = draw[0] * math.radians(augmentation.rotation)
    low, high = augmentation.scale
    zoom = (low + high) / 2 + draw[1] * (high - low) / 2
    stretch, shear = 1.0 + draw[2] * augmentation.stretch, draw[3] * augmentation.stretch
    mirror = torch.where(draw[6] < 0, -1.0, 1.0) if augmentation.mirror else torch.ones_like(zoom)
    cos, sin = torch.cos(angle), torch.sin(angle)
    # Columns of rotation @ shear @ diag(zoom * stretch * mirror, zoom / stretch); shifts are in half-widths.
    across, down = zoom * stretch * mirror, zoom / stretch
    shift = draw[4:6] * 2.0 * augmentation.shift
    if augmentation.whole:
        pixel = 2.0 / images.shape[-1]
        shift = torch.round(shift / pixel) * pixel
    if augmentation.crop != (1.0, 1.0):
        width, height, place = _crop(augmentation.crop, draws)
        across, down, shift = across * width, down * height, shift + place
    a, b = cos * across, (cos * shear - sin) * down
    c, d = sin * across, (sin * shear + cos) * down
    theta = torch.stack([a, b, shift[0], c, d, shift[1]], dim=1).view(-1, 2, 3)
    grid = affine_grid(theta, list(images.shape), align_corners=False)
    if augmentation.warp:
        coarse = draws.uniform(2, 4, 4).mul(2.0).sub(1.0)
        fine = _bicubic(4, images.shape[-1], images.device)
        field = (fine @ coarse @ fine.T).permute(0, 2, 3, 1)
        grid = grid + field * (2.0 * augmentation.warp)
    return grid


def _crop(area: tuple[float, float], draws: _Draws) -> tuple[Tensor, Tensor, Tensor]:
    """A random resized crop of each image: width and height (B,) as shares of the image, its middle (2, B) in half-widths."""
    draw = draws.columns(4)
    low, high = area
    kept = (low + high) / 2 + draw[0] * (high - low) / 2
    ratio = torch.exp(draw[1] * _RATIO)
    width, height = (kept * ratio).sqrt().clamp(max=1.0), (kept / ratio).sqrt().clamp(max=1.0)
    return width, height, torch.stack([draw[2] * (1.0 - width), draw[3] * (1.0 - height)])


def _bicubic(coarse: int, fine: int, device: torch.device) -> Tensor:
    """The matrix (fine, coarse) of bicubic interpolation along one axis.

    Two products with it make an image of coarse values as fine as ``interpolate`` does, which is many times slower on
    thousands of tiny images.
    """
    unit = torch.eye(coarse, device=device).view(1, coarse, coarse, 1)
    return interpolate(unit, size=(fine, 1), mode="bicubic", align_corners=True)[0, :, :, 0].T


def _recoloured(images: Tensor, augmentation: Augmentation, draws: _Draws) -> Tensor:
    """Exposure, contrast, brightness and noise, and for colour images saturation and hue: one affine colour map for each
    image.
    """
    draw = draws.columns(6)
    if augmentation.jitter < 1.0:
        draw = draw * (draws.uniform() < augmentation.jitter)
    exposure = (1.0 + draw[5] * augmentation.exposure).view(-1, 1, 1, 1)
    contrast = (1.0 + draw[0] * augmentation.contrast).view(-1, 1, 1, 1) * exposure
    offset = (draw[1] * augmentation.brightness).view(-1, 1, 1, 1)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    if images.shape[1] == 3 and (augmentation.saturation or augmentation.hue or augmentation.grey):
        dropped = draws.uniform() < augmentation.grey
        images = torch.einsum("bij,bjyx->biyx", _colour_matrices(draw[2:4], dropped, augmentation), images)
    images = images * contrast + (mean * (exposure - contrast) + offset)
    if augmentation.noise:
        amount = draws.uniform(1, 1, 1) * augmentation.noise
        images = images + draws.normal(*images.shape[1:]) * amount
    return images


def _colour_matrices(draw: Tensor, dropped: Tensor, augmentation: Augmentation) -> Tensor:
    """Saturation and hue as 3 x 3 matrices, (B, 3, 3): a turn around the grey axis, then a mix with the grey value."""
    device = draw.device
    saturation = 1.0 + draw[0] * augmentation.saturation
    saturation = torch.where(dropped, torch.zeros_like(saturation), saturation)
    angle = draw[1] * math.radians(augmentation.hue)
    cos, sin = torch.cos(angle).view(-1, 1, 1), torch.sin(angle).view(-1, 1, 1)
    eye = torch.eye(3, device=device)
    # Rodrigues' formula for the axis (1, 1, 1) / sqrt(3).
    cross = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]], device=device) / math.sqrt(3.0)
    turn = cos * eye + sin * cross + (1.0 - cos) / 3.0
    luma = torch.tensor(_LUMA, device=device).expand(3, 3)
    s = saturation.view(-1, 1, 1)
    return (s * eye + (1.0 - s) * luma) @ turn


def _blurred(images: Tensor, probability: float, draws: _Draws) -> Tensor:
    """Some of the images under a Gaussian of their own width: two products with a matrix that mixes rows, or columns."""
    side = images.shape[-1]
    chosen = draws._replace(rows=None).uniform() < probability
    low, high = (sigma * side / 32 for sigma in _BLUR)
    every = torch.zeros(draws.of, device=images.device)
    every[chosen] = torch.rand(int(chosen.sum()), device=images.device, generator=draws.generator)
    rows = draws.own(chosen).nonzero().squeeze(1)
    sigma = low + (high - low) * draws.own(every).index_select(0, rows)
    places = torch.arange(side, device=images.device)
    distance = (places[:, None] - places[None, :]).square()
    mix = torch.exp(-distance / (2.0 * sigma.square().view(-1, 1, 1)))
    mix = (mix / mix.sum(dim=2, keepdim=True)).unsqueeze(1)
    return images.index_copy(0, rows, mix @ images.index_select(0, rows) @ mix.transpose(2, 3))
