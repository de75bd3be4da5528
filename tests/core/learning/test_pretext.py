"""Pretext tasks: what their losses are, that they say which sample is hard, and the slips of the released code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pal_backend.class_folders import read_folder
from pal_backend.core.learning.backbones import small
from pal_backend.core.learning.pretext import TASKS, learn
from pal_backend.core.learning.pretext_tasks import MaskedPatches, Rotation, ViewAlignment
from pal_backend.errors import InputError

COUNT, ODD = 200, 12


def bars(seed: int = 0) -> np.ndarray:
    """White bars that lie in the upper half, a little noisy; the first twelve images are noise alone."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 10, (COUNT, 16, 16, 1), dtype=np.uint8)
    for row, top in enumerate(rng.integers(1, 6, COUNT)):
        images[row, top : top + 2] = 250
    images[:ODD] = rng.integers(0, 255, (ODD, 16, 16, 1), dtype=np.uint8)
    return images


IMAGES = bars()


@pytest.fixture(scope="module")
def rotation() -> np.ndarray:
    """Losses of the rotations of the bars."""
    return learn(IMAGES, "rotation", seed=0, epochs=6).losses(IMAGES)


def test_what_cannot_be_turned_upright_is_hard(rotation: np.ndarray) -> None:
    """Noise looks the same from every side: its losses are the highest, above ln 4, and bars have next to none."""
    assert rotation.shape == (COUNT,)
    assert rotation.dtype == np.float32
    assert rotation[:ODD].min() > rotation[ODD:].max()
    assert rotation[:ODD].mean() > 1.2
    assert np.median(rotation[ODD:]) < 0.3


def test_what_cannot_be_restored_is_hard() -> None:
    """Nobody can say what stood in a patch of noise."""
    losses = learn(IMAGES, "masked-patches", seed=0, epochs=6).losses(IMAGES)
    assert (losses >= 0).all()
    assert losses[:ODD].min() > losses[ODD:].max()


def test_views_of_one_image_come_close() -> None:
    """Learning brings two views of one image nearer to each other than to views of other images."""
    x = torch.from_numpy(IMAGES).permute(0, 3, 1, 2) / 255
    nearness = []
    for epochs in (0, 12):
        task = learn(IMAGES, "view-alignment", seed=0, epochs=epochs).task
        assert isinstance(task, ViewAlignment)
        with torch.inference_mode():
            a, b = task._pair(x, torch.Generator().manual_seed(0))
        nearness.append(float((a - b).square().sum() / (a - b.roll(1, 0)).square().sum()))
    assert nearness[1] < 0.85 * nearness[0]


def test_the_rotation_loss_is_the_mean_of_four_cross_entropies() -> None:
    """By definition, one image and one rotation at a time."""
    task = Rotation(1, 16, small, torch.Generator().manual_seed(0)).eval()
    x = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = [
            np.mean([
                float(cross_entropy(task.head(task.network(torch.rot90(one[None], n, (2, 3)))), torch.tensor([n])))
                for n in range(4)
            ])
            for one in x
        ]  # fmt: skip
        np.testing.assert_allclose(task.losses(x, torch.Generator()).numpy(), expected, rtol=1e-5)


def test_alignment_is_two_minus_two_cosines() -> None:
    """Between 0 and 4, and 0 for a network that sees no difference."""
    task = ViewAlignment(1, 16, small, torch.Generator().manual_seed(0)).eval()
    x = torch.rand(5, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    found = task.losses(x, torch.Generator().manual_seed(0))
    assert ((found > 0) & (found <= 4)).all()
    task.network = Blind()
    assert task.losses(x, torch.Generator().manual_seed(0)).abs().max() < 1e-6


class Blind(nn.Module):
    """The same for every image."""

    features = 128

    def forward(self, images: Tensor) -> Tensor:
        """Ones."""
        return torch.ones(len(images), self.features)


def test_a_masked_patch_is_not_seen() -> None:
    """The error of a patch does not depend on what the others that are masked hold, nor on its brightness."""
    task = MaskedPatches(1, 32, small, torch.Generator().manual_seed(0)).eval()
    x = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    masked = torch.zeros(1, 4, 4, dtype=torch.bool)
    masked[0, :2] = True
    other = x.clone()
    other[0, 0, :8, :8] = torch.rand(8, 8)
    before, after = task._errors(x, masked), task._errors(other, masked)
    torch.testing.assert_close(before[0, 1:], after[0, 1:])
    paler = x.clone()
    paler[0, 0, :8, :8] += 0.3
    torch.testing.assert_close(task._errors(paler, masked)[0, 0, 0], before[0, 0, 0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", TASKS)
def test_the_same_seed_gives_the_same_losses(name: str) -> None:
    """To the last bit, and other images of other sides can be judged by what was learned."""
    first, second = (learn(IMAGES[:40], name, seed=3, epochs=1) for _ in range(2))
    np.testing.assert_array_equal(first.losses(IMAGES), second.losses(IMAGES))
    assert len(first.losses(IMAGES[:0])) == 0


def test_the_loss_of_a_sample_follows_it() -> None:
    """In another order every sample has the rotation loss it had: nothing hangs on its row."""
    learned = learn(IMAGES, "rotation", seed=0, epochs=1)
    np.testing.assert_allclose(learned.losses(IMAGES[::-1])[::-1], learned.losses(IMAGES), rtol=1e-4, atol=1e-6)


def test_red_is_the_first_channel(tmp_path: Path) -> None:
    """The released code reads files as blue, green, red, and takes them for red, green, blue."""
    for name in "ab":
        (tmp_path / name).mkdir()
    Image.new("RGB", (8, 8), (250, 120, 10)).save(tmp_path / "a" / "x.png")
    Image.new("RGB", (8, 8), (0, 0, 255)).save(tmp_path / "b" / "y.png")
    seen: list[Tensor] = []

    class Noting(Blind):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(images)
            return super().forward(images)

    images = read_folder(tmp_path, 8).images
    learn(images, "rotation", seed=0, epochs=1, backbone=lambda *arguments: Noting()).losses(images)
    colour = seen[-1][0, :, 0, 0] * 255
    torch.testing.assert_close(colour.sort(descending=True).values, colour)
    torch.testing.assert_close(colour, torch.tensor([250.0, 120.0, 10.0]))


def test_learning_can_be_stopped() -> None:
    """No step is made after that."""
    told: list[dict[str, object]] = []
    learn(IMAGES, "rotation", seed=0, epochs=3, progress=told.append, should_stop=lambda: len(told) == 1)
    assert [state["epoch"] for state in told] == [1]


def test_an_unknown_task_is_refused() -> None:
    """With the list of those there are."""
    with pytest.raises(InputError, match=r"no pretext task 'jigsaw'.*rotation, view-alignment, masked-patches"):
        learn(IMAGES, "jigsaw", seed=0)
