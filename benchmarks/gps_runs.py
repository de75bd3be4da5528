"""One training of ``benchmarks.gps``, the features of a prior, and their probe."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.images import LabelledImages
from benchmarks.pretrained import efficientnet_lite0
from pal_backend.core.evaluation import knn_accuracy, linear_probe
from pal_backend.core.learning.autoencoder import train_autoencoder
from pal_backend.core.learning.batches import UNIFORM, compose
from pal_backend.core.learning.graph import build_training_graph
from pal_backend.core.learning.pixels import Components
from pal_backend.core.learning.positives import positives
from pal_backend.core.learning.prior import backbone_features
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.learning.training import embed, train
from pal_backend.core.neighbours import Space
from pal_backend.core.recipes import RECIPES, NeighbourRule, Recipe, Shares
from pal_backend.errors import InputError

SIMCLR = "simclr"
"""Without a prior."""
PRIORS = ("pca", "autoencoder", "pretrained")
SPACES = {SIMCLR: "none", "pca": "pca", "autoencoder": "autoencoder", "pretrained": "backbone"}
GUIDED = replace(
    RECIPES["gps-simclr"],
    view=0.1,
    shares=Shares(components=0.0, prior=0.8, cannot=0.0),
    neighbours=NeighbourRule(k=10, mutual=True),
)
"""GPS-SSL as in the paper, where there are no answers: a positive is a neighbour, and a sample's own view hardly counts
unless it has none; four samples in five come with a neighbour. How these were chosen stands in docs/benchmarks.md."""

Run = dict[str, Any]
"""A finished run, as it stands in the JSON: ``job``, ``probe`` and more."""
Floats = NDArray[np.float32]
Tell = Callable[[str, float], None]


@dataclass(frozen=True)
class Job:
    """What tells one run from another. Without augmentation it is the probe of a prior alone."""

    data: str
    augmentation: str
    method: str
    seed: int
    passes: int
    batch: int

    @classmethod
    def judging(cls, data: LabelledImages, prior: str, seed: int) -> Job:
        """The probe of a prior's features; only the autoencoder's depend on the seed."""
        return cls(data.digest, "", prior, seed if prior == "autoencoder" else 0, 0, 0)

    @property
    def judges(self) -> bool:
        """Whether nothing is trained."""
        return not self.augmentation

    @property
    def how(self) -> str:
        """What else decides the result."""
        return repr(GUIDED.neighbours if self.judges else self.recipe)

    @property
    def recipe(self) -> Recipe:
        """GPS-SimCLR with this prior; SimCLR is the same without neighbours, in uniform batches."""
        chosen = replace(
            GUIDED, augmentation=self.augmentation, neighbours=replace(GUIDED.neighbours, space=SPACES[self.method])
        )
        return replace(chosen, shares=UNIFORM) if self.method == SIMCLR else chosen


class PriorFeatures:
    """Features of all images in the space of a prior that has learned from the images not held out; made once.

    Args:
        data: the images.
        held: bool (N,), images that no prior may learn from.
        beside: they are kept in files beside this one, if any.
        tell: gets words and the share done.
    """

    def __init__(self, data: LabelledImages, held: NDArray[np.bool_], beside: Path | None, tell: Tell) -> None:
        self.data, self.held, self.beside, self.tell = data, held, beside, tell
        self.made: dict[str, Floats] = {}

    def of(self, prior: str, seed: int) -> Floats:
        """Features float32 (N, D).

        Raises:
            InputError: there is no such prior.
        """
        name = f"{prior}-{Job.judging(self.data, prior, seed).seed}-{self.data.digest}"
        file = self.beside.with_name(f"{self.beside.stem}.{name}.npy") if self.beside else None
        if name not in self.made and file is not None and file.exists():
            self.made[name] = np.load(file, allow_pickle=False)
        if name not in self.made:
            self.made[name] = self._make(prior, seed)
            if file is not None:
                np.save(file, self.made[name])
        return self.made[name]

    def _make(self, prior: str, seed: int) -> Floats:
        images, learned_from = self.data.images, self.data.images[~self.held]

        def told(state: dict[str, Any]) -> None:
            self.tell(f"{prior} features", state.get("done", state.get("epoch", 0)) / state["of"])

        if prior == "pca":
            return Components.of(learned_from).features(images)
        if prior == "autoencoder":
            return train_autoencoder(learned_from, seed=seed, progress=told).features(images)
        if prior == "pretrained":
            return backbone_features(images, efficientnet_lite0, seed=seed, device=torch.device("cpu"), progress=told)
        raise InputError(f"method {prior!r} is not known; use some of {SIMCLR}, {', '.join(PRIORS)}")


def judge_prior(data: LabelledImages, held: NDArray[np.bool_], features: Floats) -> Run:
    """The probe of a prior alone, and what its neighbours are like."""
    graph = positives(features[~held], GUIDED.neighbours).tocoo()
    labels = data.labels[~held]
    return {
        **_scores(features, data, held),
        "precision": float((labels[graph.row] == labels[graph.col]).mean()),
        "largest_degree": int(np.bincount(graph.row).max()),
    }


def run(data: LabelledImages, held: NDArray[np.bool_], job: Job, features: Floats | None, tell: Tell) -> Run:
    """Train once and probe: on features of the images that were trained on, scored on those held out."""
    images, recipe = data.images[~held], job.recipe
    prior = _neighbours(len(images), features if features is None else features[~held], recipe.neighbours)
    ids = tuple(f"{row:016x}" for row in range(len(images)))
    space = Space(ids, np.zeros((len(images), 1), np.float32), prior)
    graph = build_training_graph(space, [], prior=prior, recipe=recipe)
    _, batches = compose(graph, job.batch, recipe.shares)
    epochs = max(1, round(job.passes * len(images) / job.batch / batches))
    words = f"{job.method}, {job.augmentation}, seed {job.seed}"
    tell(words, 0.0)
    started = time.perf_counter()
    trained = train(
        images, graph, TrainingSettings.of(recipe, epochs=epochs, batch=job.batch, seed=job.seed, device="cpu"),
        progress=lambda state: tell(words, state["epoch"] / state["of"]),
    )  # fmt: skip
    seconds = time.perf_counter() - started
    learned = np.empty((len(held), trained.features.shape[1]), np.float32)
    learned[~held], learned[held] = trained.features, embed(trained.weights, data.images[held], device="cpu")
    return {
        **_scores(learned, data, held),
        "steps": epochs * batches,
        "epochs": epochs,
        "losses": [round(loss, 5) for loss in trained.losses],
        "seconds": round(seconds, 1),
    }


def _neighbours(n: int, features: Floats | None, rule: NeighbourRule) -> sparse.csr_array:
    return sparse.csr_array((n, n), dtype=np.float32) if features is None else positives(features, rule)


def _scores(features: Floats, data: LabelledImages, held: NDArray[np.bool_]) -> dict[str, float]:
    return {"probe": linear_probe(features, data.labels, held), "knn": knn_accuracy(features, data.labels, held)}
