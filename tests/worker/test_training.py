"""The train job, killed and started again."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pal_backend.backbones import backbone
from pal_backend.core.choice import Choice
from pal_backend.core.learning.backbones import Tuning
from pal_backend.core.learning.retraining import Material, retrain
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.neighbours import build_space
from pal_backend.core.vocabulary import Annotation, AnnotationKey, Answer, Pair, Verdict
from pal_backend.errors import ConflictError, UnavailableError
from pal_backend.pool_index import load_images, load_samples
from pal_backend.queues import Queues
from pal_backend.settings import Settings
from pal_backend.store.stores import Stores
from tests.worker.processes import kill_all, start_worker, until
from tests.worker.test_networks import NAME, Trainer
from worker import training


@pytest.fixture
def trainer(settings: Settings, stores: Stores, tmp_path: Path) -> Trainer:
    """A worker that trains for six epochs and keeps where it is after every step."""
    return Trainer(replace(settings, train_epochs=6, device="cpu", checkpoint_seconds=0), stores, tmp_path / "pool")


def epochs(state: dict[str, Any]) -> list[int]:
    """The epoch of the training that a report is about, if it is about one; the autoencoder has epochs too."""
    return [state["epoch"]] if "precision" in state else []


def one_more_answer(trainer: Trainer) -> None:
    """From another person, on the first and the third sample."""
    first, _, third, *_ = load_samples(trainer.stores.artefacts, NAME)
    key = AnnotationKey("pairs", 999)
    answer = Answer(key, Pair.of(first.id, third.id), Verdict.DIFFERENT, "8", 999)
    trainer.stores.answers(NAME).put([Annotation(key, 999, "q999", "8", 999, (answer,))])


@pytest.mark.parametrize("name", ["simclr", "gps-autoencoder"])
def test_a_stopped_training_goes_on_with_the_answers_it_began_with(trainer: Trainer, name: str) -> None:
    """Asked to stop it fails with a word for the retry; the retry trains on the same answers to the same result, though
    another answer has come meanwhile. A job of another revision begins anew with all of them.
    """
    trainer.choose(Choice(recipe=name))
    whole = trainer.train()  # refused: too few answers are held out to judge it by
    done: list[int] = []
    snapshot = training.take_snapshot(trainer.shop, NAME, 1)
    with pytest.raises(UnavailableError, match="goes on where it was"):
        training.run(trainer.shop, snapshot, lambda state: done.extend(epochs(state)), lambda: len(done) > 1)
    one_more_answer(trainer)
    assert (trainer.stores.unfinished(NAME).prior() is None) == (name == "simclr")

    again = training.take_snapshot(trainer.shop, NAME, 1)
    told: list[int] = []
    trained = training.run(trainer.shop, again, lambda state: told.extend(epochs(state)), lambda: False)
    other = training.take_snapshot(trainer.shop, NAME, 2)

    assert [a.key for a in again.annotations] == [a.key for a in snapshot.annotations]
    assert (trained.sittings, told) == (2, [3, 4, 5, 6])
    assert (trained.features == whole.features).all()
    assert len(other.annotations) == len(snapshot.annotations) + 1
    assert trainer.stores.unfinished(NAME).checkpoint() is None


def test_an_orphan_ends_when_its_job_was_started_again(trainer: Trainer) -> None:
    """It keeps nothing more and publishes nothing."""
    orphan = training.take_snapshot(trainer.shop, NAME, 1)
    training.take_snapshot(trainer.shop, NAME, 1)
    with pytest.raises(ConflictError, match="overtaken"):
        training.run(trainer.shop, orphan, lambda state: None, lambda: False)


def test_a_checkpoint_that_cannot_be_used_costs_a_new_start(trainer: Trainer) -> None:
    """Damaged, or of other settings: the training begins anew and ends as if there had been none."""
    whole = training.run(trainer.shop, training.take_snapshot(trainer.shop, NAME, 1), lambda state: None, lambda: False)
    snapshot = training.take_snapshot(trainer.shop, NAME, 1)
    trainer.stores.unfinished(NAME).keep(snapshot.attempt, b"damaged")
    trained = training.run(trainer.shop, snapshot, lambda state: None, lambda: False)
    assert (trained.sittings, trained.weights) == (1, whole.weights)


def test_a_published_version_tells_how_it_was_trained_and_leaves_no_checkpoint(trainer: Trainer) -> None:
    """Epochs, parts of the loss of each, and the measured precision of the prior stand in its metrics."""
    version = trainer.train()
    assert version.metrics["epochs"] == len(version.metrics["parts"]) == len(version.metrics["losses"]) == 6
    assert {"attraction", "repulsion", "positives"} <= set(version.metrics["parts"][0])
    assert 0 < version.metrics["precision"] < 1
    assert (version.metrics["sittings"], version.metrics["tuning"]) == (1, "full")
    assert not trainer.stores.artefacts.exists(f"projects/{NAME}/training")


def test_losses_of_the_pretext_task_are_published_and_passed_on(trainer: Trainer) -> None:
    """Learned where the strategy asks for them and the version has none; the next training takes them from the version."""
    snapshot = training.take_snapshot(trainer.shop, NAME, 1)
    told: list[dict[str, Any]] = []
    assert training.pretext_losses(trainer.shop, snapshot, told.append, lambda: False) is None
    asking = replace(snapshot, project=replace(snapshot.project, strategy="pt4al"))
    losses = training.pretext_losses(trainer.shop, asking, told.append, lambda: False)
    assert losses is not None
    assert losses.shape == (len(snapshot.samples),)
    assert {state["doing"] for state in told} == {"pretext"}
    trained = training.run(trainer.shop, asking, lambda state: None, lambda: False)
    outcome = training.publish(trainer.shop, replace(asking, difficulty=losses), trained)
    version = trainer.stores.versions(NAME).load(outcome["version"])
    assert version.pretext == "rotation"
    np.testing.assert_array_equal(version.difficulty, losses)
    told.clear()
    again = training.pretext_losses(trainer.shop, replace(asking, version=version), told.append, lambda: False)
    np.testing.assert_array_equal(again, losses)
    assert told == []
    with pytest.raises(UnavailableError, match="goes on where it was"):
        training.pretext_losses(trainer.shop, asking, told.append, lambda: True)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_training_job_goes_on_where_it_was(trainer: Trainer, tmp_path: Path) -> None:
    """Worker and horse killed in the middle, an answer meanwhile: the retried job publishes, bit for bit, what an unbroken
    training on the answers of the beginning gives.
    """
    settings, stores = replace(trainer.shop.settings, train_epochs=12), trainer.stores
    unfinished, versions = stores.unfinished(NAME), stores.versions(NAME)
    before = stores.answers(NAME).count()
    worker = start_worker(settings, tmp_path / "worker.log", ("train",))
    try:
        Queues(settings.redis_url).train(NAME, 1)
        until(lambda: unfinished.checkpoint() is not None, "a checkpoint is kept", seconds=400)
        kill_all(worker)
        assert versions.current() == "v0000"
        one_more_answer(trainer)
        worker = start_worker(settings, tmp_path / "worker.log", ("train",))
        until(lambda: "v0001" in [version["id"] for version in versions.list()], "a version is published", seconds=400)
    finally:
        os.kill(worker.pid, signal.SIGTERM)
        worker.wait(60)
    version = versions.load("v0001")
    assert version.metrics["sittings"] == 2
    assert version.made_from_answers == before
    start = versions.load("v0000")
    answers = [answer for annotation in versions.answers_of("v0001") for answer in annotation.answers]
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) - 1))
    images = load_images(stores.artefacts, NAME)
    unbroken = retrain(
        Material(images, images, backbone("small"), Tuning.FULL),
        build_space(start.sample_ids, start.features),
        answers,
        TrainingSettings(epochs=12, seed=settings.seed, device="cpu"),
    )
    torch.set_num_threads(threads)
    assert unbroken.weights == versions.weights_of("v0001")
    assert not stores.artefacts.exists(f"projects/{NAME}/training")
