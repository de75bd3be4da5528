"""What batches hold."""

from __future__ import annotations

import numpy as np
import pytest

from pal_backend.core.learning.batches import LARGEST, UNIFORM, component_chances, compose, epoch
from pal_backend.core.learning.relations import induced
from pal_backend.core.recipes import Shares
from tests.core.learning.graphs import full_graph, graph_of, random_graph, without_prior


def test_uniform_batches_see_the_expected_number_of_answered_pairs() -> None:
    """Without guidance a batch of B holds E B (B - 1) / (N (N - 1)) answered pairs on average."""
    graph, B = without_prior(random_graph(120, 400, 0)), 30
    rng = np.random.default_rng(1)
    seen = [len(induced(graph, batch.nodes).rows) / 2 for _ in range(100) for batch in epoch(graph, B, rng, UNIFORM)]
    expected = 400 * B * (B - 1) / (120 * 119)
    assert np.mean(seen) == pytest.approx(expected, abs=3 * np.std(seen) / np.sqrt(len(seen)))


@pytest.mark.parametrize(("answers", "batch"), [(0, 32), (30, 32), (900, 32), (30, 500)])
@pytest.mark.parametrize("shares", [Shares(), Shares(0.1, 0.5, 0.0)])
def test_an_epoch_holds_every_sample_and_both_ends_of_every_answer(answers: int, batch: int, shares: Shares) -> None:
    """However many answers there are, each is inside some batch, and each sample comes in a uniform part."""
    graph = random_graph(200, answers, 5)
    batches = list(epoch(graph, batch, np.random.default_rng(6), shares))
    assert {row for b in batches for row in b.nodes[: b.uniform].tolist()} == set(range(200))
    together = {
        (i, j) for nodes in (set(b.nodes.tolist()) for b in batches) for i, j in graph.pairs.tolist() if {i, j} <= nodes
    }
    assert together == set(map(tuple, graph.pairs.tolist()))
    assert all(len(b.nodes) <= batch and len(set(b.nodes.tolist())) == len(b.nodes) for b in batches)


def test_the_uniform_part_is_uniform_though_components_are_favoured() -> None:
    """Over many batches each sample stands in it equally often, while members of components come more often in all."""
    graph, rng = full_graph(), np.random.default_rng(2)
    uniform, in_all, batches = np.zeros(60), np.zeros(60), 0
    for _ in range(400):
        for batch in epoch(graph, 24, rng):
            uniform[batch.nodes[: batch.uniform]] += 1
            in_all[batch.nodes] += 1
            batches += 1
    share = uniform / batches
    assert np.abs(share - share.mean()).max() < 4.5 * np.sqrt(share.mean() * (1 - share.mean()) / batches)
    assert in_all[:21].mean() > 1.3 * in_all[21:30].mean()


def test_the_same_seed_gives_the_same_batches() -> None:
    """Randomness comes from the generator alone."""
    graph = random_graph(100, 50, 7)
    first, second = (list(epoch(graph, 24, np.random.default_rng(8))) for _ in range(2))
    assert all(np.array_equal(a.nodes, b.nodes) for a, b in zip(first, second, strict=True))


def test_guided_batches_hold_more_answered_pairs_than_uniform_ones() -> None:
    """Members of components come together far more often than chance would bring them."""
    members = {n: n // 8 for n in range(80)}
    graph = graph_of(2000, [(n, n + 1) for n in range(0, 80, 8)], [1.0] * 10, components=members)
    guided, uniform = (
        np.mean([len(induced(graph, b.nodes).rows) for b in epoch(graph, 128, np.random.default_rng(9), shares)])
        for shares in (Shares(), UNIFORM)
    )
    assert guided > 20 * max(uniform, 1.0)


def test_no_component_fills_the_batches() -> None:
    """The only component there is gets its share at most, on average, and not the room of all components."""
    graph = graph_of(2000, [(0, 1)], [1.0], components=dict.fromkeys(range(500), 0))
    composition, _ = compose(graph, 100, Shares())
    assert component_chances(graph, composition)[0] * composition.components * 4 == pytest.approx(LARGEST * 100)
    rng = np.random.default_rng(3)
    guided = [np.sum(b.nodes[b.uniform :] < 500) for b in epoch(graph, 100, rng)]
    assert np.mean(guided) < 1.3 * LARGEST * 100


def test_without_answers_and_neighbours_batches_are_uniform() -> None:
    """Nothing guides them, and none of their room is lost."""
    batches = list(epoch(graph_of(100, [], []), 25, np.random.default_rng(0)))
    assert [(len(b.nodes), b.uniform) for b in batches] == [(25, 25)] * 4


def test_one_member_a_draw_brings_more_components_into_a_batch() -> None:
    """Of twelve components as many samples come, but hardly two of the same one."""
    graph = graph_of(120, [], [], components={n: n // 10 for n in range(120)})
    found = {}
    for members in (1, 4):
        batches = list(epoch(graph, 24, np.random.default_rng(3), Shares(0.5, 0.0, 0.0, members)))
        guided = [graph.components[batch.nodes[batch.uniform :]] for batch in batches]
        found[members] = np.mean([len(np.unique(part)) for part in guided])
    assert found[1] > 2 * found[4]
