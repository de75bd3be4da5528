"""How probable it is that a guided batch holds a sample, and two samples together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from pal_backend.core.learning.batches import Composition, component_chances
from pal_backend.core.learning.graph import Ints, TrainingGraph, found, pair_keys

Floats = NDArray[np.float64]


def chances(
    graph: TrainingGraph, nodes: Ints, rows: Ints, columns: Ints, composition: Composition
) -> tuple[Floats, Floats]:
    """How probable it is that a batch holds each of ``nodes``, and both ends of each edge.

    The parts of a batch are drawn independently, so P(both) = 1 - P(not i) - P(not j) + P(neither), and each of the last
    three is a product over the parts.

    Args:
        graph: the whole.
        nodes: rows of the graph, int64 (n,).
        rows, columns: ends of the edges as places in ``nodes``, int64 (E,).
        composition: of the batch.

    Returns:
        float64 (n,) and (E,), in (0, 1].
    """
    i, j = nodes[rows], nodes[columns]
    keys = pair_keys(i, j)
    parts = (
        _uniform(graph.size, composition.uniform),
        _anchored(graph, nodes, (i, j), keys, composition.anchors),
        _components(graph, nodes, (i, j), composition),
        _answered(graph, nodes, (i, j), keys, composition.answered),
    )
    without: Floats = np.ones(len(nodes))
    neither: Floats = np.ones(len(i))
    for one, two in parts:
        without = without * one
        neither = neither * two
    return 1.0 - without, 1.0 - without[rows] - without[columns] + neither


def _uniform(size: int, count: int) -> tuple[float, float]:
    """``count`` of ``size`` samples without replacement leave out one given sample, and two."""
    left = size - count
    return left / size, left * (left - 1) / max(1, size * (size - 1))


def _anchored(
    graph: TrainingGraph, nodes: Ints, ends: tuple[Ints, Ints], keys: Ints, draws: int
) -> tuple[Floats, Floats]:
    """A draw holds a sample as its anchor, or as the neighbour of an anchor."""
    held, each = (1.0 + graph.prior_pull) / graph.size, graph.prior_chance
    i, j = ends
    joined, _ = found(graph.prior_keys, keys)
    both = np.where(joined, each[i] + each[j], 0.0) / graph.size
    return (1.0 - held[nodes]) ** draws, (1.0 - held[i] - held[j] + both).clip(0.0) ** draws


def _components(
    graph: TrainingGraph, nodes: Ints, ends: tuple[Ints, Ints], composition: Composition
) -> tuple[Floats, Floats]:
    """A draw holds up to ``composition.members`` members of one component."""
    (i, j), draws = ends, composition.components
    if not draws:
        return np.ones(len(nodes)), np.ones(len(i))
    sizes = np.maximum(graph.sizes, 1)
    taken = np.minimum(composition.members, sizes)
    drawn = component_chances(graph, composition)
    one = np.append(drawn * taken / sizes, 0.0)  # the last is that of samples in no component, number -1
    two = np.append(drawn * taken * (taken - 1) / np.maximum(sizes * (sizes - 1), 1), 0.0)
    a, b = graph.components[i], graph.components[j]
    both = np.where((a == b) & (a >= 0), two[a], 0.0)
    return (1.0 - one[graph.components[nodes]]) ** draws, (1.0 - one[a] - one[b] + both).clip(0.0) ** draws


def _answered(
    graph: TrainingGraph, nodes: Ints, ends: tuple[Ints, Ints], keys: Ints, drawn: int
) -> tuple[Floats, Floats]:
    """``drawn`` of all answered pairs without replacement miss those at one sample, and at two."""
    i, j = ends
    if not drawn:
        return np.ones(len(nodes)), np.ones(len(i))
    total, degrees = len(graph.pairs), graph.answered_degrees
    t = np.arange(total + 1)
    # P(none of t given pairs is drawn) = C(total - t, drawn) / C(total, drawn)
    with np.errstate(invalid="ignore"):
        logs = gammaln(total - t + 1) - gammaln(total - t - drawn + 1) - gammaln(total + 1) + gammaln(total - drawn + 1)
    missed = np.where(t <= total - drawn, np.exp(np.where(t <= total - drawn, logs, 0.0)), 0.0)
    between, _ = found(graph.answered_keys, keys)
    return missed[degrees[nodes]], missed[degrees[i] + degrees[j] - between]
