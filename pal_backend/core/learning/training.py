"""Trains a backbone on the similarity graph and computes the features of all images."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pal_backend.core.learning import model
from pal_backend.core.learning.backbones import MakeBackbone, Tuning, small
from pal_backend.core.learning.graph import TrainingGraph
from pal_backend.core.learning.loop import Positives, Run
from pal_backend.core.learning.ranks import ALONE, Ranks, check_alike
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.errors import InputError

Report = Callable[[dict[str, Any]], None]
KEEP_SHARE = 0.05
"""At most so much of the time goes into keeping checkpoints, however large the network."""


@dataclass(frozen=True)
class Trained:
    """What a training made.

    Args:
        weights: the network as a safetensors file; :func:`embed` reads it.
        features: float32 (N, D), of the images as they are, each column with mean 0 and standard deviation 1.
        history: for each finished epoch the means of the loss, its parts and the positives per row.
        precision: measured share of the prior's edges that are the same, at the end.
        seconds: wall-clock time, of all sittings if it was resumed.
        stopped: ended early because it was asked to.
        warm: went on from the weights given.
        sittings: processes that worked on it, more than one if it was resumed.
    """

    weights: bytes
    features: NDArray[np.float32]
    history: tuple[dict[str, float], ...]
    precision: float
    seconds: float
    stopped: bool
    warm: bool
    sittings: int = 1

    @property
    def losses(self) -> tuple[float, ...]:
        """Mean loss of each finished epoch."""
        return tuple(means["loss"] for means in self.history)


def train(
    images: NDArray[np.uint8] | NDArray[np.float32],
    graph: TrainingGraph,
    settings: TrainingSettings,
    *,
    backbone: MakeBackbone = small,
    tuning: Tuning = Tuning.FULL,
    positives: Positives | None = None,
    progress: Report = lambda state: None,
    should_stop: Callable[[], bool] = lambda: False,
    warm_start: bytes | None = None,
    checkpoint: bytes | None = None,
    keep: Callable[[bytes], None] | None = None,
    ranks: Ranks = ALONE,
) -> Trained:
    """Train on ``images``, uint8 (N, S, S, C), row by row the samples of ``graph``.

    On the CPU the same arguments and number of threads give the same result to the last bit, interrupted or not.

    Args:
        images: the pool; or features made elsewhere, float32 (N, D), of which there are no views.
        graph: what is alike.
        settings: how to train.
        backbone: makes the network.
        tuning: how much of it learns; with FROZEN no step is made.
        positives: from features, float32 (N, D), to the prior neighbours, asked every ``refresh`` epochs of the recipe.
        progress: called after each epoch with epoch, of, loss, parts (of the loss, by name), positives (per row),
            images_per_second and precision (of the prior), all plain numbers.
        should_stop: asked before each step; if true a checkpoint is kept, the training ends, and its result is marked.
        warm_start: weights of an earlier training; not used if they are of another shape.
        checkpoint: what ``keep`` was given by a training with the same arguments; it goes on there.
        keep: takes a checkpoint (a safetensors file) from time to time.
        ranks: the processes that train together, each of which is called with the same arguments; only the first needs
            ``progress`` and ``keep``, and a checkpoint of theirs is the same whatever their number.

    Raises:
        InputError: the recipe is one for a single process, or batches are too small for so many.
        UnavailableError: the processes do not begin with the same.
        ValueError: images and graph are of different sizes.
        CheckpointError: the checkpoint is damaged or belongs to another training.
    """
    if len(images) != graph.size:
        raise ValueError(f"{len(images)} images do not fit a graph of {graph.size} samples")
    if ranks.size > 1 and not settings.recipe.ranks:
        raise InputError(f"the recipe {settings.recipe.name} trains on one process, found {ranks.size}; start one")
    run = Run.start(
        images, graph, settings, pick_device(settings.device),
        backbone=backbone, tuning=tuning, positives=positives, warm_start=warm_start,
        ranks=ranks,
    )  # fmt: skip
    check_alike(run.digest, ranks)
    if checkpoint is not None:
        run.resume(checkpoint)
    keeper = _Keeper(run, keep, settings.keep_seconds)
    of = 0 if tuning is Tuning.FROZEN else settings.epochs
    stopped = False
    while run.place.epoch < of:
        state = run.epoch(should_stop, keeper.keep_if_due)
        if state is None:
            keeper.keep_now()
            stopped = True
            break
        progress({"epoch": run.place.epoch, "of": of, **state, "precision": run.graph.precision})
    weights, features = model.pack(run.model, run.images, ranks)
    return Trained(
        weights=weights,
        features=features,
        history=tuple(run.place.history),
        precision=run.graph.precision,
        seconds=keeper.seconds(),
        stopped=stopped,
        warm=run.place.warm,
        sittings=run.place.sittings,
    )


class _Keeper:
    """Keeps a run's checkpoint now and then, in at most :data:`KEEP_SHARE` of the time."""

    def __init__(self, run: Run, keep: Callable[[bytes], None] | None, every: float) -> None:
        self._run, self._keep, self._every = run, keep, every
        self._before, self._started = run.place.seconds, time.perf_counter()
        self._due = self._started + every

    def seconds(self) -> float:
        """Worked on the run so far."""
        return self._before + time.perf_counter() - self._started

    def keep_now(self) -> None:
        if self._keep is None:
            return
        begun = time.perf_counter()
        self._run.place.seconds = self.seconds()
        self._keep(self._run.checkpoint())
        ended = time.perf_counter()
        self._due = ended + (self._every and max(self._every, (ended - begun) / KEEP_SHARE))

    def keep_if_due(self) -> None:
        if time.perf_counter() >= self._due:
            self.keep_now()


def embed(
    weights: bytes,
    images: NDArray[np.uint8] | NDArray[np.float32],
    *,
    backbone: MakeBackbone = small,
    device: str = "auto",
) -> NDArray[np.float32]:
    """Features, float32 (N, D), of images, uint8 (N, S, S, C), under weights that :func:`train` returned.

    The columns are scaled as for the images of the training, so that images which came later lie in the same space.

    Raises:
        ValueError: the weights are damaged, of another backbone, or of another number of channels.
    """
    return model.embed(weights, images, backbone=backbone, device=pick_device(device))


def pick_device(name: str) -> torch.device:
    """auto: CUDA if there is a device, else the CPU."""
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)
