"""One training in the steps that job and command line share."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pal_backend.core.learning.backbones import Tuning, small
from pal_backend.core.learning.graph import build_training_graph
from pal_backend.core.learning.judging import for_training, judge
from pal_backend.core.learning.pixels import pca_features
from pal_backend.core.learning.retraining import Material, finite, metrics_of, retrain
from pal_backend.core.learning.training import train
from pal_backend.core.neighbours import build_space
from pal_backend.core.recipes import NeighbourRule
from pal_backend.errors import InputError
from tests.core.learning.tiny import IDS, IMAGES, QUICK, true_answers

SPACE = build_space(IDS, pca_features(IMAGES, 10), k=5)
MATERIAL = Material(IMAGES, IMAGES, small, Tuning.FULL)
ONE = replace(QUICK, epochs=1)


def test_it_is_the_training_on_the_answers_not_held_out() -> None:
    """Bit for bit what train gives on the graph of those answers."""
    answers = true_answers(30)
    graph = build_training_graph(SPACE, for_training(answers), recipe=ONE.recipe)
    expected = train(IMAGES, graph, ONE)
    np.testing.assert_array_equal(retrain(MATERIAL, SPACE, answers, ONE).features, expected.features)


def test_a_held_out_answer_never_teaches() -> None:
    """Turning the held-out verdicts around changes nothing; turning another one does."""
    answers = true_answers(30)
    known = set(for_training(answers))
    turned = [replace(a, verdict={"same": "different", "different": "same"}[a.verdict]) for a in answers]
    lied = [a if a in known else t for a, t in zip(answers, turned, strict=True)]
    assert lied != answers
    plain = retrain(MATERIAL, SPACE, answers, ONE).features
    np.testing.assert_array_equal(retrain(MATERIAL, SPACE, lied, ONE).features, plain)
    assert (retrain(MATERIAL, SPACE, turned, ONE).features != plain).any()


@pytest.mark.parametrize(
    "rule", [NeighbourRule(space="pca", k=3), NeighbourRule(space="none"), NeighbourRule(k=4, refresh=1)]
)
def test_the_recipe_says_where_neighbours_are_taken(rule: NeighbourRule) -> None:
    """Another rule gives other features than the edges of the version in use."""
    settings = replace(QUICK, epochs=2)
    other = replace(settings, recipe=replace(QUICK.recipe, neighbours=rule))
    plain, ruled = (retrain(MATERIAL, SPACE, (), each).features for each in (settings, other))
    assert (plain != ruled).any()


def test_an_unknown_space_is_told() -> None:
    """The spaces there are get listed."""
    wrong = replace(ONE, recipe=replace(QUICK.recipe, neighbours=NeighbourRule(space="moon")))
    with pytest.raises(InputError, match="version, pca, autoencoder"):
        retrain(MATERIAL, SPACE, (), wrong)


def test_metrics_are_plain_numbers() -> None:
    """JSON without NaN holds what trained a version and how it was judged."""
    answers = true_answers(30)
    trained = retrain(MATERIAL, SPACE, answers, ONE)
    judgement = judge(SPACE.features, trained.features, IDS, answers)
    found = json.loads(json.dumps(metrics_of(trained, judgement, SPACE, answers, ONE), allow_nan=False))
    assert (found["epochs"], len(found["losses"]), len(found["parts"])) == (1, 1, 1)
    assert found["losses"][0] == found["parts"][0]["loss"] == round(trained.losses[0], 5)
    assert found["joined_samples"] > 0 and 0.0 < found["precision"] <= 1.0
    assert found["log_loss_before"] is None and finite(np.nan) is None and finite(0.123456) == 0.12346
