"""Neighbours that may be drawn as positives, against plain definitions over all distances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from pal_backend.core.learning.positives import ADAPTIVE_NEIGHBOURS, positives
from pal_backend.core.recipes import NeighbourRule

RULES = [
    NeighbourRule(rule=rule, k=k, radius=radius, mutual=mutual)
    for rule in ("uniform", "farthest")
    for k in (1, 5)
    for radius in ("", "adaptive", 1.5, 1e-6)
    for mutual in (False, True)
]


def by_definition(x: NDArray[np.float32], rule: NeighbourRule) -> NDArray[np.bool_]:
    """The same graph sample by sample from the full matrix of distances."""
    distances = cdist(x, x)
    np.fill_diagonal(distances, np.inf)
    chosen = np.zeros(distances.shape, bool)
    for i, row in enumerate(distances):
        order = np.argsort(row, kind="stable")[: len(x) - 1]
        radius = {"": np.inf, "adaptive": row[order[:ADAPTIVE_NEIGHBOURS]].mean()}.get(rule.radius, rule.radius)
        pool = order if rule.rule == "farthest" and rule.radius != "" else order[: rule.k]
        ball = [j for j in pool if row[j] <= radius] or [order[0]]
        chosen[i, ball if rule.rule == "uniform" else ball[-1]] = True
    return chosen & chosen.T if rule.mutual else chosen | chosen.T


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_positives_match_the_definition(rule: NeighbourRule) -> None:
    """Every rule, radius and symmetry gives the edges that the definition gives, each of weight 1."""
    x = np.random.default_rng(0).standard_normal((90, 4)).astype(np.float32)
    found = positives(x, rule).toarray()
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, by_definition(x, rule).astype(np.float32))


@given(
    points=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=60),
    rule=st.sampled_from(RULES),
)
@settings(max_examples=150, deadline=None)
def test_no_sample_is_its_own_positive(points: list[tuple[int, int]], rule: NeighbourRule) -> None:
    """However many samples are equal, the graph is symmetric without diagonal, and the union leaves nobody alone."""
    graph = positives(np.asarray(points, np.float32), rule)
    assert not graph.diagonal().any()
    assert (graph != graph.T).nnz == 0
    assert rule.mutual or (np.diff(graph.indptr) > 0).all()


def test_one_neighbour_of_distinct_points_is_another_point() -> None:
    """With k = 1 each partner is the nearest other sample, never the anchor."""
    x = np.asarray([[0.0], [1.0], [3.0], [3.5]], np.float32)
    assert positives(x, NeighbourRule(k=1)).toarray().tolist() == [
        [0, 1, 0, 0],
        [1, 0, 0, 0],
        [0, 0, 0, 1],
        [0, 0, 1, 0],
    ]


def test_equal_features_do_not_crowd_out_a_neighbour() -> None:
    """Of many equal samples each still has k others: none of the k places goes to itself."""
    x = np.zeros((40, 3), np.float32)
    assert (np.diff(positives(x, NeighbourRule(k=7)).indptr) >= 7).all()


def test_a_ball_that_holds_nobody_gives_the_nearest_other_sample() -> None:
    """A sample far from all, which the released code would pair with itself, is paired with its nearest neighbour."""
    x = np.asarray([[0.0], [0.1], [50.0]], np.float32)
    for rule in ("uniform", "farthest"):
        assert positives(x, NeighbourRule(rule=rule, radius=1.0)).toarray()[2].tolist() == [0, 1, 0]


def test_the_farthest_in_the_ball_is_chosen() -> None:
    """On a line the ball of radius 2.5 around 0 holds 1 and 2.2: the partner is 2.2, and 3.1 is outside."""
    x = np.asarray([[0.0], [1.0], [2.2], [3.1]], np.float32)
    graph = positives(x, NeighbourRule(rule="farthest", radius=2.5)).toarray()
    assert graph.tolist() == [[0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, 1, 0, 0]]


def test_mutual_neighbours_limit_a_hub() -> None:
    """A centre that is nearest to everybody has all as positives in the union and at most k mutually."""
    x = np.concatenate([np.zeros((1, 64)), 10.0 * np.eye(64)]).astype(np.float32)
    union = positives(x, NeighbourRule(k=1))
    mutual = positives(x, NeighbourRule(k=1, mutual=True))
    assert np.diff(union.indptr)[0] == 64
    assert np.diff(mutual.indptr).max() == 1


def test_the_adaptive_radius_follows_the_scale() -> None:
    """Scaling all features changes no edge; a fixed radius does not follow."""
    x = np.random.default_rng(1).standard_normal((80, 3)).astype(np.float32)
    adaptive = NeighbourRule(k=20, radius="adaptive")
    assert (positives(x, adaptive) != positives(8 * x, adaptive)).nnz == 0
    fixed = replace(adaptive, radius=1.0)
    assert positives(8 * x, fixed).nnz < positives(x, fixed).nnz


def test_permuted_samples_give_the_permuted_graph() -> None:
    """The order of the samples does not matter."""
    rng = np.random.default_rng(2)
    x, order = rng.standard_normal((50, 5)).astype(np.float32), rng.permutation(50)
    graph = positives(x, NeighbourRule(k=3))
    assert (positives(x[order], NeighbourRule(k=3)) != graph[order][:, order]).nnz == 0


@pytest.mark.parametrize("n", [0, 1])
def test_alone_there_is_no_positive(n: int) -> None:
    """A pool of one or none gives a graph without edges."""
    assert positives(np.ones((n, 2), np.float32), NeighbourRule()).shape == (n, n)
    assert positives(np.ones((n, 2), np.float32), NeighbourRule()).nnz == 0


@pytest.mark.parametrize(
    ("features", "rule", "words"),
    [
        (np.asarray([[1.0], [np.nan]]), NeighbourRule(), "finite"),
        (np.ones(3), NeighbourRule(), "expected finite numbers"),
        (np.ones((3, 1)), NeighbourRule(k=0), "expected 1 or more"),
        (np.ones((3, 1)), NeighbourRule(rule="nearest"), "expected uniform or farthest"),
        (np.ones((3, 1)), NeighbourRule(radius="wide"), "expected adaptive"),
        (np.ones((3, 1)), NeighbourRule(radius=-1.0), "a number above 0"),
    ],
)
def test_malformed_rules_and_features_are_refused(features: np.ndarray, rule: NeighbourRule, words: str) -> None:
    """What cannot be used is refused with the reason."""
    with pytest.raises(ValueError, match=words):
        positives(features, rule)
