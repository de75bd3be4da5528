"""One training on the similarity graph, in the steps that the train job, ``pal train`` and ``pal simulate`` share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.learner import Learner
from pal_backend.core.learning.backbones import MakeBackbone, Tuning
from pal_backend.core.learning.graph import TrainingGraph, build_training_graph, prior_edges
from pal_backend.core.learning.judging import Judgement, for_training
from pal_backend.core.learning.loop import Positives
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
    prior: sparse.csr_array | None = None,
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
        prior: neighbours by the recipe's rule, where somebody has worked them out already.
        progress, should_stop, warm_start, checkpoint, keep: as of :func:`pal_backend.core.learning.training.train`.

    Raises:
        InputError: the recipe names a space or a loss that is not there.
        ValueError: the checkpoint belongs to another training.
    """
    known = for_training(answers)
    learner = learned(space, known)
    return train(
        material.seen,
        graph_of(material, learner, known, settings, prior),
        settings,
        backbone=material.backbone,
        tuning=material.tuning,
        positives=renewed(learner, settings),
        progress=progress,
        should_stop=should_stop,
        warm_start=warm_start,
        checkpoint=checkpoint,
        keep=keep,
    )


def learned(space: Space, known: Iterable[Answer]) -> Learner:
    """A learner in a space, with the answers of :func:`~pal_backend.core.learning.judging.for_training`."""
    learner = Learner(space)
    learner.set_answers(known)
    return learner


def graph_of(
    material: Material,
    learner: Learner,
    known: Iterable[Answer],
    settings: TrainingSettings,
    prior: sparse.csr_array | None = None,
) -> TrainingGraph:
    """The graph to train on.

    Args:
        material: images and network.
        learner: that has learned them.
        known: the answers to train on.
        settings: with the recipe.
        prior: neighbours, float32 (N, N), by the recipe's rule, where somebody has worked them out already.

    Raises:
        InputError: the recipe names a space that is not there.
    """
    near = _prior(settings.recipe.neighbours, material, learner.space, settings) if prior is None else prior
    return build_training_graph(learner.space, known, prior=believed(near, learner), recipe=settings.recipe)


def renewed(learner: Learner, settings: TrainingSettings) -> Positives | None:
    """What takes prior neighbours anew from features, (N, D), where the recipe wants it."""
    rule = settings.recipe.neighbours
    return (lambda features: believed(positives(features, rule), learner)) if rule.refresh else None


def believed(prior: sparse.csr_array, learner: Learner) -> sparse.csr_array:
    r"""Prior edges by what the answers so far make of each of them, float32 csr (N, N).

    :math:`w_{ij} \min(1, p_{ij} / \bar p)`, p the learner's P(same) and :math:`\bar p` its mean over the edges: the measured
    precision says how far the prior can be trusted on the whole, and beliefs say where. A neighbour that answers put into
    another group hardly counts any more. Before there are groups nothing changes.

    Args:
        prior: float32 (N, N), symmetric, weights in (0, 1].
        learner: that knows the answers of the training, and none that is held out.
    """
    posterior = learner.posterior()
    edges = prior.tocoo()
    if not posterior.groups or not edges.nnz:
        return prior
    rows, columns = edges.row.astype(np.int64), edges.col.astype(np.int64)
    p = posterior.probability_same(rows, columns)
    weights = (edges.data * np.minimum(1.0, p / p.mean())).astype(np.float32)
    return sparse.csr_array((weights, (rows, columns)), shape=prior.shape)


def _prior(rule: NeighbourRule, material: Material, space: Space, settings: TrainingSettings) -> sparse.csr_array:
    """Prior neighbours by the rule; where it says nothing more than "the version in use", that space's own edges."""
    if replace(rule, refresh=0) == NeighbourRule():
        return prior_edges(space)
    if rule.space == "backbone" and material.seen.ndim == 2:  # features made elsewhere are those of their backbone
        return positives(material.seen.astype(np.float32), rule)
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
