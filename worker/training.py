"""The train job in its steps: snapshot, train, judge and publish."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from pal_backend.choosing import settled
from pal_backend.core.choice import Tuning
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.learning.checkpoint import CheckpointError, pack_prior, unpack_prior
from pal_backend.core.learning.judging import Judgement, judge
from pal_backend.core.learning.positives import positives
from pal_backend.core.learning.prior import prior_neighbours
from pal_backend.core.learning.retraining import Material
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.learning.training import Trained, pick_device
from pal_backend.core.neighbours import Space, build_space
from pal_backend.core.recipes import NeighbourRule, pretext_of, recipe
from pal_backend.core.vocabulary import Annotation, Answer, Medium
from pal_backend.coverage import GIVEN
from pal_backend.errors import ConflictError, UnavailableError
from pal_backend.material import material_of
from pal_backend.pool_index import PoolSample, load_images, load_samples
from pal_backend.pretexts import difficulty_for
from pal_backend.rank_processes import processes_for, retrain_on
from pal_backend.store.projects import Project
from pal_backend.store.unfinished import Start
from pal_backend.store.version_files import Version
from pal_backend.text_features import text_features
from worker.bootstrap import Workshop
from worker.networks import as_it_comes, goes_on, made_by

log = logging.getLogger(__name__)

Progress = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Snapshot:
    """What a training works on; taken once, so that answers that come meanwhile do not shift under it."""

    project: Project
    """With recipe, backbone, weights and tuning as they count now."""
    attempt: int
    """Number of this attempt, under which checkpoints are kept."""
    version: Version
    space: Space
    images: NDArray[np.uint8]
    samples: list[PoolSample]
    annotations: list[Annotation]
    difficulty: NDArray[np.float32] | None = None
    """Losses of the pretext task, float32 (N,), where recipe or strategy ask for them."""
    texts: NDArray[np.float32] | None = None
    """What the backbone saw in the texts, float32 (N, D), row by row; None of images."""

    @property
    def answers(self) -> list[Answer]:
        """Every answer of every annotation."""
        return [answer for annotation in self.annotations for answer in annotation.answers]


def take_snapshot(shop: Workshop, name: str, revision: int) -> Snapshot:
    """The current version, its images and the answers as they stand; or as they stood when a training of this very
    revision began that was killed since, if the version and the project's choice are still the same.

    Raises:
        ConflictError: the pool has samples that the version does not know; ingest makes a version first.
        InputError, AccessError: how the project is to learn cannot be used.
    """
    project = settled(shop.stores.projects.get(name), shop.stores, shop.operator)
    versions = shop.stores.versions(name)
    version = versions.load(versions.current_or_fail())
    pool = load_samples(shop.stores.artefacts, name)
    row = {sample.id: number for number, sample in enumerate(pool)}
    if any(sample not in row for sample in version.sample_ids):
        raise ConflictError(
            f"version {version.id} of {name} has samples that the pool has not; expected the pool it was made from; "
            "restore the pool folder in the artefacts"
        )
    rows = [row[sample] for sample in version.sample_ids]
    unfinished = shop.stores.unfinished(name)
    attempt, start = unfinished.claim(), unfinished.start()
    if start is None or not start.begun_by(revision, version.id, project.choice):
        start = Start(revision, version.id, project.choice, tuple(shop.stores.answers(name).all()))
        unfinished.begin(attempt, start)
    return Snapshot(
        project=project,
        attempt=attempt,
        version=version,
        space=build_space(version.sample_ids, version.features),
        images=_images(shop, project, rows),
        samples=[pool[place] for place in rows],
        annotations=list(start.annotations),
        difficulty=version.difficulty,
        texts=_texts(shop, project, rows),
    )


def _images(shop: Workshop, project: Project, rows: list[int]) -> NDArray[np.uint8]:
    if project.medium is Medium.TEXT:
        return np.zeros((len(rows), 1, 1, 1), np.uint8)
    return load_images(shop.stores.artefacts, project.name)[rows]


def _texts(shop: Workshop, project: Project, rows: list[int]) -> NDArray[np.float32] | None:
    if project.medium is not Medium.TEXT:
        return None
    # Not fitted anew here: the version, the training and what joins later must see the same columns.
    return text_features(shop.stores.artefacts, project.name, project.backbone, refit=False)[0][rows]


def run(shop: Workshop, snapshot: Snapshot, progress: Progress, should_stop: Callable[[], bool]) -> Trained:
    """Train on everything but the answered pairs that are held out for judging; go on from a checkpoint if there is one.

    Raises:
        UnavailableError: the worker was stopped, or one of several processes died; where it was is kept.
        ConflictError: another attempt at this training has begun.
        PalError: the backbone, its weights or the file of features cannot be used.
    """
    settings, choice, chosen = shop.settings, snapshot.project.choice, recipe(snapshot.project.recipe)
    material = material_of(choice, snapshot.images, snapshot.samples, snapshot.texts)
    versions, unfinished = shop.stores.versions(snapshot.project.name), shop.stores.unfinished(snapshot.project.name)
    torch.set_num_threads(max(1, (os.cpu_count() or 1) - 1))  # one core stays with answers and pages
    prior = _prior(shop, snapshot, material, progress, should_stop)
    progress({"doing": "training"})
    training = partial(
        retrain_on,
        material,
        snapshot.space,
        snapshot.annotations,
        TrainingSettings(
            recipe=chosen,
            epochs=settings.train_epochs,
            seed=settings.seed,
            device=settings.device,
            keep_seconds=settings.checkpoint_seconds,
        ),
        choice=choice,
        processes=1 if snapshot.texts is not None else processes_for(settings.train_processes, settings.device, choice),
        prior=prior,
        progress=progress,
        should_stop=should_stop,
        warm_start=versions.weights_of(snapshot.version.id) if goes_on(choice, snapshot.version) else None,
        keep=lambda checkpoint: unfinished.keep(snapshot.attempt, checkpoint),
    )
    try:
        trained = training(checkpoint=unfinished.checkpoint())
    except CheckpointError as problem:
        log.warning("%s: %s", snapshot.project.name, problem)
        trained = training()
    if trained.stopped:
        raise _stopped()
    return trained


def pretext_losses(
    shop: Workshop, snapshot: Snapshot, progress: Progress, should_stop: Callable[[], bool]
) -> NDArray[np.float32] | None:
    """Losses of the pretext task that recipe or strategy ask for: the version's own if it has them, else learned now.

    Raises:
        UnavailableError: the worker was stopped.
    """
    project, version = snapshot.project, snapshot.version
    if snapshot.texts is not None:
        return None
    found = difficulty_for(
        pretext_of(project.recipe, project.strategy),
        version,
        version.sample_ids,
        snapshot.images,
        seed=shop.settings.seed,
        device=shop.settings.device,
        progress=lambda state: progress({"doing": "pretext", **state}),
        should_stop=should_stop,
    )
    if should_stop():
        raise _stopped()
    return found


def _prior(
    shop: Workshop, snapshot: Snapshot, material: Material, progress: Progress, should_stop: Callable[[], bool]
) -> sparse.csr_array | None:
    """Prior neighbours by the recipe's rule, worked out once for a training; None for the version's own strongest edges.

    Raises:
        UnavailableError: the worker was stopped.
    """
    rule = recipe(snapshot.project.recipe).neighbours
    if replace(rule, refresh=0) == NeighbourRule():
        return None
    unfinished = shop.stores.unfinished(snapshot.project.name)
    kept = unfinished.prior()
    if kept is not None:
        try:
            return unpack_prior(kept, len(snapshot.version.sample_ids))
        except ValueError as problem:
            log.warning("%s: %s", snapshot.project.name, problem)
    if rule.space == "backbone" and material.seen.ndim == 2:  # features made elsewhere are those of their backbone
        return positives(material.seen.astype(np.float32), rule)
    found = prior_neighbours(
        rule,
        snapshot.images,
        snapshot.version.features,
        backbone=material.backbone,
        seed=shop.settings.seed,
        device=pick_device(shop.settings.device),
        progress=lambda state: progress({"doing": "prior neighbours", **state}),
        should_stop=should_stop,
    )
    if should_stop():
        raise _stopped()
    unfinished.keep_prior(snapshot.attempt, pack_prior(found))
    return found


def _stopped() -> UnavailableError:
    return UnavailableError("the training was stopped with its worker; it goes on where it was with the next one")


def take_as_it_comes(shop: Workshop, snapshot: Snapshot) -> dict[str, Any] | None:
    """Where nothing learns, publish the features as they come, unless they are in use; None where something learns.

    Raises:
        PalError: the backbone, its weights or the file of features cannot be used.
    """
    if snapshot.project.tuning != Tuning.FROZEN:
        return None
    if snapshot.texts is not None:  # a version of what another backbone saw is made when the pool is taken in
        return {"version": snapshot.version.id, "current": True, "reason": "nothing learns, since the tuning is frozen"}
    device = shop.settings.device
    found = as_it_comes(snapshot.project.choice, snapshot.version, snapshot.images, snapshot.samples, device)
    if found is None:
        return {"version": snapshot.version.id, "current": True, "reason": "nothing learns, since the tuning is frozen"}
    trained, note = found
    return publish(shop, snapshot, trained, GIVEN, note)


def publish(
    shop: Workshop, snapshot: Snapshot, trained: Trained, recipe_name: str = "", note: str = ""
) -> dict[str, Any]:
    """Keep the version; make it current if it explains the held-out answers no worse than the one in use.

    Args:
        shop: where it is kept.
        snapshot: what it was made from.
        trained: what was made.
        recipe_name: its recipe; that of the project if empty.
        note: about it; what the judgement says if empty.
    """
    versions = shop.stores.versions(snapshot.project.name)
    judgement = judge(snapshot.version.features, trained.features, snapshot.version.sample_ids, snapshot.answers)
    version = Version(
        id=versions.next_id(),
        sample_ids=snapshot.version.sample_ids,
        features=trained.features,
        recipe=recipe_name or snapshot.project.recipe,
        made_from_answers=len(snapshot.annotations),
        note=note or judgement.reason,
        metrics=_metrics(snapshot, trained, judgement),
        difficulty=snapshot.difficulty,
    )
    versions.write(version, trained.weights or None, snapshot.annotations)
    if not judgement.accepted:
        versions.refuse(version.id, judgement.reason)
    else:
        try:
            versions.make_current(version.id, expected=snapshot.version.id)
        except ConflictError as overtaken:
            versions.refuse(version.id, str(overtaken))
    shop.stores.unfinished(snapshot.project.name).finish(snapshot.attempt)
    log.info("%s %s: %s", snapshot.project.name, version.id, judgement.reason)
    return {"version": version.id, "current": versions.current() == version.id, "reason": judgement.reason}


def _metrics(snapshot: Snapshot, trained: Trained, judgement: Judgement) -> dict[str, Any]:
    known = SimilarityGraph.of(snapshot.answers).component
    return {
        "joined_samples": sum(sample in known for sample in snapshot.version.sample_ids),
        "seconds": round(trained.seconds, 3),
        "losses": [round(loss, 5) for loss in trained.losses],
        "parts": [
            {name: round(value, 5) for name, value in means.items() if name != "loss"} for means in trained.history
        ],
        "epochs": len(trained.history),
        "precision": round(trained.precision, 4),
        "sittings": trained.sittings,
        "log_loss_before": _finite(judgement.old),
        "log_loss_after": _finite(judgement.new),
        "held_out_pairs": judgement.pairs,
        "from": snapshot.version.id,
        "pretext": ""
        if snapshot.difficulty is None
        else pretext_of(snapshot.project.recipe, snapshot.project.strategy),
        **made_by(snapshot.project.choice),
    }


def _finite(value: float) -> float | None:
    """JSON knows no NaN: None where nothing could be measured."""
    return round(value, 5) if np.isfinite(value) else None
