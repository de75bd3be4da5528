"""Training end to end on tiny images."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.torch import load

from pal_backend.core.learning.graph import TrainingGraph, build_training_graph
from pal_backend.core.learning.pixels import pca_features
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.learning.training import Trained, embed, train
from pal_backend.core.neighbours import build_space
from pal_backend.core.recipes import DEFAULT
from pal_backend.core.vocabulary import AnnotationKey, Answer, Pair, Verdict

SIDE = 12
KINDS = np.arange(48) % 2
IDS = [f"{n:016x}" for n in range(48)]
QUICK = TrainingSettings.of(dataclasses.replace(DEFAULT, augmentation="weak"), epochs=3, batch=32, device="cpu")


def bars() -> NDArray[np.uint8]:
    """Upright and lying bars in random places and brightness, uint8 (48, 12, 12, 1)."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (48, SIDE, SIDE, 1), np.uint8)
    for image, kind in zip(images, KINDS, strict=True):
        start, light = int(rng.integers(2, SIDE - 4)), int(rng.integers(120, 255))
        if kind:
            image[:, start : start + 2] = light
        else:
            image[start : start + 2] = light
    return images


IMAGES = bars()


def true_answers(count: int) -> list[Answer]:
    """True answers on random pairs."""
    rng = np.random.default_rng(1)
    found = []
    for number in range(count):
        i, j = rng.choice(48, 2, replace=False)
        verdict = Verdict.SAME if KINDS[i] == KINDS[j] else Verdict.DIFFERENT
        found.append(Answer(AnnotationKey("d", number), Pair.of(IDS[i], IDS[j]), verdict, "x"))
    return found


def graph(answers: int = 30) -> TrainingGraph:
    """The graph of some true answers, with the prior of the pixels."""
    return build_training_graph(build_space(IDS, pca_features(IMAGES, 10), k=5), true_answers(answers))


@pytest.fixture(scope="module")
def trained() -> Trained:
    """One short training."""
    return train(IMAGES, graph(), QUICK)


def separation(features: NDArray[np.float32]) -> float:
    """Mean distance between kinds over mean distance within, above 1 where kinds lie apart."""
    distances = np.linalg.norm(features[:, None] - features[None], axis=2)
    same = KINDS[:, None] == KINDS[None]
    return float(distances[~same].mean() / distances[same & ~np.eye(48, dtype=bool)].mean())


def test_features_of_all_images_come_out_scaled(trained: Trained) -> None:
    """float32 rows, one for each image, each column with mean 0 and deviation 1."""
    assert (trained.features.shape, trained.features.dtype) == ((48, 128), np.float32)
    np.testing.assert_allclose(trained.features.mean(axis=0), 0.0, atol=1e-4)
    alive = trained.features.std(axis=0) > 0.5
    np.testing.assert_allclose(trained.features.std(axis=0)[alive], 1.0, atol=1e-2)
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
    """Epoch, their number, loss, positives a row and speed, all of them plain numbers."""
    told: list[dict[str, Any]] = []
    result = train(IMAGES, graph(), QUICK, progress=told.append)
    assert [(state["epoch"], state["of"]) for state in told] == [(1, 3), (2, 3), (3, 3)]
    assert [state["loss"] for state in told] == list(result.losses)
    assert all(state["images_per_second"] > 0 and state["positives"] >= 1 for state in told)
    assert not result.stopped


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
