"""Near duplicates among small images."""

from __future__ import annotations

import io
import time
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits

from pal_backend.core.near import BITS, close_pairs, difference_hashes, near_duplicates

Pixels = NDArray[np.uint8]


def scenes(count: int, side: int, seed: int = 0) -> Pixels:
    """Smooth random pictures in colour, (count, side, side, 3): as unlike each other as photographs of different things."""
    rng = np.random.default_rng(seed)
    noise = gaussian_filter(rng.standard_normal((count, side, side, 3)), (0, side / 10, side / 10, 0), mode="wrap")
    spread = noise.std(axis=(1, 2), keepdims=True)
    return np.asarray(np.clip(128 + 60 * noise / spread, 0, 255), np.uint8)


def each(images: Pixels, change: Callable[[Image.Image], Image.Image], side: int = 32) -> Pixels:
    """The pictures, changed and made small as an ingest does."""
    made = [change(Image.fromarray(image)).resize((side, side), Image.Resampling.LANCZOS) for image in images]
    return np.stack([np.asarray(image) for image in made])


def compressed(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=40)
    return Image.open(buffer)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "compressed": compressed,
    "half the size": lambda image: image.resize((40, 40)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "a pixel off the edge": lambda image: image.crop((1, 1, 64, 64)),
}


@pytest.mark.parametrize("how", CHANGES)
def test_the_same_picture_in_other_ways_is_found(how: str) -> None:
    """Nine of ten at least, and nothing else with it."""
    originals = scenes(50, 64)
    images = np.concatenate([each(originals, lambda image: image), each(originals, CHANGES[how])])
    found = near_duplicates(images)
    assert (found[:50] == np.arange(50)).all()
    assert (found[50:] == np.arange(50)).mean() >= 0.9
    assert np.isin(found[50:] - np.arange(50), (0, 50)).all()


def test_pictures_of_one_thing_are_no_near_duplicates() -> None:
    """Digits by hand look alike, but nobody would take one for another copy of the other."""
    digits, classes = load_digits(return_X_y=True)
    images = (255 - digits.reshape(-1, 8, 8, 1) * 255 / 16).astype(np.uint8)
    found = near_duplicates(images)
    assert (found != np.arange(len(found))).sum() <= 10
    assert (classes[found] == classes).all()


def test_pairs_are_those_of_comparing_each_with_each() -> None:
    """On hashes with neighbours at all distances; rows with one hash are paired with the first of them."""
    rng = np.random.default_rng(1)
    hashes = np.repeat(rng.integers(0, 2**64, 150, dtype=np.uint64), 3)
    for row in range(len(hashes)):
        for bit in rng.integers(0, 64, rng.integers(0, 7)):
            hashes[row] ^= np.uint64(1) << np.uint64(bit)
    hashes = np.concatenate([hashes, hashes[:20]])
    distance = np.bitwise_count(hashes[:, None] ^ hashes[None, :])
    first = [int(np.flatnonzero(hashes == one)[0]) for one in hashes]
    expected = {
        (a, b)
        for a, b in zip(*np.nonzero(np.triu(distance <= BITS, 1)), strict=True)
        if (first[a] == a and first[b] == b) or (first[b] == a)
    }
    left, right = close_pairs(hashes)
    assert set(zip(left.tolist(), right.tolist(), strict=True)) == expected


def test_small_steps_do_not_join_what_is_not_alike() -> None:
    """Each near duplicate is near the one that stands for it, however many lie between."""
    first, last = scenes(2, 32)
    steps = np.stack([(first * (1 - t) + last * t).astype(np.uint8) for t in np.linspace(0, 1, 60)])
    found = near_duplicates(steps)
    assert len(np.unique(found)) > 2
    assert (found[found] == found).all()


def test_plain_pictures_are_one_only_of_one_brightness() -> None:
    """They have no pattern by which to tell them apart."""
    images = np.zeros((4, 16, 16, 1), np.uint8)
    images[1:] += np.array([0, 40, 200], np.uint8)[:, None, None, None]
    assert near_duplicates(images).tolist() == [0, 0, 2, 3]
    assert near_duplicates(images[:1]).tolist() == [0]


def test_a_hundred_thousand_hashes_take_seconds_also_where_most_are_alike() -> None:
    """Never N x N: also where half of them fall into few buckets."""
    rng = np.random.default_rng(2)
    hashes = rng.integers(0, 2**64, 100_000, dtype=np.uint64)
    hashes[::2] &= np.uint64(0xFF00FF)
    began = time.perf_counter()
    left, _ = close_pairs(hashes)
    assert time.perf_counter() - began < 20
    assert len(left) < 40 * len(hashes)


def test_hashes_follow_their_definition() -> None:
    """A picture that grows brighter to the right is all ones, its mirror all zeros."""
    ramp = np.broadcast_to(np.linspace(0, 255, 36).astype(np.uint8)[None, :, None], (36, 36, 3))
    assert difference_hashes(np.stack([ramp, ramp[:, ::-1]])).tolist() == [2**64 - 1, 0]
