"""How probable it is that a guided batch holds samples and pairs of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pal_backend.core.learning.batches import UNIFORM, Composition, epoch
from pal_backend.core.learning.chances import chances
from pal_backend.core.learning.graph import TrainingGraph
from pal_backend.core.recipes import Shares
from tests.core.learning.graphs import full_graph, graph_of

SHARES = Shares(components=0.4, prior=0.3, cannot=0.1)


def all_pairs(graph: TrainingGraph, composition: Composition) -> np.ndarray:
    """The chance of every pair, with that of single samples on the diagonal."""
    i, j = np.triu_indices(graph.size, 1)
    alone, together = chances(graph, np.arange(graph.size), i, j, composition)
    matrix = np.diag(alone)
    matrix[i, j] = matrix[j, i] = together
    return matrix


@pytest.mark.parametrize(("shares", "epochs"), [(SHARES, 800), (replace(SHARES, members=1), 200)])
def test_chances_are_the_frequencies_of_many_batches(shares: Shares, epochs: int) -> None:
    """Every sample and every pair of a graph with all kinds of relations comes as often as stated."""
    graph, rng = full_graph(), np.random.default_rng(0)
    seen, expected, batches = np.zeros((60, 60)), np.zeros((60, 60)), 0
    known: dict[Composition, np.ndarray] = {}
    for _ in range(epochs):
        for batch in epoch(graph, 24, rng, shares):
            seen[np.ix_(batch.nodes, batch.nodes)] += 1
            if batch.composition not in known:
                known[batch.composition] = all_pairs(graph, batch.composition)
            expected += known[batch.composition]
            batches += 1
    p = expected / batches
    sigmas = (seen - expected) / np.sqrt(batches * p * (1 - p))
    upper = np.triu_indices(60)
    assert np.abs(sigmas[upper]).max() < 4.5
    # Uniform parts of an epoch do not overlap, so that frequencies stray less the more of a batch they make up.
    assert 0.8 < np.std(sigmas[upper]) < 1.12


def test_uniform_batches_have_the_textbook_chances() -> None:
    """B / N for a sample and B (B - 1) / (N (N - 1)) for a pair."""
    graph = graph_of(50, [], [])
    composition = next(iter(epoch(graph, 10, np.random.default_rng(0), UNIFORM))).composition
    p = all_pairs(graph, composition)
    np.testing.assert_allclose(np.diag(p), 10 / 50, atol=1e-12)
    np.testing.assert_allclose(p[np.triu_indices(50, 1)], 10 * 9 / (50 * 49), atol=1e-12)
