"""Models as they leave: loaded where nothing of ours is installed."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pal_backend.core.choice import Choice
from pal_backend.errors import ConflictError, InputError
from pal_backend.exports.making import make
from pal_backend.exports.model import TOLERANCE
from pal_backend.pool_index import load_images
from tests.exports.house import House

OUTSIDE = """
import sys
class Nobody:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pal_backend", "label_config", "worker"):
            raise ImportError(f"{name} is not here")
sys.meta_path.insert(0, Nobody())
import numpy, torch
images = torch.from_numpy(numpy.load("images.npy"))
import load
numpy.save("loaded.npy", load.features(images).numpy())
program = torch.export.load("model.pt2").module()
with torch.inference_mode():
    numpy.save("program.npy", torch.cat([program(part) for part in torch.split(images, 7)]).numpy())
assert "pal_backend" not in sys.modules
"""


def unpacked(house: House, folder: Path) -> dict[str, Any]:
    """The exported model in a folder; what its config says."""
    with zipfile.ZipFile(io.BytesIO(make(house.snapshot(), "model").data)) as archive:
        archive.extractall(folder)
    config: dict[str, Any] = json.loads((folder / "model/config.json").read_text())
    return config


def features_outside(house: House, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """What a process without anything of ours makes of the pool: by the loader, and by the program."""
    images = load_images(house.stores.artefacts, house.name)
    np.save(folder / "model/images.npy", np.moveaxis(images, -1, 1).astype(np.float32) / 255)
    done = subprocess.run(
        [sys.executable, "-c", OUTSIDE],
        cwd=folder / "model",
        env={"PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return np.load(folder / "model/loaded.npy"), np.load(folder / "model/program.npy")


def published(house: House) -> np.ndarray:
    """The features of the version in use."""
    versions = house.stores.versions(house.name)
    return versions.load(versions.current_or_fail()).features


def test_a_model_gives_the_published_features_without_us(house: House, tmp_path: Path) -> None:
    """Loader and program agree with what was published to a ten-thousandth; the loader has some ten lines."""
    house.trained()
    house.publish()
    config = unpacked(house, tmp_path)
    assert config["network"]["kind"] == "small" and config["check"]["largest difference"] < 1e-4
    for found in features_outside(house, tmp_path):
        assert np.abs(found - published(house)).max() < 1e-4
    code = (tmp_path / "model/load.py").read_text().split('"""')[2].splitlines()
    assert len([line for line in code if line.strip()]) <= 14


def test_principal_components_leave_as_a_linear_layer(house: House, tmp_path: Path) -> None:
    """Before any training what is exported is a network too."""
    config = unpacked(house, tmp_path)
    assert config["network"]["kind"] == "pca" and config["made by"] == "PCA of the resized pixels"
    module = run(tmp_path / "model/load.py")
    images = torch.from_numpy(
        np.moveaxis(load_images(house.stores.artefacts, "digits"), -1, 1).astype(np.float32) / 255
    )
    program = torch.export.load(tmp_path / "model/model.pt2").module()
    for found in (module["features"](images), program(images)):
        assert np.abs(found.numpy() - published(house)).max() < 1e-4


class Colours(nn.Module):
    """The mean of each channel and its square: a network of a team's own."""

    features = 2

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(2.0))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        mean = images.mean(dim=(1, 2, 3))
        return torch.stack([self.gain * mean, mean.square()], dim=1)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("torchvision:resnet18", ("torchvision.models.get_model", "set_submodule", "network.conv1")),
        ("torchvision:mobilenet_v3_small@48", ("interpolate", "set_submodule")),
        ("timm:resnet10t@32", ("timm.create_model",)),
    ],
)
def test_a_library_s_network_is_made_by_the_library(
    house: House, tmp_path: Path, spec: str, says: tuple[str, ...]
) -> None:
    """Its loader names the library and gives the same as the network that we use."""
    pytest.importorskip("timm")
    from pal_backend.backbones import backbone
    from pal_backend.exports.model import Portable, _described, _Subject

    network = backbone(spec)(1, 16, torch.Generator().manual_seed(0))
    scaled = (torch.randn(network.features), torch.rand(network.features))
    images = torch.rand(3, 1, 16, 16)
    subject = _Subject(None, np.zeros((2, 16, 16, 1), np.uint8), Portable(network, None, scaled), spec)  # type: ignore[arg-type]
    about, tensors = _described(subject)
    module = loaded(tmp_path, about, tensors)
    assert all(words in (tmp_path / "load.py").read_text() for words in says)
    with torch.inference_mode():
        assert torch.allclose(module["features"](images), subject.model(images), atol=1e-5)


def loaded(folder: Path, about: dict[str, Any], tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
    """What the loader defines, run in a folder of its own."""
    from safetensors.torch import save_file

    from pal_backend.exports.loader import loader

    (folder / "load.py").write_text(loader(about, project="p", version="v1", channels=1, side=16, features=1))
    (folder / "config.json").write_text(json.dumps({"network": about}))
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "model.safetensors")
    return run(folder / "load.py")


def run(file: Path) -> dict[str, Any]:
    """What a file of Python defines."""
    module: dict[str, Any] = {"__file__": str(file)}
    exec(file.read_text(), module)
    return module


def test_a_network_of_a_team_s_own_is_imported_by_its_loader(tmp_path: Path) -> None:
    """From the module that the team named; a linear head goes along."""
    from pal_backend.exports.model import Portable, _described, _Subject

    head = nn.Linear(2, 2)
    spec = f"{__name__}:colours"
    subject = _Subject(None, np.zeros((2, 16, 16, 1), np.uint8), Portable(Colours(), head), spec)  # type: ignore[arg-type]
    about, tensors = _described(subject)
    assert (about["kind"], about["head"], about["scaled"]) == ("factory", True, False)
    images = torch.rand(3, 1, 16, 16)
    with torch.inference_mode():
        found = loaded(tmp_path, about, tensors)["features"](images)
        assert torch.allclose(found, subject.model(images), atol=1e-6)


def colours(channels: int, side: int, generator: torch.Generator) -> nn.Module:
    """A factory."""
    return Colours()


def test_a_model_that_would_give_something_else_is_refused(house: House) -> None:
    """Weights that are not those of the features are not taken home as if they were."""
    house.trained()
    versions = house.stores.versions("digits")
    wrong = versions.load("v0001")
    object.__setattr__(wrong, "features", wrong.features + 2 * TOLERANCE)
    object.__setattr__(wrong, "id", "v0002")
    versions.write(wrong, versions.weights_of("v0001"), [])
    versions.make_current("v0002", "v0001")
    house.publish()
    with pytest.raises(ConflictError, match=r"off by 0\.02"):
        make(house.snapshot(), "model")


def test_features_from_a_file_have_no_model(house: House, tmp_path: Path) -> None:
    """The message says what can be taken home instead."""
    from pal_backend.store.version_files import Version

    versions = house.stores.versions("digits")
    before = versions.load("v0000")
    made = Version("v0001", before.sample_ids, before.features, "given", 0, "the features of /x/y.npy", {})
    versions.write(made, None, [])
    versions.make_current("v0001", "v0000")
    house.publish()
    with pytest.raises(InputError, match="take the embeddings home"):
        make(house.snapshot(), "model")
    assert Choice().check().backbone == "small"
