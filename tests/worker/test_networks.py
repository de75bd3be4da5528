"""What a project's choice means for a training, up to the version that the train job publishes."""

from __future__ import annotations

from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torchvision import models

from pal_backend.choosing import initialised
from pal_backend.core.choice import Choice
from pal_backend.core.learning.backbones import Tuning
from pal_backend.core.learning.objectives import OBJECTIVES
from pal_backend.core.recipes import RECIPES
from pal_backend.core.vocabulary import Annotation, AnnotationKey, Answer, Origin, Pair, Verdict
from pal_backend.coverage import GIVEN, cover_pool
from pal_backend.credentials import Credentials
from pal_backend.errors import AccessError
from pal_backend.material import material_of
from pal_backend.pool_folder import FolderPool
from pal_backend.pool_index import load_samples
from pal_backend.queues import Queues
from pal_backend.samples import ingest
from pal_backend.settings import Settings
from pal_backend.store.projects import Project
from pal_backend.store.stores import Stores
from pal_backend.store.version_files import Version
from worker import training
from worker.bootstrap import Workshop
from worker.networks import goes_on

NAME = "digits"
SAMPLES = 60


class Trainer:
    """A worker with a pool of digits, some of them answered about."""

    def __init__(self, settings: Settings, stores: Stores, folder: Path) -> None:
        from PIL import Image

        self.shop = Workshop(settings, Credentials(media_key="k"), stores, Queues(settings.redis_url))
        self.stores = stores
        self.folder = folder
        images, labels = load_digits(n_class=3, return_X_y=True)
        folder.mkdir()
        for row in range(SAMPLES):
            Image.fromarray((images[row].reshape(8, 8) * 15).astype(np.uint8)).save(folder / f"{row}.png")
        self.truth = {f"{row}.png": int(labels[row]) for row in range(SAMPLES)}
        self.project = Project(NAME, str(folder), ())
        ingest(FolderPool(folder), stores.artefacts, NAME, 8)
        self.choose(Choice())
        cover_pool(stores, NAME, "cpu")
        self.answer()

    def choose(self, choice: Choice) -> None:
        """As `pal init` does."""
        self.project = initialised(self.project, self.shop.operator, **asdict(choice))
        self.stores.projects.save(self.project)

    def answer(self) -> None:
        """Each sample against the next."""
        samples = load_samples(self.stores.artefacts, NAME)
        annotations = []
        for number, (a, b) in enumerate(pairwise(samples), start=1):
            same = self.truth[a.paths[0]] == self.truth[b.paths[0]]
            key, verdict = AnnotationKey("pairs", number), Verdict.SAME if same else Verdict.DIFFERENT
            answer = Answer(key, Pair.of(a.id, b.id), verdict, "7", number, Origin.MANUAL)
            annotations.append(Annotation(key, number, f"q{number}", "7", number, (answer,)))
        self.stores.answers(NAME).put(annotations)

    def features(self, path: Path) -> NDArray[np.float32]:
        """A file of features: the pixels, in the order of the files' numbers."""
        images = load_digits(n_class=3)["data"][:SAMPLES].astype(np.float32)
        np.save(path, images)
        path.with_suffix(".txt").write_text("".join(f"{row}.png\n" for row in range(SAMPLES)))
        return images

    def train(self) -> Version:
        """What the train job publishes."""
        snapshot = training.take_snapshot(self.shop, NAME, 1)
        outcome = training.take_as_it_comes(self.shop, snapshot)
        if outcome is None:
            trained = training.run(self.shop, snapshot, lambda state: None, lambda: False)
            outcome = training.publish(self.shop, snapshot, trained)
        return self.stores.versions(NAME).load(outcome["version"])


@pytest.fixture
def trainer(settings: Settings, stores: Stores, tmp_path: Path) -> Trainer:
    """A worker that trains for two epochs."""
    return Trainer(replace(settings, train_epochs=2, device="cpu"), stores, tmp_path / "pool")


@pytest.fixture
def resnet(tmp_path: Path) -> Choice:
    """A ResNet-18 with a file of weights."""
    torch.save(models.resnet18().state_dict(), tmp_path / "r18.pth")
    return Choice(backbone="torchvision:resnet18@32", weights=str(tmp_path / "r18.pth"))


def test_a_version_says_what_made_it(trainer: Trainer, resnet: Choice) -> None:
    """Backbone, weights and tuning stand in its metrics, the recipe beside them; the head alone has learned."""
    trainer.choose(replace(resnet, recipe="gps-simclr", tuning="head"))
    version = trainer.train()
    assert version.recipe == "gps-simclr"
    assert {name: version.metrics[name] for name in ("backbone", "weights", "tuning")} == {
        "backbone": resnet.backbone,
        "weights": resnet.weights,
        "tuning": "head",
    }
    assert version.features.shape == (SAMPLES, 512)


def test_a_frozen_network_is_taken_as_it_comes_once(trainer: Trainer, resnet: Choice) -> None:
    """Its features are published and judged; asked again while they are in use, nothing is made."""
    trainer.choose(replace(resnet, tuning="frozen"))
    version = trainer.train()
    assert (version.recipe, version.note) == (GIVEN, "torchvision:resnet18@32 with r18.pth as it comes")
    versions = trainer.stores.versions(NAME)
    assert versions.weights_of(version.id) is None
    if versions.current() != version.id:
        versions.make_current(version.id, versions.current())
    assert trainer.train().id == version.id
    assert len(versions.list()) == 2


@pytest.mark.parametrize("recipe", [recipe.name for recipe in RECIPES.values() if recipe.objective in OBJECTIVES])
def test_a_head_learns_on_features_made_elsewhere(trainer: Trainer, tmp_path: Path, recipe: str) -> None:
    """From answers and neighbours alone, without any image; new samples get theirs from file and head."""
    trainer.features(tmp_path / "x.npy")
    trainer.choose(Choice(recipe=recipe, backbone=f"features:{tmp_path}/x.npy", tuning="head"))
    version = trainer.train()
    assert version.features.shape == (SAMPLES, 64)
    assert np.isfinite(version.features).all()
    weights = trainer.stores.versions(NAME).weights_of(version.id)
    assert weights is not None
    assert len(weights) < 500_000


def test_features_are_taken_by_the_names_of_the_samples(trainer: Trainer, tmp_path: Path) -> None:
    """What the head sees are the file's rows in the version's order."""
    rows = trainer.features(tmp_path / "x.npy")
    samples = load_samples(trainer.stores.artefacts, NAME)
    choice = Choice(backbone=f"features:{tmp_path}/x.npy", tuning="head").check()
    material = material_of(choice, np.zeros((SAMPLES, 8, 8, 1), np.uint8), samples)
    np.testing.assert_array_equal(material.seen, rows[[int(s.paths[0].partition(".")[0]) for s in samples]])
    assert material.tuning is Tuning.HEAD


def test_a_training_goes_on_only_from_its_own_network() -> None:
    """Another backbone, file or tuning starts from what it names; versions of earlier releases are small and full."""
    choice = Choice(backbone="small", weights="/w.pth", tuning="full").check()

    def version(**metrics: str) -> Version:
        return Version("v0001", (), np.zeros((0, 1), np.float32), "simclr", 0, "", metrics)

    made = {"backbone": "small", "weights": "/w.pth", "tuning": "full"}
    assert goes_on(choice, version(**made))
    for name, other in (("backbone", "timm:resnet18"), ("weights", ""), ("tuning", "head")):
        assert not goes_on(choice, version(**made | {name: other}))
    assert goes_on(Choice().check(), version())


def test_a_worker_imports_nothing_that_only_redis_names(trainer: Trainer) -> None:
    """The train job stops before any code is imported."""
    trainer.project = replace(trainer.project, backbone="os:system", tuning="frozen", seal="")
    trainer.stores.projects.save(trainer.project)
    with pytest.raises(AccessError, match="is code to import"):
        training.take_snapshot(trainer.shop, NAME, 1)
