"""Training graphs, written out or drawn."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pal_backend.core.learning.graph import TrainingGraph
from pal_backend.core.learning.relations import Edges


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


def full_graph() -> TrainingGraph:
    """Everything at once on 60 samples: components of 10, 6, 3 and 2 with their answers, two of them kept apart, answers
    between samples in no component, and an uneven prior.
    """
    labels = dict.fromkeys(range(10), 0) | dict.fromkeys(range(10, 16), 1) | {16: 2, 17: 2, 18: 2, 19: 3, 20: 3}
    chains = [(row, row + 1) for row in range(20) if row not in {9, 15, 18}]
    cannot = [(0, 12), (3, 11), (17, 19)]
    alone = [(30, 31), (31, 32), (40, 2), (45, 46)]
    pairs = [*chains, *cannot, *alone]
    signed = [0.8] * len(chains) + [-0.8, -0.6, -0.9, 0.5, -0.5, -0.7, 0.4]
    rng = np.random.default_rng(1)
    prior = [(row, (row + step) % 60, float(rng.uniform(0.1, 0.3))) for row in range(60) for step in (1, 7) if row % 3]
    return graph_of(60, pairs, signed, components=labels, cannot=[(0, 1), (2, 3)], prior=prior)


def without_prior(graph: TrainingGraph) -> TrainingGraph:
    """The same answers without prior neighbours."""
    return dataclasses.replace(graph, prior=sparse.csr_array(graph.prior.shape, dtype=np.float32))


def dense(edges: Edges, size: int) -> NDArray[np.float32]:
    """Edges as a matrix; each entry must come once."""
    matrix = np.zeros((size, size), np.float32)
    assert len(set(zip(edges.rows.tolist(), edges.columns.tolist(), strict=True))) == len(edges.rows)
    matrix[edges.rows, edges.columns] = edges.weights
    return matrix
