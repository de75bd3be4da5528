"""One training on the similarity graph, in the steps that the train job, ``pal train`` and ``pal simulate`` share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.learning.backbones import MakeBackbone, Tuning
from pal_backend.core.learning.graph import build_training_graph
from pal_backend.core.learning.judging import Judgement, for_training
from pal_backend.core.learning.positives import positives
from pal_backend.core.learning.prior import prior_neighbours
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.learning.training import Report, Trained, pick_device, train
from pal_backend.core.neighbours import Space
from pal_backend.core.recipes import NeighbourRule
from pal_backend.core.vocabulary import Answer


@dataclass(frozen=True, eq=False)
class Material:
    """What a training works with.

    Args:
        images: uint8 (N, S, S, C).
        seen: what the network sees: the images, or features made elsewhere, float32 (N, D).
        backbone: makes the network.
        tuning: how much of it learns.
    """

    images: NDArray[np.uint8]
    seen: NDArray[np.uint8] | NDArray[np.float32]
    backbone: MakeBackbone
    tuning: Tuning


def retrain(
    material: Material,
    space: Space,
    answers: Iterable[Answer],
    settings: TrainingSettings,
    *,
    progress: Report = lambda state: None,
    should_stop: Callable[[], bool] = lambda: False,
    warm_start: bytes | None = None,
    checkpoint: bytes | None = None,
    keep: Callable[[bytes], None] | None = None,
) -> Trained:
    """Train on the graph that answers and prior neighbours give; pairs held out for judging are never seen.

    Args:
        material: images and network.
        space: the version in use: its neighbours are the prior where the recipe does not name another space.
        answers: all there are.
        settings: how to train, with the recipe.
        progress, should_stop, warm_start, checkpoint, keep: as of :func:`pal_backend.core.learning.training.train`.

    Raises:
        InputError: the recipe names a space or a loss that is not there.
        ValueError: the checkpoint belongs to another training.
    """
    rule = settings.recipe.neighbours
    graph = build_training_graph(
        space, for_training(answers), prior=_prior(rule, material, space, settings), recipe=settings.recipe
    )
    return train(
        material.seen,
        graph,
        settings,
        backbone=material.backbone,
        tuning=material.tuning,
        positives=(lambda features: positives(features, rule)) if rule.refresh else None,
        progress=progress,
        should_stop=should_stop,
        warm_start=warm_start,
        checkpoint=checkpoint,
        keep=keep,
    )


def _prior(
    rule: NeighbourRule, material: Material, space: Space, settings: TrainingSettings
) -> sparse.csr_array | None:
    """Prior neighbours by the rule; None where they are the edges of the space in use, which have degrees."""
    if rule == NeighbourRule():
        return None
    return prior_neighbours(
        rule,
        material.images,
        space.features,
        backbone=material.backbone,
        seed=settings.seed,
        device=pick_device(settings.device),
    )


def metrics_of(
    trained: Trained, judgement: Judgement, space: Space, answers: Iterable[Answer], settings: TrainingSettings
) -> dict[str, Any]:
    """What trained a version and how it was judged, as plain numbers and texts for ``version.json``."""
    known = SimilarityGraph.of(answers).component
    return {
        "joined_samples": sum(sample in known for sample in space.sample_ids),
        "seconds": round(trained.seconds, 3),
        "epochs": settings.epochs,
        "batch": settings.batch,
        "seed": settings.seed,
        "losses": [round(loss, 5) for loss in trained.losses],
        "parts": [{name: round(value, 5) for name, value in means.items()} for means in trained.history],
        "precision": round(trained.precision, 5),
        "log_loss_before": finite(judgement.old),
        "log_loss_after": finite(judgement.new),
        "held_out_pairs": judgement.pairs,
    }


def finite(value: float) -> float | None:
    """JSON knows no NaN: None where nothing could be measured."""
    return round(value, 5) if np.isfinite(value) else None
