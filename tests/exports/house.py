"""A project with pictures, a model and beliefs, as exports find it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits

from pal_backend.choosing import Operator
from pal_backend.core.choice import Choice
from pal_backend.core.learner import Learner
from pal_backend.core.learning.backbones import SmallConvNet, Tuning
from pal_backend.core.learning.model import Model, pack
from pal_backend.core.neighbours import build_space
from pal_backend.core.vocabulary import Annotation, AnnotationKey, Answer, Pair, Purpose, QuestionKind, Verdict
from pal_backend.exports.snapshot import Snapshot
from pal_backend.pool_folder import FolderPool
from pal_backend.pool_index import load_images, load_samples
from pal_backend.samples import ingest
from pal_backend.store.projects import Desk, Project
from pal_backend.store.stores import Stores
from pal_backend.store.version_files import Version

NOW = 1_700_000_000.0
SIDE = 16


@dataclass
class House:
    """Stores with one project on them, and the hidden labels."""

    stores: Stores
    name: str
    labels: dict[str, int]
    operator: Operator

    def snapshot(self) -> Snapshot:
        """As it stands."""
        return Snapshot.of(self.stores, self.name, self.operator, now=NOW, device="cpu")

    def give(self, annotations: list[Annotation]) -> None:
        """Take answers in and publish what follows from them."""
        self.stores.answers(self.name).put(annotations)
        self.publish()

    def publish(self) -> None:
        """Beliefs from all answers, as a sitting makes them."""
        version = self.stores.versions(self.name).load(self.stores.versions(self.name).current_or_fail())
        learner = Learner(build_space(version.sample_ids, version.features))
        annotations = self.stores.answers(self.name).all()
        learner.set_answers(answer for annotation in annotations for answer in annotation.answers)
        lease = self.stores.sittings(self.name).take("test", 60)
        assert lease is not None
        self.stores.revisions(self.name).publish(
            learner.posterior(), version=version.id, answers=len(annotations), contradictions=[], lease=lease, now=NOW
        )
        self.stores.sittings(self.name).release(lease)

    def trained(self, backbone: str = "small") -> None:
        """A version whose features a network made, as a training leaves it (without the training)."""
        images = load_images(self.stores.artefacts, self.name)
        network = SmallConvNet(images.shape[-1], torch.Generator().manual_seed(1))
        model = Model(network, Tuning.FULL, 8, torch.Generator().manual_seed(2))
        weights, features = pack(model, torch.from_numpy(images.copy()))
        versions = self.stores.versions(self.name)
        about = {"backbone": backbone, "weights": "", "tuning": "full"}
        ids = tuple(sample.id for sample in load_samples(self.stores.artefacts, self.name))
        versions.write(Version(versions.next_id(), ids, features, "simclr", 5, "better", about), weights, [])
        versions.make_current("v0001", "v0000")


def build_house(stores: Stores, pool: Path, name: str = "digits", samples: int = 60, digits: int = 3) -> House:
    """Digits of a few kinds as pictures in a folder, taken in, with version 0."""
    from pal_backend.coverage import cover_pool

    images, labels = load_digits(n_class=digits, return_X_y=True)
    pool.mkdir(exist_ok=True)
    for number, pixels in enumerate(images[:samples]):
        shown = Image.fromarray((255 - pixels.reshape(8, 8) * 255 / 16).astype(np.uint8))
        shown.resize((32, 32), Image.Resampling.BICUBIC).save(pool / f"{number:03d}.png")
    stores.projects.save(Project(name, str(pool), (Desk("pairs", QuestionKind.PAIR, 7, 1, 1),), question_text="Same?"))
    ingest(FolderPool(pool), stores.artefacts, name, SIDE)
    cover_pool(stores, name, "cpu", Choice())
    known = {sample.id: int(labels[int(sample.paths[0][:3])]) for sample in load_samples(stores.artefacts, name)}
    return House(stores, name, known, Operator())


def said(house: House, count: int, *, desk: str = "pairs", start: int = 1, people: int = 2) -> list[Annotation]:
    """Right answers on pairs of samples, one an annotation; some check the accuracy, one is a skip."""
    rng, ids = np.random.default_rng(start), sorted(house.labels)
    made = []
    for number in range(start, start + count):
        first, second = (ids[row] for row in rng.choice(len(ids), 2, replace=False))
        key, person, at = AnnotationKey(desk, number), str(number % people + 1), int(NOW * 1e6) - 1000 + number
        same = house.labels[first] == house.labels[second]
        purpose = Purpose.VERIFY if number % 7 == 0 else Purpose.PLACE
        verdict = Verdict.SAME if same else Verdict.DIFFERENT
        answer = Answer(
            key, Pair.of(first, second), verdict, person, at, predicted=0.5, purpose=purpose, candidate=second
        )
        made.append(Annotation(key, number, f"{number:016x}", person, at, (answer,), seconds=2.5))
    skipped = AnnotationKey(desk, start + count)
    return [*made, Annotation(skipped, start + count, "0" * 16, "1", int(NOW * 1e6), (), skipped=True, note="skipped")]
