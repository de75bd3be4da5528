"""Backbones by name: made, fitted with weights, and refused with what was expected."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models

from pal_backend.backbones import Adapted, backbone, classifier, known
from pal_backend.core.learning.backbones import Tuning
from pal_backend.core.learning.graph import build_training_graph
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.learning.training import embed, train
from pal_backend.core.neighbours import build_space
from pal_backend.core.recipes import DEFAULT
from pal_backend.errors import ConfigError, InputError, NotFoundError

LIBRARIES = ["torchvision:resnet18", "torchvision:squeezenet1_1", "torchvision:mobilenet_v3_small@64", "timm:resnet10t"]


def generator(seed: int = 0) -> torch.Generator:
    """Of a seed."""
    return torch.Generator().manual_seed(seed)


def images(channels: int = 3, side: int = 32, count: int = 2) -> Tensor:
    """Random images in [0, 1]."""
    return torch.rand(count, channels, side, side, generator=generator(1))


def made(spec: str, weights: Path | None = None, *, channels: int = 3, side: int = 32, seed: int = 0) -> nn.Module:
    """The network of a name, in its mode for use."""
    return backbone(spec, weights)(channels, side, generator(seed)).eval()


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module that can be imported under ``own_networks``."""
    found = ModuleType("own_networks")
    monkeypatch.setitem(sys.modules, "own_networks", found)
    return found


class Constant(nn.Module):
    """Gives what it is told to, whatever it sees."""

    def __init__(self, features: object, given: object) -> None:
        super().__init__()
        self.features = features
        self.given = given

    def forward(self, images: Tensor) -> object:
        """What it was told."""
        return self.given


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("spec", ["small", *LIBRARIES])
def test_every_source_gives_features_of_grey_and_colour(spec: str, channels: int) -> None:
    """Grey or colour, the network gives as many finite numbers as it states."""
    network = made(spec, channels=channels)
    found = network(images(channels))
    assert found.shape == (2, network.features)
    assert bool(found.isfinite().all())


@pytest.mark.parametrize("spec", ["small", *LIBRARIES])
def test_weights_follow_from_the_generator_alone(spec: str) -> None:
    """The same seed gives the same network whatever was drawn before, and the global generator is left as it was."""
    first = made(spec, seed=3)
    torch.rand(5)
    before = torch.get_rng_state()
    second = made(spec, seed=3)
    assert torch.equal(before, torch.get_rng_state())
    other = made(spec, seed=4)
    assert torch.equal(first(images()), second(images()))
    assert not torch.equal(first(images()), other(images()))


def test_grey_enters_as_three_equal_channels() -> None:
    """A grey image has the features of the same image in colour."""
    network = made("torchvision:resnet18@64")
    grey = images(1)
    torch.testing.assert_close(network(grey), network(grey.expand(-1, 3, -1, -1)))


def test_images_enter_as_the_library_normalises_them() -> None:
    """The features are those of the bare network on ImageNet's scale."""
    network = made("torchvision:resnet18@32")
    assert isinstance(network, Adapted)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    torch.testing.assert_close(network(images()), network.body((images() - mean) / std))


def test_looking_in_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without gradients large images go through in parts, to the same features."""
    network = made("torchvision:resnet18@64")
    with torch.no_grad():
        at_once = network(images(count=5))
        monkeypatch.setattr("pal_backend.backbones.PIXELS", 2 * 64 * 64)
        torch.testing.assert_close(network(images(count=5)), at_once)


@pytest.mark.parametrize(("spec", "side", "kernel"), [("resnet18", 32, 3), ("resnet18", 65, 7), ("resnet18@64", 32, 7)])
@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_tiny_images_meet_a_small_stem(library: str, spec: str, side: int, kernel: int) -> None:
    """Up to 64 pixels a ResNet has a 3x3 stem without pooling; enlarged or larger images meet the published one."""
    network = made(f"{library}:{spec}", side=side)
    assert isinstance(network, Adapted)
    stem, pool = network.body.get_submodule("conv1"), network.body.get_submodule("maxpool")
    assert isinstance(stem, nn.Conv2d)
    assert stem.kernel_size == (kernel, kernel)
    assert isinstance(pool, nn.Identity) == (kernel == 3)


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_a_published_file_fits_and_gives_the_published_features(library: str, tmp_path: Path) -> None:
    """The file of a whole classifier gives the features before its last layer."""
    whole = (models.resnet18() if library == "torchvision" else timm.create_model("resnet18")).eval()
    torch.save(whole.state_dict(), tmp_path / "r.pth")
    network = made(f"{library}:resnet18@64", tmp_path / "r.pth")
    assert isinstance(network, Adapted)
    whole.fc = nn.Identity()
    seen = (nn.functional.interpolate(images(), size=64, mode="bilinear", antialias=True) - network.mean) / network.std
    torch.testing.assert_close(network(images()), whole(seen), atol=1e-4, rtol=1e-4)


def test_weights_of_another_network_name_the_first_tensors(tmp_path: Path) -> None:
    """A ResNet-34's file for a ResNet-18, and a published stem for tiny images, are told by tensor and shape."""
    save_file(models.resnet34().state_dict(), tmp_path / "r34.safetensors")
    with pytest.raises(InputError, match=r"do not fit: 80 unknown: layer1\.2\."):
        made("torchvision:resnet18@64", tmp_path / "r34.safetensors")
    save_file(models.resnet18().state_dict(), tmp_path / "r18.safetensors")
    with pytest.raises(InputError, match=r"conv1\.weight \(found \(64, 3, 7, 7\), expected \(64, 3, 3, 3\)\)"):
        made("torchvision:resnet18", tmp_path / "r18.safetensors")


@pytest.mark.parametrize("tuning", [Tuning.FULL, Tuning.HEAD])
@pytest.mark.parametrize("spec", ["small", "torchvision:resnet18"])
def test_a_version_of_ours_is_embedded_again_and_starts_another(spec: str, tuning: Tuning, tmp_path: Path) -> None:
    """Weights that a training made see the same features again by the name alone, and fit as a file of weights."""
    rng = np.random.default_rng(0)
    pool = rng.integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)
    ids = tuple(f"{number:016x}" for number in range(24))
    graph = build_training_graph(build_space(ids, pool.reshape(24, -1).astype(np.float32)), [], recipe=DEFAULT)
    settings = TrainingSettings.of(DEFAULT, epochs=1, batch=8, device="cpu")
    trained = train(pool, graph, settings, backbone=backbone(spec), tuning=tuning)
    again = embed(trained.weights, pool, backbone=backbone(spec), device="cpu")
    np.testing.assert_allclose(again, trained.features, atol=1e-4)
    (tmp_path / "weights.safetensors").write_bytes(trained.weights)
    made(spec, tmp_path / "weights.safetensors")


@pytest.mark.parametrize(
    ("name", "last"),
    [
        *(("alexnet", "classifier.6"), ("vgg11_bn", "classifier.6"), ("densenet121", "classifier")),
        *(("mobilenet_v2", "classifier.1"), ("mobilenet_v3_small", "classifier.3"), ("mnasnet0_5", "classifier.1")),
        *(("efficientnet_b0", "classifier.1"), ("convnext_tiny", "classifier.2"), ("squeezenet1_0", "classifier.1")),
        *(("resnet18", "fc"), ("shufflenet_v2_x0_5", "fc"), ("vit_b_32", "heads.head"), ("swin_t", "head")),
    ],
)
def test_the_last_layer_of_each_family_is_found(name: str, last: str) -> None:
    """What is taken off is the layer whose outputs are the classes, and nothing before it."""
    with torch.device("meta"):
        assert classifier(models.get_model(name, weights=None)) == last


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("torchvision:resnet19", "no backbone torchvision:resnet19; expected one such as resnet18"),
        ("torchvision:inception_v3", "no backbone torchvision:inception_v3"),
        ("timm:resnet19", "no backbone timm:resnet19; expected one such as resnet"),
        ("timm:resnet18.of_nobody", "cannot be made"),
        ("best", "backbone 'best' is not known; use one of small, torchvision:NAME"),
        ("features:x.npy", "is a file of features, not a network"),
    ],
)
def test_unknown_names_are_told_with_known_ones(spec: str, words: str) -> None:
    """A name that nobody knows is refused with some that are."""
    with pytest.raises(InputError, match=words):
        made(spec)
    assert known()[0] == "small"


@pytest.mark.parametrize("spec", ["torchvision:vit_b_16", "timm:vit_tiny_patch16_224"])
def test_a_network_of_a_fixed_size_says_how_to_enlarge(spec: str) -> None:
    """The error holds the name that works."""
    with pytest.raises(ConfigError, match=f"fails on images of 32 pixels .*such as {spec}@224"):
        made(spec)


def test_a_missing_timm_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the error says what to install."""
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match=r"pip install 'pal-label-studio\[timm\]'"):
        made("timm:resnet18")


def test_missing_and_unsafe_weights_are_told_at_once(tmp_path: Path) -> None:
    """Before a network is made, the file is looked at."""
    with pytest.raises(NotFoundError, match=r"none\.pth cannot be found here"):
        backbone("torchvision:resnet18", tmp_path / "none.pth")
    (tmp_path / "w.pkl").touch()
    with pytest.raises(InputError, match="may run code"):
        backbone("torchvision:resnet18", tmp_path / "w.pkl")
    save_file({"a": torch.zeros(9)}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="make the file smaller"):
        backbone("small", tmp_path / "w.safetensors", limit=10)


def test_a_factory_is_called_with_channels_side_and_generator(module: ModuleType, tmp_path: Path) -> None:
    """Any importable factory will do, and a file of weights fills its network."""

    def make(channels: int, side: int, generator: torch.Generator) -> nn.Module:
        network = nn.Sequential(nn.Flatten(), nn.Linear(channels * side * side, 7))
        network.features = 7
        return network

    module.make = make
    filled = {"1.weight": torch.zeros(7, 192), "1.bias": torch.ones(7)}
    save_file(filled, tmp_path / "w.safetensors")
    network = made("own_networks:make", tmp_path / "w.safetensors", side=8)
    torch.testing.assert_close(network(images(side=8)), torch.ones(2, 7))


def refuse(channels: int, side: int, generator: torch.Generator) -> nn.Module:
    """A factory that fails."""
    raise RuntimeError("no luck")


class Failing(nn.Module):
    """A network that fails."""

    features = 4

    def forward(self, images: Tensor) -> Tensor:
        """Fail."""
        raise RuntimeError("no luck either")


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        (lambda *about: 5, "is of type int; expected a torch.nn.Module"),
        (lambda *about: nn.Flatten(), "has no .features; expected the width of its output"),
        (lambda *about: Constant("many", None), "has .features 'many'; expected the width"),
        (lambda *about: Constant(0, None), "has .features 0; expected the width"),
        (lambda *about: Constant(4, torch.zeros(2, 5)), r"gives torch.float32 \(2, 5\) for images of \(2, 3, 32, 32\)"),
        (lambda *about: Constant(4, torch.zeros(2, 4, 1, 1)), r"expected floats of \(2, 4\); pool and flatten"),
        (lambda *about: Constant(4, torch.zeros(2, 4, dtype=torch.int64)), "gives torch.int64"),
        (lambda *about: Constant(4, [1.0]), "gives a list"),
        (lambda *about: Constant(4, torch.full((2, 4), torch.nan)), "not finite"),
        (lambda *about: Failing(), r"fails on images of \(2, 3, 32, 32\): RuntimeError: no luck either"),
        (refuse, "failed: RuntimeError: no luck; expected a network from"),
    ],
)
def test_what_a_factory_gives_is_looked_at(module: ModuleType, factory: Callable[..., object], words: str) -> None:
    """What came and what was expected, before anything is trained."""
    module.make = factory
    with pytest.raises(ConfigError, match=f"own_networks:make.*{words}"):
        made("own_networks:make")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("no_such_package.at_all:make", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("own_networks:nothing", "AttributeError"),
        ("own_networks:__doc__", "is of type NoneType; expected a callable"),
    ],
)
def test_what_cannot_be_imported_is_told(module: ModuleType, spec: str, words: str) -> None:
    """A module that is missing, a name that is not in it, and what cannot be called."""
    with pytest.raises(ConfigError, match=words):
        made(spec)
