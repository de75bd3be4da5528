"""One training in the steps that job and command line share."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pal_backend.core.learner import Learner
from pal_backend.core.learning.backbones import Tuning, small
from pal_backend.core.learning.graph import build_training_graph, prior_edges
from pal_backend.core.learning.judging import for_training, judge
from pal_backend.core.learning.pixels import pca_features
from pal_backend.core.learning.retraining import Material, believed, finite, metrics_of, retrain
from pal_backend.core.learning.training import train
from pal_backend.core.neighbours import build_space
from pal_backend.core.recipes import NeighbourRule
from pal_backend.errors import InputError
from tests.core.learning.tiny import IDS, IMAGES, KINDS, QUICK, true_answers

SPACE = build_space(IDS, pca_features(IMAGES, 10), k=5)
MATERIAL = Material(IMAGES, IMAGES, small, Tuning.FULL)
ONE = replace(QUICK, epochs=1)


def test_it_is_the_training_on_the_answers_not_held_out() -> None:
    """Bit for bit what train gives on the graph of those answers, its prior weighed by what they let one believe."""
    answers = true_answers(30)
    known = for_training(answers)
    learner = Learner(SPACE)
    learner.set_answers(known)
    prior = believed(prior_edges(SPACE), learner)
    graph = build_training_graph(SPACE, known, prior=prior, recipe=ONE.recipe)
    expected = train(IMAGES, graph, ONE)
    np.testing.assert_array_equal(retrain(MATERIAL, SPACE, answers, ONE).features, expected.features)


def test_beliefs_weigh_the_neighbours() -> None:
    """By hand: each weight times P(same) over its mean, at most as it was; symmetric; none is lost."""
    learner = Learner(SPACE)
    plain = prior_edges(SPACE)
    assert believed(plain, learner) is plain
    learner.set_answers(true_answers(40))
    found = believed(plain, learner)
    edges = plain.tocoo()
    p = learner.posterior().probability_same(edges.row, edges.col)
    expected = np.zeros((48, 48))
    expected[edges.row, edges.col] = edges.data * np.minimum(1.0, p / p.mean())
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-6)
    np.testing.assert_allclose(found.toarray(), found.toarray().T, rtol=1e-6)
    assert found.nnz == plain.nnz and (found.data <= 1.0).all()


def test_neighbours_of_other_groups_hardly_count() -> None:
    """With true answers an edge between kinds keeps a smaller share of its weight than one within a kind."""
    learner = Learner(SPACE)
    learner.set_answers(true_answers(60))
    plain = prior_edges(SPACE)
    kept = believed(plain, learner).toarray()[plain.nonzero()] / plain.toarray()[plain.nonzero()]
    within = KINDS[plain.nonzero()[0]] == KINDS[plain.nonzero()[1]]
    assert kept[~within].mean() < 0.7 * kept[within].mean()


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
