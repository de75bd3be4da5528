"""Retraining within the simulation: when it trains, when the learner moves, and what is told of it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pal_backend.core.evaluation import held_out_rows, linear_probe
from pal_backend.core.learning.backbones import Tuning, small
from pal_backend.core.learning.judging import FEWEST_PAIRS, judge
from pal_backend.core.learning.pixels import pca_features
from pal_backend.core.learning.retraining import Material
from pal_backend.core.neighbours import build_space
from pal_backend.errors import InputError
from pal_backend.simulation import simulate
from pal_backend.simulation_training import Retraining
from tests.core.learning.tiny import IDS, IMAGES, KINDS, QUICK, true_answers

MATERIAL = Material(IMAGES, IMAGES, small, Tuning.FULL)
POOR = np.random.default_rng(0).standard_normal((48, 4)).astype(np.float32)
"""Features that say nothing: whatever is trained is better."""
ONE = replace(QUICK, epochs=1)


def test_it_trains_when_enough_answers_have_come() -> None:
    """Not before so many, and then not again before so many more."""
    retraining = Retraining(MATERIAL, ONE, every=20)
    space = build_space(IDS, POOR, k=5)
    answers = true_answers(45)
    for count in (10, 19, 20, 25, 39, 41, 45):
        retraining.step(space, answers[:count])
    assert [(each.version, each.answers) for each in retraining.tried] == [("v0001", 20), ("v0002", 41)]
    with pytest.raises(InputError, match="at least 1, found 0"):
        Retraining(MATERIAL, ONE, every=0)


def test_the_learner_moves_only_to_what_the_judge_accepts() -> None:
    """With too few held-out answers it stays; with enough and poor features in use it goes to the new ones."""
    space = build_space(IDS, POOR, k=5)
    few = Retraining(MATERIAL, ONE, every=20)
    assert few.step(space, true_answers(20)) is None
    assert (few.version, few.tried[0].accepted, few.tried[0].log_loss_after) == ("v0000", False, None)
    many = true_answers(400)
    enough = Retraining(MATERIAL, replace(QUICK, epochs=6), every=400)
    moved = enough.step(space, many)
    told = enough.tried[0]
    assert moved is not None and enough.version == "v0001" and told.accepted
    again = judge(space.features, moved.features, IDS, many)
    assert again.accepted and again.pairs >= FEWEST_PAIRS and told.reason == again.reason


def test_the_probe_is_that_of_the_space_in_use() -> None:
    """On a held-out fifth of all samples, by the classes that only the scoring sees."""
    space = build_space(IDS, pca_features(IMAGES, 10), k=5)
    expected = linear_probe(space.features, KINDS, held_out_rows(np.ones(48, bool)))
    assert Retraining(MATERIAL, ONE).probe(space, KINDS) == expected


def test_the_curve_tells_probe_and_version() -> None:
    """Retrained on the way, every point has them, and each training is in the JSON; the same seed gives the same curve."""

    def run() -> dict[str, object]:
        result = simulate(
            POOR,
            KINDS,
            answers=60,
            budgets=(20, 40),
            ids=IDS,
            error_rate=0.05,
            seed=3,
            retraining=Retraining(MATERIAL, ONE, every=30),
        )
        return dict(json.loads(json.dumps(result.to_json(), allow_nan=False)))

    found = run()
    curve = found["curve"]
    assert isinstance(curve, list) and [point["answers"] for point in curve] == [20, 40, 60]
    assert all(0.0 <= point["probe"] <= 1.0 and point["version"].startswith("v000") for point in curve)
    trainings = found["trainings"]
    assert isinstance(trainings, list) and [each["answers"] for each in trainings] == [30, 60]
    assert run()["curve"] == curve


def test_without_retraining_nothing_is_told_of_it() -> None:
    """The object is what it was."""
    found = simulate(POOR, KINDS, answers=5).to_json()
    assert "trainings" not in found and found["curve"][0]["probe"] is None


def test_the_pretext_losses_go_along_to_new_features() -> None:
    """They belong to the images, whatever is learned of them."""
    losses = np.arange(48, dtype=np.float32)
    moved = Retraining(MATERIAL, replace(QUICK, epochs=6), every=400).step(
        build_space(IDS, POOR, k=5, difficulty=losses), true_answers(400)
    )
    assert moved is not None
    np.testing.assert_array_equal(moved.difficulty, losses)
