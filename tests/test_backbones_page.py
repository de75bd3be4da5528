"""The page about backbones: its example does what the page says, and what it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits

from pal_backend.backbones import GROUP, backbone, known
from pal_backend.core.choice import BackboneName, Tuning
from pal_backend.core.learning.graph import build_training_graph
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.learning.training import embed, train
from pal_backend.core.neighbours import build_space
from pal_backend.core.recipes import DEFAULT
from tests.pages import entry_point, install

PAGE = (Path(__file__).parents[1] / "docs/backbones.md").read_text()


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The example installed as the page says; its name."""
    return install(PAGE, GROUP, tmp_path, monkeypatch)


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize(("channels", "side"), [(1, 8), (3, 32)])
def test_the_example_is_a_backbone(example: str, direct: bool, channels: int, side: int) -> None:
    """By its name and by its address, for grey and colour, it gives what it states; the seed decides its weights."""
    spec = entry_point(PAGE, GROUP)[1] if direct else example
    first, second = (backbone(spec)(channels, side, torch.Generator().manual_seed(5)) for _ in range(2))
    images = torch.rand(3, channels, side, side)
    assert first(images).shape == (3, 128)
    assert torch.equal(first(images), second(images))
    assert example in known()


@pytest.mark.parametrize("tuning", [Tuning.FULL, Tuning.HEAD])
def test_the_example_is_trained_and_used_again(example: str, tuning: Tuning, tmp_path: Path) -> None:
    """It learns, sees the same features again, and takes a file of weights."""
    digits = load_digits()["images"][:100, :, :, None]
    pool = np.repeat(np.repeat(15 * digits, 2, axis=1), 2, axis=2).astype(np.uint8)
    ids = tuple(f"{number:016x}" for number in range(100))
    graph = build_training_graph(build_space(ids, digits.reshape(100, -1).astype(np.float32)), [], recipe=DEFAULT)
    settings = TrainingSettings.of(DEFAULT, epochs=6, batch=32, device="cpu")
    trained = train(pool, graph, settings, backbone=backbone(example), tuning=tuning)
    assert trained.losses[-1] < trained.losses[0]
    again = embed(trained.weights, pool, backbone=backbone(example), device="cpu")
    np.testing.assert_allclose(again, trained.features, atol=1e-4)
    network = backbone(example)(1, 16, torch.Generator().manual_seed(1))
    save_file(network.state_dict(), tmp_path / "sketch.safetensors")
    filled = backbone(example, tmp_path / "sketch.safetensors")(1, 16, torch.Generator().manual_seed(2))
    images = torch.rand(2, 1, 16, 16)
    assert torch.equal(filled(images), network(images))


def test_names_on_the_page_can_be_read() -> None:
    """Every backbone in a code span is spelt as the code reads it."""
    named = re.findall(r"`(?:--backbone )?((?:torchvision|timm|features):[^`]+)`", PAGE)
    named = [name for name in named if name not in ("torchvision:", "timm:", "features:")]
    assert len(named) >= 6
    for name in named:
        if "NAME" not in name:
            BackboneName.parse(name)


def test_every_tuning_is_on_the_page() -> None:
    """The table has a row for each, and no other."""
    table = PAGE.partition("## How much of it learns")[2].partition("\n\n`head`")[0]
    assert re.findall(r"^\| `([a-z]+)`", table, re.MULTILINE) == list(Tuning)
