"""Random views of images."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms.functional import gaussian_blur

from pal_backend.core.learning.views import (
    FLIP,
    MOBY_WEAK,
    PRESETS,
    SIMCLR,
    STRONG,
    WEAK,
    Augmentation,
    _bicubic,
    views,
)

STILL = Augmentation()


def generator(seed: int = 0) -> torch.Generator:
    """A generator on the CPU."""
    return torch.Generator().manual_seed(seed)


def smooth(channels: int, count: int = 1, side: int = 16) -> Tensor:
    """Images that rise from left to right and, less, from top to bottom; (count, channels, side, side) in [0, 1]."""
    across = torch.linspace(0.1, 0.7, side).expand(side, side)
    image = torch.stack([across + 0.2 * c / channels * across.T for c in range(channels)])
    return image.expand(count, channels, side, side).clone()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("augmentation", [*PRESETS.values(), STRONG.mirrored()])
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


@pytest.mark.parametrize("name", PRESETS)
def test_a_part_of_a_batch_gets_the_views_it_has_in_the_whole(name: str) -> None:
    """To the last bit, and the generator goes on from the same place."""
    images, rows = smooth(3, 20), torch.arange(1, 20, 3)
    first, second = generator(3), generator(3)
    whole = views(images, PRESETS[name], first)
    part = views(images[rows], PRESETS[name], second, of=20, rows=rows)
    assert torch.equal(part, whole[rows])
    assert torch.equal(first.get_state(), second.get_state())


def test_our_presets_never_mirror_and_mirroring_flips_half() -> None:
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


def test_flipping_alone_gives_the_image_or_its_mirror_image_exactly() -> None:
    """No pixel is interpolated."""
    image = torch.rand(1, 3, 8, 8, generator=generator()).expand(40, 3, 8, 8)
    seen = views(image, FLIP, generator())
    plain, flipped = (seen == image).all(dim=(1, 2, 3)), (seen == image.flip(3)).all(dim=(1, 2, 3))
    assert bool((plain | flipped).all())
    assert 8 < int(flipped.sum()) < 32


def test_a_crop_of_the_padded_image_moves_by_whole_pixels() -> None:
    """Every row and column of the view is one of the image, up to 4 of 32 pixels away."""
    image = torch.arange(32.0).div(32).expand(1, 1, 32, 32).expand(60, 1, 32, 32)
    seen = views(image, dataclasses.replace(MOBY_WEAK, mirror=False), generator())
    moved = ((seen[:, 0, 16, 16] - image[:, 0, 16, 16]) * 32).round(decimals=3)
    assert set(moved.tolist()) <= set(range(-4, 5))
    assert len(set(moved.tolist())) > 6


def test_random_resized_crops_keep_the_share_of_the_area_asked_for() -> None:
    """The slopes of a rising image tell width and height of each crop: areas in the range, ratios within 3/4 to 4/3."""
    side = 32
    across = torch.linspace(0, 1, side).expand(side, side)
    image = torch.stack([across, across.T, across * 0]).expand(400, 3, side, side)
    seen = views(image, Augmentation(crop=(0.25, 0.5)), generator())
    width = (seen[:, 0, 16, 20] - seen[:, 0, 16, 10]) * (side - 1) / 10
    height = (seen[:, 1, 20, 16] - seen[:, 1, 10, 16]) * (side - 1) / 10
    area, ratio = width * height, width / height
    assert 0.249 < float(area.min()) < 0.26
    assert 0.48 < float(area.max()) < 0.501
    assert 0.749 < float(ratio.min()) < 0.78
    assert 1.28 < float(ratio.max()) < 1.334


def test_jitter_leaves_alone_as_many_images_as_it_should() -> None:
    """With probability .8 a fifth of the views keep their colours."""
    image = smooth(3, 500)
    seen = views(image, Augmentation(jitter=0.8, exposure=0.4, contrast=0.4, saturation=0.4, hue=36.0), generator())
    untouched = ((seen - image).abs().amax(dim=(1, 2, 3)) < 1e-6).float().mean()
    assert 0.14 < float(untouched) < 0.26


def test_exposure_multiplies_and_contrast_keeps_the_mean() -> None:
    """The formulas of torchvision's brightness and contrast factors, before anything is cut off at black and white."""
    image = smooth(1, 50) * 0.5
    lighter = views(image, Augmentation(exposure=0.3), generator())
    factor = lighter / image
    torch.testing.assert_close(factor, factor[:, :, :1, :1].expand_as(factor), atol=1e-4, rtol=0)
    assert 0.69 < float(factor.min()) < 0.75
    assert 1.25 < float(factor.max()) < 1.31
    harder = views(image, Augmentation(contrast=0.3), generator())
    torch.testing.assert_close(harder.mean(dim=(1, 2, 3)), image.mean(dim=(1, 2, 3)), atol=1e-5, rtol=0)
    assert float((harder - image).abs().max()) > 0.02


def test_blur_matches_torchvision_inside_the_image() -> None:
    """A point spreads as a Gaussian of some width between 0.1 and 2 pixels, half of the images staying sharp."""
    point = torch.zeros(300, 1, 32, 32)
    point[:, 0, 16, 16] = 1.0
    seen = views(point, Augmentation(blur=0.5), generator())
    blurred = seen[:, 0, 16, 16] < 1.0
    assert 0.4 < float(blurred.float().mean()) < 0.6
    one = seen[blurred][int(seen[blurred, 0, 16, 16].argmin())]
    sigma = float((-1.0 / (2.0 * torch.log(one[0, 16, 17] / one[0, 16, 16]))).sqrt())
    reference = gaussian_blur(point[0], [31, 31], [sigma, sigma])
    torch.testing.assert_close(one, reference, atol=1e-4, rtol=0)
    assert 1.5 < sigma < 2.0


def test_grey_views_come_as_often_as_asked() -> None:
    """SimCLR's strong views lose their colour one time in five."""
    image = torch.rand(1, 3, 16, 16, generator=generator()).expand(500, 3, 16, 16)
    seen = views(image, SIMCLR, generator())
    grey = ((seen.amax(dim=1) - seen.amin(dim=1)).amax(dim=(1, 2)) < 1e-5).float().mean()
    assert 0.14 < float(grey) < 0.26
