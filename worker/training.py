"""The train job in its steps: snapshot, train, judge and publish."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.learning.graph import build_training_graph
from pal_backend.core.learning.judging import Judgement, for_training, judge
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.learning.training import Trained, train
from pal_backend.core.neighbours import Space, build_space
from pal_backend.core.recipes import recipe
from pal_backend.core.vocabulary import Annotation, Answer
from pal_backend.errors import ConflictError, UnavailableError
from pal_backend.pool_index import load_images, load_samples
from pal_backend.store.projects import Project
from pal_backend.store.version_files import Version
from worker.bootstrap import Workshop

log = logging.getLogger(__name__)

Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Snapshot:
    """What a training works on; taken once, so that answers that come meanwhile do not shift under it."""

    project: Project
    version: Version
    space: Space
    images: NDArray[np.uint8]
    annotations: list[Annotation]

    @property
    def answers(self) -> list[Answer]:
        """Every answer of every annotation."""
        return [answer for annotation in self.annotations for answer in annotation.answers]


def take_snapshot(shop: Workshop, name: str) -> Snapshot:
    """The current version, its images and the answers as they stand.

    Raises:
        ConflictError: the pool has samples that the version does not know; ingest makes a version first.
    """
    project = shop.stores.projects.get(name)
    versions = shop.stores.versions(name)
    version = versions.load(versions.current_or_fail())
    pool = [sample.id for sample in load_samples(shop.stores.artefacts, name)]
    row = {sample: number for number, sample in enumerate(pool)}
    if any(sample not in row for sample in version.sample_ids):
        raise ConflictError(
            f"version {version.id} of {name} has samples that the pool has not; expected the pool it was made from; "
            "restore the pool folder in the artefacts"
        )
    images = load_images(shop.stores.artefacts, name)[[row[sample] for sample in version.sample_ids]]
    return Snapshot(
        project=project,
        version=version,
        space=build_space(version.sample_ids, version.features),
        images=images,
        annotations=shop.stores.answers(name).all(),
    )


def run(shop: Workshop, snapshot: Snapshot, progress: Progress, should_stop: Callable[[], bool]) -> Trained:
    """Train on everything but the answered pairs that are held out for judging.

    Raises:
        UnavailableError: the worker was stopped; the next sitting asks again.
    """
    settings, chosen = shop.settings, recipe(snapshot.project.recipe)
    torch.set_num_threads(max(1, (os.cpu_count() or 1) - 1))  # one core stays with answers and pages
    trained = train(
        snapshot.images,
        build_training_graph(snapshot.space, for_training(snapshot.answers), recipe=chosen),
        TrainingSettings.of(chosen, epochs=settings.train_epochs, seed=settings.seed, device=settings.device),
        progress=progress,
        should_stop=should_stop,
        warm_start=shop.stores.versions(snapshot.project.name).weights_of(snapshot.version.id),
    )
    if trained.stopped:
        raise UnavailableError("the training was stopped with its worker; the next sitting asks for it again")
    return trained


def publish(shop: Workshop, snapshot: Snapshot, trained: Trained) -> dict[str, Any]:
    """Keep the version; make it current if it explains the held-out answers no worse than the one in use."""
    versions = shop.stores.versions(snapshot.project.name)
    judgement = judge(snapshot.version.features, trained.features, snapshot.version.sample_ids, snapshot.answers)
    version = Version(
        id=versions.next_id(),
        sample_ids=snapshot.version.sample_ids,
        features=trained.features,
        recipe=snapshot.project.recipe,
        made_from_answers=len(snapshot.annotations),
        note=judgement.reason,
        metrics=_metrics(snapshot, trained, judgement),
    )
    versions.write(version, trained.weights, snapshot.annotations)
    if not judgement.accepted:
        versions.refuse(version.id, judgement.reason)
    else:
        try:
            versions.make_current(version.id, expected=snapshot.version.id)
        except ConflictError as overtaken:
            versions.refuse(version.id, str(overtaken))
    log.info("%s %s: %s", snapshot.project.name, version.id, judgement.reason)
    return {"version": version.id, "current": versions.current() == version.id, "reason": judgement.reason}


def _metrics(snapshot: Snapshot, trained: Trained, judgement: Judgement) -> dict[str, Any]:
    known = SimilarityGraph.of(snapshot.answers).component
    return {
        "joined_samples": sum(sample in known for sample in snapshot.version.sample_ids),
        "seconds": round(trained.seconds, 3),
        "losses": [round(loss, 5) for loss in trained.losses],
        "log_loss_before": _finite(judgement.old),
        "log_loss_after": _finite(judgement.new),
        "held_out_pairs": judgement.pairs,
        "from": snapshot.version.id,
    }


def _finite(value: float) -> float | None:
    """JSON knows no NaN: None where nothing could be measured."""
    return round(value, 5) if np.isfinite(value) else None
