"""The relations among the samples of a batch."""

from __future__ import annotations

import numpy as np
import pytest

from pal_backend.core.learning.batches import UNIFORM, epoch
from pal_backend.core.learning.relations import Edges, edges_of, induced, with_views
from pal_backend.core.recipes import Shares
from tests.core.learning.graphs import dense, full_graph, graph_of


def test_a_component_has_weight_one_in_each_row_whatever_its_size() -> None:
    """Each of s members in the batch has edges of weight 1 / (s - 1) to the others."""
    graph = graph_of(9, [], [], components={0: 0, 1: 0, 2: 0, 3: 0, 4: 1, 5: 1})
    W = dense(induced(graph, np.array([0, 1, 2, 4, 5, 8])), 6)
    np.testing.assert_allclose(W.sum(axis=1), [1, 1, 1, 1, 1, 0])
    assert W[0, 1] == pytest.approx(0.5)


def test_inside_a_component_the_weakest_link_decides() -> None:
    """0 = 1 - 2 with one sure and one doubtful answer: whatever crosses the doubtful one weighs as much as it."""
    graph = graph_of(3, [(0, 1), (1, 2)], [0.9, 0.4], components={0: 0, 1: 0, 2: 0})
    W = dense(induced(graph, np.arange(3)), 3)
    np.testing.assert_allclose(W, np.array([[0, 0.9, 0.4], [0.9, 0, 0.4], [0.4, 0.4, 0]]) / 2, atol=1e-6)


def test_components_override_single_answers_and_answers_override_the_prior() -> None:
    """Between two samples the strongest source speaks alone."""
    graph = graph_of(
        8,
        [(0, 1), (2, 3), (0, 6), (6, 1)],
        [-0.8, -0.8, 0.9, 0.9],
        components={0: 0, 1: 0, 6: 0},
        prior=[(0, 1, 0.3), (2, 3, 0.3), (4, 5, 0.3)],
    )
    W = dense(induced(graph, np.arange(6)), 6)
    assert (W[0, 1], W[2, 3], W[4, 5]) == pytest.approx((0.9, -0.8, 0.3))
    np.testing.assert_array_equal(W, W.T)


def test_cannot_links_hold_between_all_members_of_two_components() -> None:
    """A "different" between components keeps every member of one from every member of the other, the prior deleted."""
    graph = graph_of(
        6, [(0, 2)], [-0.8], components={0: 1, 1: 1, 2: 0, 3: 0}, cannot=[(0, 1)], prior=[(1, 3, 0.3), (1, 5, 0.2)]
    )
    W = dense(induced(graph, np.array([0, 1, 2, 3, 5])), 5)
    np.testing.assert_allclose(W[:2, 2:4], -0.8, atol=1e-6)
    assert W[1, 4] == pytest.approx(0.2)


def test_the_whole_graph_has_eigenvalues_of_at_most_one_for_each_source() -> None:
    """Neither a large component nor many that are kept apart outweigh the views of a sample."""
    labels = {row: row // 10 for row in range(40)}
    pairs = [(row, row + 1) for row in range(40) if row % 10 != 9]
    cannot = [(a, b) for a in range(4) for b in range(a)]
    graph = graph_of(40, pairs, [1.0] * len(pairs), components=labels, cannot=cannot)
    W = dense(induced(graph, np.arange(40), whole=True), 40)
    values = np.linalg.eigvalsh(np.maximum(W, 0)), np.linalg.eigvalsh(np.maximum(-W, 0))
    assert values[0].max() == pytest.approx(1.0, abs=1e-5)
    assert values[1].max() == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("shares", [UNIFORM, Shares(), Shares(components=0.4, prior=0.3, cannot=0.1)])
def test_weighting_by_the_inverse_chance_of_an_edge_gives_the_whole_graph(shares: Shares) -> None:
    """Attraction summed over the rows of a batch, guided or not, has the mean B / N tr(Z'GZ), views and all."""
    graph, B, V = full_graph(), 24, 2
    Z = np.random.default_rng(3).normal(size=(60, 4))
    W = dense(induced(graph, np.arange(60), whole=True), 60).astype(np.float64)
    G = np.kron(np.ones((V, V)), W) + np.kron(1 - np.eye(V), np.eye(60))
    both = np.tile(Z, (V, 1))
    whole = B / 60 * np.trace(both.T @ G @ both)
    rng, estimates = np.random.default_rng(4), []
    for _ in range(250):
        for batch in epoch(graph, B, rng, shares):
            edges = edges_of(graph, batch, V, importance=True)
            x = np.tile(Z[batch.nodes], (V, 1))
            estimates.append(float((edges.weights * (x[edges.rows] * x[edges.columns]).sum(axis=1)).sum()))
    assert np.mean(estimates) == pytest.approx(whole, abs=3 * np.std(estimates) / np.sqrt(len(estimates)))


def test_without_importance_views_weigh_what_the_graph_says() -> None:
    """And edges are those of the batch."""
    graph = full_graph()
    batch = next(iter(epoch(graph, 24, np.random.default_rng(0))))
    n = len(batch.nodes)
    W = dense(edges_of(graph, batch, 2, importance=False), 2 * n)
    np.testing.assert_allclose(W[:n, :n], dense(induced(graph, batch.nodes), n))
    np.testing.assert_allclose(np.diag(W[:n, n:]), graph.view)


def test_views_of_one_sample_are_joined_and_edges_go_between_all_views() -> None:
    """The graph over views is W on every pair of views plus the view weight between views of a sample."""
    edges = Edges(np.array([0, 1]), np.array([1, 0]), np.array([0.5, 0.5], np.float32))
    W = dense(with_views(edges, np.array([1.0, 1.0, 0.7], np.float32), 2), 6)
    node = np.array([[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]], np.float32)
    np.testing.assert_allclose(W, np.kron(np.ones((2, 2)), node) + np.kron(1 - np.eye(2), np.diag([1, 1, 0.7])))


def test_as_likenesses_edges_of_a_component_are_not_shared_out() -> None:
    """Each weighs how sure it is, whatever the size of the component; all other edges are the same."""
    graph = full_graph()
    nodes = np.arange(graph.size)
    shared, plain = (dense(induced(graph, nodes, cliques=cliques), graph.size) for cliques in (True, False))
    inside = (graph.components[:, None] == graph.components[None]) & (graph.components >= 0)
    np.fill_diagonal(inside, val=False)
    own = graph.sizes[graph.components[inside.nonzero()[0]]] - 1
    np.testing.assert_allclose(plain[inside], shared[inside] * own, rtol=1e-6)
    np.testing.assert_array_equal(plain[~inside], shared[~inside])
