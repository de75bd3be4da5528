"""Version 0, and versions for pools that grow: PCA, a backbone as it comes, features made elsewhere."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import models

from pal_backend.backbones import backbone
from pal_backend.core.choice import Choice
from pal_backend.core.learning.graph import build_training_graph
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.learning.training import train
from pal_backend.core.neighbours import build_space
from pal_backend.core.recipes import DEFAULT
from pal_backend.coverage import GIVEN, PCA, cover_pool
from pal_backend.errors import ConflictError, InputError
from pal_backend.pool_folder import FolderPool
from pal_backend.pool_index import load_images, load_samples
from pal_backend.samples import ingest
from pal_backend.store.stores import Stores
from pal_backend.store.version_files import Version

NAME = "birds"


class Pool:
    """A folder of small random pictures that may grow."""

    def __init__(self, folder: Path, stores: Stores) -> None:
        self.folder = folder
        self.stores = stores
        self.rng = np.random.default_rng(0)
        self.count = 0
        folder.mkdir()

    def grow(self, more: int) -> None:
        """Add pictures and take them in."""
        for number in range(self.count, self.count + more):
            pixels = self.rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(self.folder / f"{number}.png")
        self.count += more
        ingest(FolderPool(self.folder), self.stores.artefacts, NAME, 16)

    def features(self, path: Path, rows: int) -> None:
        """Features of the first pictures, by name."""
        np.save(path, np.arange(rows * 3, dtype=np.float32).reshape(rows, 3))
        path.with_suffix(".txt").write_text("".join(f"{number}.png\n" for number in range(rows)))

    def cover(self, choice: Choice | None = None, strategy: str = "") -> Version | None:
        """The new version, if one was made."""
        return cover_pool(self.stores, NAME, "cpu", choice, strategy=strategy)

    def train(self, spec: str) -> Version:
        """A version that a short training made current."""
        versions = self.stores.versions(NAME)
        before = versions.load(versions.current_or_fail())
        graph = build_training_graph(build_space(before.sample_ids, before.features), [], recipe=DEFAULT)
        settings = TrainingSettings.of(DEFAULT, epochs=1, batch=8, device="cpu")
        images = load_images(self.stores.artefacts, NAME)
        trained = train(images, graph, settings, backbone=backbone(spec))
        metrics = {"backbone": spec}
        version = Version(versions.next_id(), before.sample_ids, trained.features, "simclr", 0, "trained", metrics)
        versions.write(version, trained.weights, [])
        versions.make_current(version.id, before.id)
        return version

    def misname(self, spec: str) -> None:
        """The current version's twin that says another backbone made it."""
        versions = self.stores.versions(NAME)
        before = versions.current_or_fail()
        twin = replace(versions.load(before), id=versions.next_id(), metrics={"backbone": spec})
        versions.write(twin, versions.weights_of(before), [])
        versions.make_current(twin.id, before)


@pytest.fixture
def pool(stores: Stores, tmp_path: Path) -> Pool:
    """Twelve pictures, taken in."""
    made = Pool(tmp_path / "pool", stores)
    made.grow(12)
    return made


@pytest.fixture
def resnet(tmp_path: Path) -> Choice:
    """A ResNet-18 with a file of weights."""
    torch.save(models.resnet18().state_dict(), tmp_path / "r18.pth")
    return Choice(backbone="torchvision:resnet18@32", weights=str(tmp_path / "r18.pth"), tuning="frozen")


@pytest.mark.parametrize("choice", [None, Choice(), Choice(backbone="torchvision:resnet18")])
def test_version_zero_is_pca_where_the_network_knows_nothing(pool: Pool, choice: Choice | None) -> None:
    """Random features say less than pixels; a second look makes nothing."""
    version = pool.cover(choice)
    assert version is not None
    assert (version.id, version.recipe, version.note) == ("v0000", GIVEN, PCA)
    assert pool.cover(choice) is None


def test_version_zero_is_the_backbone_as_it_comes(pool: Pool, resnet: Choice) -> None:
    """With weights its own features, scaled by column, at version 0 and whenever the pool grows."""
    version = pool.cover(resnet)
    assert version is not None
    assert (version.recipe, version.note) == (GIVEN, "torchvision:resnet18@32 with r18.pth as it comes")
    network = backbone(resnet.backbone, Path(resnet.weights))(3, 16, torch.Generator()).eval()
    images = load_images(pool.stores.artefacts, NAME)
    with torch.no_grad():
        raw = network(torch.from_numpy(images).permute(0, 3, 1, 2) / 255.0).double().numpy()
    alive = raw.std(axis=0) > 1e-4 * np.abs(raw).max()  # float32 leaves little of what varies less
    scaled = (raw - raw.mean(axis=0))[:, alive] / raw.std(axis=0)[alive]
    assert alive.sum() > 300
    np.testing.assert_allclose(version.features[:, alive], scaled, atol=1e-3)
    assert pool.cover(resnet) is None
    pool.grow(2)
    grown = pool.cover(resnet)
    assert grown is not None
    assert grown.features.shape == (14, 512)


def test_another_choice_before_the_first_training_makes_it_anew(pool: Pool, resnet: Choice, tmp_path: Path) -> None:
    """Until something was learned the features follow the choice, back and forth."""
    pool.features(tmp_path / "x.npy", 12)
    notes = []
    for choice in (Choice(), resnet, Choice(backbone=f"features:{tmp_path}/x.npy"), Choice()):
        version = pool.cover(choice)
        assert version is not None
        notes.append(version.note.split(" ")[0])
    assert notes == ["PCA", "torchvision:resnet18@32", "the", "PCA"]
    pool.train("small")
    assert pool.cover(resnet) is None


def test_version_zero_is_the_file_of_features(pool: Pool, tmp_path: Path) -> None:
    """As they come, in the pool's order; a sample without a row is an error that names it, and leaves the old version."""
    pool.features(tmp_path / "x.npy", 12)
    choice = Choice(backbone=f"features:{tmp_path}/x.npy")
    version = pool.cover(choice)
    assert version is not None
    expected = [3 * int(sample.paths[0].partition(".")[0]) for sample in load_samples(pool.stores.artefacts, NAME)]
    np.testing.assert_array_equal(version.features[:, 0], expected)
    pool.grow(1)
    with pytest.raises(InputError, match=r"no row for 1 of the 13 samples of the pool \(12\.png\)"):
        pool.cover(choice)
    assert pool.stores.versions(NAME).current() == "v0000"
    pool.features(tmp_path / "x.npy", 13)
    assert pool.cover(choice) is not None


@pytest.mark.parametrize("pretrained", [None, True, False])
def test_a_network_of_ones_own_says_whether_it_knows_anything(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, pretrained: bool | None
) -> None:
    """Only one that says it knows nothing gives way to PCA."""

    def make(channels: int, side: int, generator: torch.Generator) -> nn.Module:
        network = nn.Sequential(nn.Flatten(), nn.Linear(channels * side * side, 5))
        network.features = 5
        if pretrained is not None:
            network.pretrained = pretrained
        return network

    module = ModuleType("own_networks")
    module.make = make
    monkeypatch.setitem(sys.modules, "own_networks", module)
    choice = Choice(backbone="own_networks:make")
    version = pool.cover(choice)
    assert version is not None
    assert version.note == (PCA if pretrained is False else "own_networks:make as it comes")
    assert pool.cover(choice) is None


@pytest.mark.parametrize("spec", ["small", "torchvision:resnet18"])
def test_new_samples_are_seen_through_the_weights_in_use(pool: Pool, spec: str) -> None:
    """With the network that the version names, whatever is chosen for the next training."""
    pool.cover()
    trained = pool.train(spec)
    pool.grow(3)
    grown = pool.cover(Choice(backbone="timm:resnet18"))
    assert grown is not None
    assert (grown.recipe, grown.note) == ("simclr", "v0001 with the samples that joined since")
    row = {sample: number for number, sample in enumerate(grown.sample_ids)}
    np.testing.assert_allclose(grown.features[[row[s] for s in trained.sample_ids]], trained.features, atol=1e-3)


def test_a_version_cannot_say_what_code_is_imported(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A factory named in a version's file is called only if the project names it too."""
    called = []
    module = ModuleType("own_networks")
    module.make = lambda *about: called.append(about)
    monkeypatch.setitem(sys.modules, "own_networks", module)
    pool.cover()
    pool.train("small")
    pool.misname("own_networks:make")
    pool.grow(1)
    with pytest.raises(ConflictError, match="own_networks:make', which the project does not name any more"):
        pool.cover()
    assert called == []


def test_weights_of_another_network_are_told_of(pool: Pool) -> None:
    """A version whose file says another backbone than its weights are of."""
    pool.cover()
    pool.train("small")
    pool.misname("timm:resnet18")
    pool.grow(1)
    with pytest.raises(ConflictError, match="v0002 cannot see the new samples"):
        pool.cover()


def test_losses_of_the_pretext_task_are_there_before_the_first_question(pool: Pool) -> None:
    """Where strategy or recipe ask for them, and not else; they follow the pool, and another task, until something trains."""
    plain = pool.cover()
    assert plain is not None
    assert plain.difficulty is None
    asked = pool.cover(strategy="pt4al-easiest")
    assert asked is not None
    assert asked.difficulty is not None
    assert (asked.difficulty.shape, asked.pretext) == ((12,), "rotation")
    np.testing.assert_array_equal(asked.features, plain.features)
    assert pool.cover(strategy="pt4al") is None
    pool.grow(2)
    grown = pool.cover(Choice(recipe="pt4al-patches"))
    assert grown is not None
    assert grown.difficulty is not None
    assert (grown.difficulty.shape, grown.pretext) == ((14,), "masked-patches")


def test_after_a_training_nothing_waits_for_the_pretext_task(pool: Pool) -> None:
    """A pool that grew has no losses until the next training: those of some samples alone would order nothing."""
    pool.cover(strategy="pt4al")
    pool.train("small")
    assert pool.cover(strategy="pt4al") is None
    pool.grow(3)
    grown = pool.cover(strategy="pt4al")
    assert grown is not None
    assert (grown.difficulty, grown.pretext, grown.metrics["pretext"]) == (None, "", "")
