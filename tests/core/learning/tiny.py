"""Tiny images of bars, answers about them, and settings for a training of a second."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.learning.graph import TrainingGraph, build_training_graph
from pal_backend.core.learning.pixels import pca_features
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.neighbours import build_space
from pal_backend.core.recipes import DEFAULT, Recipe
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


def graph(answers: int = 30, recipe: Recipe = DEFAULT) -> TrainingGraph:
    """The graph of some true answers, with the prior of the pixels."""
    return build_training_graph(build_space(IDS, pca_features(IMAGES, 10), k=5), true_answers(answers), recipe=recipe)


def separation(features: NDArray[np.float32]) -> float:
    """Mean distance between kinds over mean distance within, above 1 where kinds lie apart."""
    distances = np.linalg.norm(features[:, None] - features[None], axis=2)
    same = KINDS[:, None] == KINDS[None]
    return float(distances[~same].mean() / distances[same & ~np.eye(48, dtype=bool)].mean())
