"""Training end to end on tiny images."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load
from scipy import sparse
from torch import nn

from pal_backend.core.learning.backbones import Tuning, small
from pal_backend.core.learning.pixels import pca_features
from pal_backend.core.learning.training import Trained, embed, train
from pal_backend.core.recipes import RECIPES
from tests.core.learning.tiny import IMAGES, QUICK, graph, separation


@pytest.fixture(scope="module")
def trained() -> Trained:
    """One short training."""
    return train(IMAGES, graph(), QUICK)


def test_features_of_all_images_come_out_scaled(trained: Trained) -> None:
    """float32 rows, one for each image, each column with mean 0 and deviation 1."""
    assert (trained.features.shape, trained.features.dtype) == ((48, 128), np.float32)
    np.testing.assert_allclose(trained.features.mean(axis=0), 0.0, atol=1e-4)
    alive = trained.features.std(axis=0) > 0.5
    np.testing.assert_allclose(trained.features.std(axis=0)[alive], 1.0, atol=5e-2)
    assert alive.mean() > 0.5


def test_the_same_seed_gives_the_same_result_to_the_last_bit(trained: Trained) -> None:
    """Weights and features are equal, and another seed gives others."""
    again = train(IMAGES, graph(), QUICK)
    other = train(IMAGES, graph(), dataclasses.replace(QUICK, seed=1, epochs=1))
    assert again.weights == trained.weights
    assert np.array_equal(again.features, trained.features)
    assert not np.array_equal(other.features, trained.features)


def test_training_on_answers_pulls_the_kinds_apart() -> None:
    """After a few epochs images of one kind lie nearer to each other than their pixels did."""
    result = train(IMAGES, graph(60), dataclasses.replace(QUICK, epochs=10))
    assert result.losses[-1] < result.losses[0]
    assert separation(result.features) > 1.1 * separation(pca_features(IMAGES, 10))


def test_weights_embed_images_as_the_training_did(trained: Trained) -> None:
    """Reading the weights back gives the features of the training, for a part of the images too."""
    np.testing.assert_allclose(embed(trained.weights, IMAGES, device="cpu"), trained.features, atol=1e-3)
    np.testing.assert_allclose(embed(trained.weights, IMAGES[5:9], device="cpu"), trained.features[5:9], atol=1e-3)
    assert all(name.startswith(("network.", "projector.", "features.")) for name in load(trained.weights))


@pytest.mark.parametrize("weights", [b"", b"no safetensors at all", b"\xff" * 64])
def test_damaged_weights_are_refused(weights: bytes) -> None:
    """Neither embedding nor a warm start executes or half-loads what is no safetensors file."""
    with pytest.raises(ValueError, match="do not fit"):
        embed(weights, IMAGES, device="cpu")
    assert not train(IMAGES, graph(), dataclasses.replace(QUICK, epochs=0), warm_start=weights).warm


def test_weights_of_other_channels_are_refused(trained: Trained) -> None:
    """Weights for grey images do not embed colour images."""
    with pytest.raises(ValueError, match="another number of channels"):
        embed(trained.weights, np.repeat(IMAGES, 3, axis=3), device="cpu")


def test_a_warm_start_goes_on_from_the_weights(trained: Trained) -> None:
    """With no epochs left to train, the features are those of the weights given; weights that do not fit start afresh."""
    still = dataclasses.replace(QUICK, epochs=0)
    warm = train(IMAGES, graph(), still, warm_start=trained.weights)
    assert warm.warm
    np.testing.assert_allclose(warm.features, trained.features, atol=1e-3)
    assert not train(np.repeat(IMAGES, 3, axis=3), graph(), still, warm_start=trained.weights).warm


def test_progress_is_told_after_every_epoch() -> None:
    """Epoch, their number, loss and its parts, positives a row, speed and the prior's precision, plain numbers for JSON."""
    told: list[dict[str, Any]] = []
    result = train(IMAGES, graph(), QUICK, progress=told.append)
    assert [(state["epoch"], state["of"]) for state in told] == [(1, 3), (2, 3), (3, 3)]
    assert [state["loss"] for state in told] == list(result.losses)
    assert all(state["images_per_second"] > 0 and state["positives"] >= 1 for state in told)
    assert all(sum(state["parts"].values()) == pytest.approx(state["loss"]) for state in told)
    assert all(0 < state["precision"] < 1 for state in told)
    assert json.loads(json.dumps(told)) == told
    assert not result.stopped


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains_and_keeps_the_kinds_apart(name: str) -> None:
    """Its loss stays finite and falls, and images of one kind end nearer to each other than untrained features had them."""
    recipe = dataclasses.replace(RECIPES[name], augmentation="weak")
    result = train(IMAGES, graph(60, recipe), dataclasses.replace(QUICK, recipe=recipe, epochs=12))
    assert np.isfinite(result.losses).all()
    assert result.losses[-1] < result.losses[0]
    assert separation(result.features) > separation(train(IMAGES, graph(), QUICK, tuning=Tuning.FROZEN).features)


def test_a_frozen_network_gives_its_features_as_they_come() -> None:
    """No step is made: the features are those of the initial weights, and reading them back gives the same."""
    result = train(IMAGES, graph(), QUICK, tuning=Tuning.FROZEN)
    untrained = train(IMAGES, graph(), dataclasses.replace(QUICK, epochs=0))
    assert np.array_equal(result.features, untrained.features)
    assert result.history == ()
    assert not result.stopped
    np.testing.assert_allclose(embed(result.weights, IMAGES, device="cpu"), result.features, atol=1e-3)


def test_a_head_learns_while_its_network_stays_as_it_is() -> None:
    """Weights of the network are the initial ones to the last bit, the head is not the identity, and both embed again."""
    result = train(IMAGES, graph(), QUICK, tuning=Tuning.HEAD)
    tensors = load(result.weights)
    initial = small(1, 12, torch.Generator().manual_seed(QUICK.seed)).state_dict()
    assert all(torch.equal(tensors[f"network.{name}"], value) for name, value in initial.items())
    assert not torch.equal(tensors["head.weight"], torch.eye(128))
    np.testing.assert_allclose(embed(result.weights, IMAGES, device="cpu"), result.features, atol=1e-3)


def test_features_made_elsewhere_can_be_trained_on() -> None:
    """Rows of numbers in the place of images: a head on them learns from the graph."""
    rows = pca_features(IMAGES, 10)

    def given(channels: int, side: int, generator: torch.Generator) -> nn.Module:
        network = nn.Identity()
        network.features = channels
        return network

    result = train(rows, graph(60), dataclasses.replace(QUICK, epochs=20), backbone=given, tuning=Tuning.HEAD)
    assert result.features.shape == (48, 10)
    assert separation(result.features) > separation(rows / rows.std(axis=0))
    np.testing.assert_allclose(embed(result.weights, rows, backbone=given, device="cpu"), result.features, atol=1e-3)


def test_neighbours_are_taken_anew_from_the_network_being_trained() -> None:
    """Every so many epochs, and not in the first: their features are asked for with one row for each image."""
    asked: list[np.ndarray] = []
    fresh = graph()

    def positives(features: np.ndarray) -> sparse.csr_array:
        asked.append(features)
        return fresh.prior * 0 + sparse.csr_array((fresh.prior.data * 0 + 1, fresh.prior.indices, fresh.prior.indptr))

    rule = dataclasses.replace(QUICK.recipe.neighbours, refresh=2)
    recipe = dataclasses.replace(QUICK.recipe, neighbours=rule)
    train(IMAGES, fresh, dataclasses.replace(QUICK, recipe=recipe, epochs=5), positives=positives)
    assert [features.shape for features in asked] == [(48, 128)] * 2
    assert not np.array_equal(asked[0], asked[1])


def test_a_training_that_is_asked_to_stop_ends_and_says_so() -> None:
    """It ends before the next step, and its result is marked."""
    asked = iter([False, False, False, True])
    result = train(IMAGES, graph(), QUICK, should_stop=lambda: next(asked, True))
    assert result.stopped
    assert len(result.losses) < 3


def test_a_graph_without_answers_or_neighbours_still_trains() -> None:
    """Views alone are plain SimCLR."""
    bare = graph(0)
    assert np.isfinite(train(IMAGES, dataclasses.replace(bare, prior=bare.prior * 0), QUICK).losses).all()


def test_images_and_graph_must_fit() -> None:
    """Another number of images is refused."""
    with pytest.raises(ValueError, match="47 images do not fit a graph of 48"):
        train(IMAGES[:47], graph(), QUICK)
