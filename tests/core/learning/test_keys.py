"""Queues of keys that know their samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pal_backend.core.learning.graph import TrainingGraph
from pal_backend.core.learning.keys import Queue, negatives, rivals
from pal_backend.core.learning.relations import induced
from tests.core.learning.graphs import dense, full_graph, graph_of


def numbered(samples: list[int]) -> torch.Tensor:
    """Keys of two views that tell view and sample, (2, B, 3)."""
    return torch.tensor([[[float(view), float(sample), 1.0] for sample in samples] for view in (1, 2)])


def test_a_queue_is_empty_at_first_and_takes_batches_of_any_size() -> None:
    """Batches of 3, 2 and 4 into five places, which no batch divides: the last five samples stay, each with its own keys."""
    queue = Queue(2, 5, 3)
    assert queue.samples.tolist() == [-1] * 5
    for samples in ([0, 1, 2], [3, 4], [5, 6, 7, 8]):
        queue.put(numbered(samples), torch.tensor(samples))
    assert sorted(queue.samples.tolist()) == [4, 5, 6, 7, 8]
    for view in (0, 1):
        assert queue.keys[view, :, 0].tolist() == [view + 1.0] * 5
        assert queue.keys[view, :, 1].tolist() == queue.samples.tolist()


@pytest.mark.parametrize("length", [0, 2])
def test_a_batch_larger_than_the_queue_leaves_its_last_samples(length: int) -> None:
    """None where there is no room at all."""
    queue = Queue(2, length, 3)
    queue.put(numbered([0, 1, 2]), torch.arange(3))
    assert sorted(queue.samples.tolist()) == [1, 2][:length]


def test_related_samples_are_no_negatives() -> None:
    """The same sample, one of its component, a prior neighbour, one answered "same"; and a place without a key."""
    graph = graph_of(
        9,
        [(0, 4), (0, 6)],
        [0.9, -0.5],
        components={0: 0, 1: 0, 2: 1},
        cannot=[(0, 1)],
        prior=[(0, 3, 0.2), (0, 6, 0.2)],
    )
    found = negatives(graph, np.array([0, 8]), np.array([0, 1, 2, 3, 4, 6, 7, -1, 7]), 2.0)
    #                             itself, same group, other group, neighbour, "same", "different", unknown, none, unknown
    assert found[0].tolist() == pytest.approx([0, 0, 3, 0, 0, 2, 1, 0, 1])
    assert found[1].tolist() == [1, 1, 1, 1, 1, 1, 1, 0, 1]


def test_weights_follow_the_relations_of_a_batch() -> None:
    """On a graph with everything in it: 0 where the batch's edges attract, 1 + 2 h where they part, else 1."""
    graph = full_graph()
    nodes = np.arange(graph.size)
    W = dense(induced(graph, nodes, cliques=False), graph.size)
    expected = np.where(W > 0, 0.0, 1.0 - 2.0 * W)
    np.fill_diagonal(expected, 0.0)
    np.testing.assert_allclose(negatives(graph, nodes, nodes, 2.0), expected, rtol=1e-6)


def test_rivals_are_the_groups_kept_apart() -> None:
    """In both directions; a sample in no group has none, and neither has a graph without groups."""
    graph = full_graph()
    found = rivals(graph, np.array([12, 0, 50, 20]))
    assert (found > 0).tolist() == [
        [True, False, False, False],
        [False, True, False, False],
        [False] * 4,
        [False, False, True, False],
    ]
    nothing: TrainingGraph = graph_of(4, [], [])
    assert rivals(nothing, np.arange(4)).tolist() == [[0.0]] * 4
