"""Random views of images."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from pal_backend.core.learning.views import STRONG, WEAK, Augmentation, _bicubic, views

STILL = Augmentation(
    rotation=0, scale=(1.0, 1.0), stretch=0, shift=0, warp=0, brightness=0, contrast=0, saturation=0, hue=0, grey=0, noise=0
)  # fmt: skip


def generator(seed: int = 0) -> torch.Generator:
    """A generator on the CPU."""
    return torch.Generator().manual_seed(seed)


def smooth(channels: int, count: int = 1, side: int = 16) -> Tensor:
    """Images that rise from left to right and, less, from top to bottom; (count, channels, side, side) in [0, 1]."""
    across = torch.linspace(0.1, 0.7, side).expand(side, side)
    image = torch.stack([across + 0.2 * c / channels * across.T for c in range(channels)])
    return image.expand(count, channels, side, side).clone()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("augmentation", [WEAK, STRONG, STRONG.mirrored()])
def test_views_keep_shape_and_range(channels: int, augmentation: Augmentation) -> None:
    """Grey and colour images come out as they came in, in [0, 1], without NaN."""
    images = torch.rand(8, channels, 12, 12, generator=generator())
    seen = views(images, augmentation, generator())
    assert seen.shape == images.shape
    assert float(seen.min()) >= 0.0
    assert float(seen.max()) <= 1.0


@pytest.mark.parametrize("channels", [1, 3])
def test_no_augmentation_gives_the_image_itself(channels: int) -> None:
    """With every amount at zero nothing moves and no colour changes."""
    images = smooth(channels, 3)
    torch.testing.assert_close(views(images, STILL, generator()), images, atol=1e-5, rtol=0)


def test_every_image_of_a_batch_gets_its_own_transformation() -> None:
    """Equal images give different views: one set of parameters for a whole batch would teach nothing."""
    seen = views(smooth(3, 16), WEAK, generator())
    distances = torch.cdist(seen.flatten(1), seen.flatten(1))
    assert float(distances[~torch.eye(16, dtype=torch.bool)].min()) > 0.01


def test_the_same_seed_gives_the_same_views() -> None:
    """Randomness comes from the generator alone."""
    images = smooth(3, 4)
    first, second, other = (views(images, STRONG, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_presets_never_mirror_and_mirroring_flips_half() -> None:
    """An image that rises to the right always does, unless mirroring is asked for."""

    def rising(augmentation: Augmentation) -> float:
        seen = views(smooth(1, 200), augmentation, generator())
        return float((seen[:, 0, :, -1].mean(dim=1) > seen[:, 0, :, 0].mean(dim=1)).float().mean())

    assert rising(WEAK) == rising(STRONG) == 1.0
    assert 0.35 < rising(WEAK.mirrored()) < 0.65


def test_a_mirrored_still_image_is_its_mirror_image() -> None:
    """Mirroring alone gives either the image or its exact mirror image."""
    image = torch.rand(1, 1, 8, 8, generator=generator()).expand(20, 1, 8, 8)
    seen = views(image, STILL.mirrored(), generator())
    plain = (seen - image).abs().amax(dim=(1, 2, 3)) < 1e-5
    flipped = (seen - image.flip(3)).abs().amax(dim=(1, 2, 3)) < 1e-5
    assert bool((plain | flipped).all())
    assert 0 < int(flipped.sum()) < 20


def test_what_comes_in_from_outside_repeats_the_edge() -> None:
    """A plain image stays plain however it is moved: no dark corners."""
    seen = views(
        torch.full((10, 1, 12, 12), 0.9), dataclasses.replace(STRONG, brightness=0, contrast=0, noise=0), generator()
    )
    torch.testing.assert_close(seen, torch.full_like(seen, 0.9), atol=1e-4, rtol=0)


def test_the_warp_field_matches_reference_interpolation() -> None:
    """Two small products give what torch's bicubic interpolation gives."""
    coarse = torch.rand(5, 2, 4, 4, generator=generator())
    fine = _bicubic(4, 24, coarse.device)
    reference = interpolate(coarse, size=(24, 24), mode="bicubic", align_corners=True)
    torch.testing.assert_close(fine @ coarse @ fine.T, reference, atol=1e-5, rtol=0)


def test_dropping_colour_leaves_equal_channels() -> None:
    """With the probability of grey at one no colour is left."""
    seen = views(smooth(3, 5), dataclasses.replace(STILL, grey=1.0), generator())
    assert float((seen.amax(dim=1) - seen.amin(dim=1)).max()) < 1e-5


def test_a_turn_of_hue_keeps_grey_and_moves_colour() -> None:
    """The turn is around the grey axis."""
    turning = dataclasses.replace(STILL, hue=60.0)
    grey = torch.full((4, 3, 8, 8), 0.5)
    torch.testing.assert_close(views(grey, turning, generator()), grey, atol=1e-5, rtol=0)
    red = torch.zeros(4, 3, 8, 8)
    red[:, 0] = 0.6
    assert float((views(red, turning, generator()) - red).abs().amax()) > 0.05
