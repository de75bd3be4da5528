"""One training of ``benchmarks.mobyv2al`` and its score."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.images import LabelledImages
from pal_backend.core.evaluation import linear_probe
from pal_backend.core.learning.backbones import Tuning, small
from pal_backend.core.learning.batches import UNIFORM, compose
from pal_backend.core.learning.graph import TrainingGraph
from pal_backend.core.learning.loop import Run
from pal_backend.core.learning.model import features_of
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.recipes import RECIPES, Recipe

METHODS = ("joint", "two-stage", "supervised")
MOBY = replace(RECIPES["mobyv2al"], augmentation="moby-strong", gentle="moby-weak")
"""As in the paper, whose views are made for such images."""
RECIPES_OF = {
    "joint": MOBY,
    "two-stage": replace(MOBY, shares=UNIFORM),
    "supervised": replace(MOBY, shares=UNIFORM, contrast=0.0, queue=1),
}
LABELLED = 0.5
"""Share of labelled images in a batch of the joint training; the supervised one has as many a step, and nothing else."""

Result = dict[str, Any]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Job:
    """What tells one run from another; the contrastive stage knows no labels: one is enough for heads on all of them."""

    data: str
    method: str
    labels: tuple[int, ...]
    seed: int
    steps: int
    batch: int

    @property
    def recipe(self) -> Recipe:
        """How it trains."""
        return RECIPES_OF[self.method]


def labelled_rows(pool: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Rows whose labels are known, uniformly from the pool; those of fewer labels are among those of more."""
    return np.sort(np.random.default_rng((seed, 7)).permutation(pool)[:count])


def graph_of(labels: NDArray[np.int64]) -> TrainingGraph:
    """The graph that labels give, -1 for none: one component for each class, all of them known to be different."""
    _, components = np.unique(labels[labels >= 0], return_inverse=True)
    found = np.full(len(labels), -1, np.int64)
    found[labels >= 0] = components
    classes = int(found.max(initial=-1)) + 1
    first, second = np.triu_indices(classes, 1)
    return TrainingGraph(
        prior=sparse.csr_array((len(labels), len(labels)), dtype=np.float32),
        pairs=np.empty((0, 2), np.int64),
        signed=np.empty(0, np.float32),
        components=found,
        cannot=np.stack([first, second], axis=1).astype(np.int64),
    )


def run(data: LabelledImages, held: Bools, job: Job, tell: Callable[[str, float], None]) -> Result:
    """Train once, and score on the images held out: by the classifier trained along, and by heads on frozen features."""
    pool = np.flatnonzero(~held)
    rows = labelled_rows(pool, job.labels[0], job.seed)
    shown = pool if job.method != "supervised" else rows
    known = np.full(len(data.labels), -1, np.int64)
    if job.method != "two-stage":
        known[rows] = data.labels[rows]
    graph = graph_of(known[shown])
    batch = job.batch if job.method != "supervised" else round(job.batch * LABELLED)
    _, batches = compose(graph, batch, job.recipe.shares)
    settings = TrainingSettings.of(
        job.recipe, epochs=max(1, round(job.steps / batches)), batch=batch, seed=job.seed, device="cpu"
    )
    started = time.perf_counter()
    training = Run.start(
        data.images[shown], graph, settings, torch.device("cpu"),
        backbone=small, tuning=Tuning.FULL, positives=None, warm_start=None,
    )  # fmt: skip
    words = f"{job.method}, {'/'.join(map(str, job.labels))} labels, seed {job.seed}"
    while training.place.epoch < settings.epochs:
        tell(words, training.place.epoch / settings.epochs)
        training.epoch(lambda: False, lambda: None)
    features = features_of(training.model, torch.from_numpy(data.images))
    found: Result = {
        "steps": training.place.step,
        "seconds": round(time.perf_counter() - started, 1),
        "last": {name: round(value, 4) for name, value in training.place.history[-1].items()},
    }
    if job.method != "two-stage":
        found["classifier"] = _classified(training, features, data, rows, held)
    found["heads"] = {
        str(count): head(features.numpy(), data, held, labelled_rows(pool, count, job.seed)) for count in job.labels
    }
    return found


def head(features: NDArray[np.float32], data: LabelledImages, held: Bools, rows: NDArray[np.int64]) -> float:
    """Accuracy on the images held out of a linear head (logistic regression) on the features of the labelled ones."""
    used = held.copy()
    used[rows] = True
    return linear_probe(features[used], data.labels[used], held[used])


@torch.inference_mode()
def _classified(
    training: Run, features: torch.Tensor, data: LabelledImages, rows: NDArray[np.int64], held: Bools
) -> float:
    """Accuracy on the images held out of the classifier that was trained along."""
    assert training.momentum is not None
    classes = np.unique(data.labels[rows])
    chosen = training.momentum.classifier(features[torch.from_numpy(held)]).argmax(dim=1).numpy()
    return float((classes[chosen] == data.labels[held]).mean())
