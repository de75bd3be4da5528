"""MoBYv2AL and BYOL in training: the second encoder, and a test for every fault of the released code."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn.functional import mse_loss

from pal_backend.core.learning.backbones import Tuning, given, small
from pal_backend.core.learning.batches import Batch, Composition
from pal_backend.core.learning.graph import TrainingGraph
from pal_backend.core.learning.loop import Run
from pal_backend.core.learning.momentum import Momentum, momentum
from pal_backend.core.learning.objectives import GraphBatch, objective
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.learning.training import embed, train
from pal_backend.core.recipes import RECIPES
from pal_backend.errors import InputError
from tests.core.learning.graphs import graph_of
from tests.core.learning.tiny import IMAGES, KINDS, graph, separation

MOBY = dataclasses.replace(RECIPES["mobyv2al"], augmentation="weak")
QUICK = TrainingSettings.of(MOBY, epochs=3, batch=32, device="cpu")


def begun(of: TrainingGraph, settings: TrainingSettings = QUICK) -> tuple[Run, Momentum]:
    """A training before its first step."""
    run = Run.start(
        IMAGES, of, settings, torch.device("cpu"), backbone=small, tuning=Tuning.FULL, positives=None, warm_start=None
    )
    assert run.momentum is not None
    return run, run.momentum


def labelled(count: int) -> TrainingGraph:
    """The kinds of the first samples are known, and that the two kinds differ; nothing else."""
    return graph_of(48, [], [], components={row: int(KINDS[row]) for row in range(count)}, cannot=[(0, 1)])


def an_epoch(run: Run) -> None:
    """One pass."""
    run.epoch(lambda: False, lambda: None)


def test_the_second_encoder_follows_the_first() -> None:
    """It begins as a copy, its momentum rises to 1 by half a cosine, and after each step it is the running mean."""
    run, beside = begun(labelled(20))
    first = [parameter.clone() for parameter in run.model.parameters()]
    assert all(map(torch.equal, first, beside.encoder.parameters()))
    steps: list[float] = []
    follow = beside.follow

    def watched(model: torch.nn.Module, done: float) -> None:
        before = [parameter.clone() for parameter in beside.encoder.parameters()]
        follow(run.model, done)
        m = momentum(0.99, done)
        for old, new, other in zip(before, beside.encoder.parameters(), model.parameters(), strict=True):
            torch.testing.assert_close(new, m * old + (1 - m) * other)
        steps.append(done)

    beside.follow = watched  # type: ignore[assignment, method-assign]
    an_epoch(run)
    assert steps and 0 < steps[0] < steps[-1] < 0.5
    assert momentum(0.99, 0.0) == pytest.approx(0.99) and momentum(0.99, 1.0) == 1.0
    assert not any(parameter.requires_grad for parameter in beside.encoder.parameters())


def test_the_classifier_really_trains_and_its_learning_rate_really_falls() -> None:
    """In the released code its gradient is cleared before the step, and the schedule stands still."""
    run, beside = begun(labelled(40), dataclasses.replace(QUICK, epochs=20))
    before = beside.classifier.weight.clone()
    rates: list[float] = []
    for _ in range(20):
        run.epoch(lambda: False, lambda: rates.append(run.optimiser.param_groups[0]["lr"]))
    assert (beside.classifier.weight - before).abs().max() > 1e-3
    assert max(rates) == pytest.approx(MOBY.learning_rate, rel=0.05)
    assert rates[-1] < 0.01 * MOBY.learning_rate
    highest = int(np.argmax(rates))
    assert rates[highest:] == sorted(rates[highest:], reverse=True)
    first, last = run.place.history[0], run.place.history[-1]
    assert last["groups"] < first["groups"] and last["right"] > 0.9


def test_the_classifier_changes_in_one_step() -> None:
    """One batch with labels is enough."""
    run, beside = begun(labelled(40), dataclasses.replace(QUICK, batch=64))
    before = beside.classifier.weight.clone()
    run.epoch(lambda: run.place.step > 0, lambda: None)
    assert run.place.step == 1
    assert not torch.equal(beside.classifier.weight, before)


def test_samples_without_a_label_give_no_classification_loss() -> None:
    """No labels: a gradient of 0 and a loss of 0 in every batch, though the images are of two kinds all the same."""
    run, beside = begun(graph_of(48, [], []))
    an_epoch(run)
    assert run.place.history[0]["groups"] == 0.0
    assert beside.classifier.weight.grad is not None
    assert not beside.classifier.weight.grad.any()


def test_no_label_of_a_sample_outside_the_groups_is_read() -> None:
    """The released code trains some unlabelled batches with their true labels; here a batch of the others alone has none."""
    of = labelled(20)
    run, beside = begun(of, dataclasses.replace(QUICK, batch=28))
    an_epoch(run)
    batch = Batch(np.arange(20, 48), 28, Composition(28, 28, 0, 0, 0, 1))
    seen = torch.rand(56, 1, 12, 12)
    features = run.model.features(seen)
    found = beside.beside(seen, features, run.model.projector(features), batch, of)
    assert found.groups.tolist() == [-1] * 28 and not found.rivals.any()


def test_keys_of_related_samples_never_push() -> None:
    """All samples of one component: every key in the queue is of a related one, and the contrast is exactly 0."""
    run, beside = begun(graph_of(48, [], [], components=dict.fromkeys(range(48), 0)))
    an_epoch(run)
    assert sorted(beside.queue.samples.tolist()) != [-1] * 48
    assert run.place.history[0]["contrast"] == 0.0


def test_no_first_steps_against_noise() -> None:
    """The released queue begins with random vectors; here the first batch meets its own keys and nothing else."""
    run, beside = begun(labelled(20))
    run.epoch(lambda: run.place.step > 0, lambda: None)
    held = beside.queue.samples[beside.queue.samples >= 0].tolist()
    assert 0 < len(held) == len(set(held)) <= 32
    assert run.place.sums["contrast"] > 0


def test_features_are_those_of_the_images_as_they_are() -> None:
    """The released code chooses by features of random views; ours are the same when taken again, and kinds lie apart."""
    trained = train(IMAGES, labelled(30), dataclasses.replace(QUICK, epochs=12))
    np.testing.assert_allclose(embed(trained.weights, IMAGES, device="cpu"), trained.features, atol=1e-5)
    assert separation(trained.features) > 1.2


@pytest.mark.parametrize("name", ["mobyv2al", "byol"])
def test_going_on_from_a_checkpoint_gives_the_result_of_an_unbroken_run(name: str) -> None:
    """Second encoder, queues, predictor and classifier are in it: to the last bit, wherever it broke off."""
    recipe = dataclasses.replace(RECIPES[name], augmentation="weak")
    settings = dataclasses.replace(TrainingSettings.of(recipe, epochs=3, batch=24, device="cpu"), keep_seconds=0.0)
    kept: list[bytes] = []
    whole = train(IMAGES, graph(recipe=recipe), settings, keep=kept.append)
    for checkpoint in (kept[0], kept[3], kept[-2]):
        resumed = train(IMAGES, graph(recipe=recipe), settings, checkpoint=checkpoint)
        assert (resumed.weights, resumed.history) == (whole.weights, whole.history)


def test_a_momentum_recipe_trains_a_head_on_given_features() -> None:
    """With features made elsewhere there are no views and only the head learns; both views are then one."""
    features = np.random.default_rng(0).normal(size=(48, 10)).astype(np.float32)
    trained = train(features, labelled(20), QUICK, backbone=given, tuning=Tuning.HEAD)
    assert trained.features.shape == (48, 10) and np.isfinite(trained.features).all()


def test_byol_does_not_fall_in_on_itself() -> None:
    """Its embeddings keep many directions although nothing pushes them apart."""
    recipe = dataclasses.replace(RECIPES["byol"], augmentation="weak")
    run, beside = begun(graph_of(48, [], []), TrainingSettings.of(recipe, epochs=15, batch=32, device="cpu"))
    for _ in range(15):
        an_epoch(run)
    with torch.no_grad():
        Z = torch.nn.functional.normalize(beside.encoder.eval()(torch.tensor(IMAGES).permute(0, 3, 1, 2) / 255), dim=1)
    assert mse_loss(Z, Z.mean(dim=0).expand_as(Z), reduction="sum").item() / len(Z) > 0.2


@pytest.mark.parametrize("name", ["byol", "moby"])
def test_a_loss_without_its_second_encoder_is_refused(name: str) -> None:
    """The message says what the recipe lacks."""
    nothing = torch.zeros(0, dtype=torch.int64)
    recipe = dataclasses.replace(MOBY, objective=name, momentum=0.0)
    with pytest.raises(InputError, match=f"the loss '{name}' needs a second encoder; expected a momentum above 0"):
        objective(name)(torch.ones(2, 2), GraphBatch(nothing, nothing, torch.zeros(0), nothing), recipe)
