"""What batches hold, and the relations among the samples of one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

from pal_backend.core.learning.batches import UNIFORM, Edges, epoch, induced, with_views
from pal_backend.core.learning.graph import TrainingGraph
from pal_backend.core.recipes import Shares


def graph_of(
    size: int,
    pairs: list[tuple[int, int]],
    signed: list[float],
    *,
    components: dict[int, int] | None = None,
    cannot: list[tuple[int, int]] | None = None,
    prior: list[tuple[int, int, float]] | None = None,
) -> TrainingGraph:
    """A small training graph, written out."""
    labels = np.full(size, -1, np.int64)
    for sample, component in (components or {}).items():
        labels[sample] = component
    near = sparse.lil_array((size, size), dtype=np.float32)
    for i, j, weight in prior or []:
        near[i, j] = near[j, i] = weight
    return TrainingGraph(
        prior=sparse.csr_array(near),
        pairs=np.array(pairs, np.int64).reshape(-1, 2),
        signed=np.array(signed, np.float32),
        components=labels,
        cannot=np.array(cannot or [], np.int64).reshape(-1, 2),
    )


def random_graph(size: int, edges: int, seed: int) -> TrainingGraph:
    """Random answered pairs, no components, a ring as prior."""
    rng = np.random.default_rng(seed)
    i, j = np.triu_indices(size, 1)
    chosen = rng.choice(len(i), edges, replace=False)
    ring = [(n, (n + 1) % size, 0.5) for n in range(size)]
    pairs = list(zip(i[chosen].tolist(), j[chosen].tolist(), strict=True))
    return graph_of(size, pairs, rng.choice([-1.0, 1.0], edges).tolist(), prior=ring)


def without_prior(graph: TrainingGraph) -> TrainingGraph:
    """The same answers without prior neighbours."""
    return dataclasses.replace(graph, prior=sparse.csr_array(graph.prior.shape, dtype=np.float32))


def dense(edges: Edges, size: int) -> NDArray[np.float32]:
    """Edges as a matrix; each entry must come once."""
    matrix = np.zeros((size, size), np.float32)
    assert len(set(zip(edges.rows.tolist(), edges.columns.tolist(), strict=True))) == len(edges.rows)
    matrix[edges.rows, edges.columns] = edges.weights
    return matrix


def test_uniform_batches_see_the_expected_number_of_answered_pairs() -> None:
    """Without guidance a batch of B holds E B (B - 1) / (N (N - 1)) answered pairs on average."""
    graph, B = without_prior(random_graph(120, 400, 0)), 30
    rng = np.random.default_rng(1)
    seen = [len(induced(graph, nodes).rows) / 2 for _ in range(100) for nodes in epoch(graph, B, rng, UNIFORM)]
    expected = 400 * B * (B - 1) / (120 * 119)
    assert np.mean(seen) == pytest.approx(expected, abs=3 * np.std(seen) / np.sqrt(len(seen)))


def test_weighting_by_the_inverse_chance_of_an_edge_gives_the_whole_graph() -> None:
    """Attraction summed over uniform batches, divided by the chance of a pair, has the mean tr(Z'GZ)."""
    graph, B = without_prior(random_graph(60, 200, 2)), 20
    Z = np.random.default_rng(3).normal(size=(60, 4))
    i, j = graph.pairs.T
    whole = 2 * float((graph.signed * (Z[i] * Z[j]).sum(axis=1)).sum())
    chance = B * (B - 1) / (60 * 59)
    rng, estimates = np.random.default_rng(4), []
    for _ in range(200):
        for nodes in epoch(graph, B, rng, UNIFORM):
            edges = induced(graph, nodes)
            x = Z[nodes]
            estimates.append(float((edges.weights * (x[edges.rows] * x[edges.columns]).sum(axis=1)).sum()) / chance)
    assert np.mean(estimates) == pytest.approx(whole, abs=3 * np.std(estimates) / np.sqrt(len(estimates)))


@pytest.mark.parametrize(("answers", "batch"), [(0, 32), (30, 32), (900, 32), (30, 500)])
def test_an_epoch_holds_every_sample_and_both_ends_of_every_answer(answers: int, batch: int) -> None:
    """However many answers there are, each is inside some batch, and each sample comes."""
    graph = random_graph(200, answers, 5)
    batches = list(epoch(graph, batch, np.random.default_rng(6)))
    assert set(np.concatenate(batches).tolist()) == set(range(200))
    together = {
        (i, j) for nodes in map(set, (b.tolist() for b in batches)) for i, j in graph.pairs.tolist() if {i, j} <= nodes
    }
    assert together == set(map(tuple, graph.pairs.tolist()))
    assert all(len(nodes) <= batch and len(set(nodes.tolist())) == len(nodes) for nodes in batches)


def test_the_same_seed_gives_the_same_batches() -> None:
    """Randomness comes from the generator alone."""
    graph = random_graph(100, 50, 7)
    first, second = (list(epoch(graph, 24, np.random.default_rng(8))) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_guided_batches_hold_more_answered_pairs_than_uniform_ones() -> None:
    """Members of components come together far more often than chance would bring them."""
    members = {n: n // 8 for n in range(80)}
    graph = graph_of(2000, [(n, n + 1) for n in range(0, 80, 8)], [1.0] * 10, components=members)
    guided, uniform = (
        float(
            np.mean([len(induced(graph, nodes).rows) for nodes in epoch(graph, 128, np.random.default_rng(9), shares)])
        )
        for shares in (Shares(), UNIFORM)
    )
    assert guided > 20 * max(uniform, 1.0)


def test_a_component_has_weight_one_in_each_row_whatever_its_size() -> None:
    """Each of s members in the batch has edges of weight 1 / (s - 1) to the others."""
    graph = graph_of(9, [], [], components={0: 0, 1: 0, 2: 0, 3: 0, 4: 1, 5: 1})
    W = dense(induced(graph, np.array([0, 1, 2, 4, 5, 8])), 6)
    np.testing.assert_allclose(W.sum(axis=1), [1, 1, 1, 1, 1, 0])
    assert W[0, 1] == pytest.approx(0.5)


def test_components_override_single_answers_and_answers_override_the_prior() -> None:
    """Between two samples the strongest source speaks alone."""
    graph = graph_of(
        6,
        [(0, 1), (2, 3)],
        [-0.8, -0.8],
        components={0: 0, 1: 0},
        prior=[(0, 1, 0.3), (2, 3, 0.3), (4, 5, 0.3)],
    )
    W = dense(induced(graph, np.arange(6)), 6)
    assert (W[0, 1], W[2, 3], W[4, 5]) == pytest.approx((1.0, -0.8, 0.3))
    np.testing.assert_array_equal(W, W.T)


def test_cannot_links_hold_between_all_members_of_two_components() -> None:
    """A "different" between components keeps every member of one from every member of the other, the prior deleted."""
    graph = graph_of(
        6, [(0, 2)], [-0.8], components={0: 7, 1: 7, 2: 3, 3: 3}, cannot=[(3, 7)], prior=[(1, 3, 0.3), (1, 5, 0.2)]
    )
    W = dense(induced(graph, np.array([0, 1, 2, 3, 5])), 5)
    np.testing.assert_allclose(W[:2, 2:4], -1.0)
    assert W[1, 4] == pytest.approx(0.2)


def test_views_of_one_sample_are_joined_and_edges_go_between_all_views() -> None:
    """The graph over views is W on every pair of views plus the view weight between views of a sample."""
    edges = Edges(np.array([0, 1]), np.array([1, 0]), np.array([0.5, 0.5], np.float32))
    W = dense(with_views(edges, 3, 2, 1.0), 6)
    node = np.array([[0, 0.5, 0], [0.5, 0, 0], [0, 0, 0]], np.float32)
    np.testing.assert_allclose(W, np.kron(np.ones((2, 2)), node) + np.kron(1 - np.eye(2), np.eye(3)))
