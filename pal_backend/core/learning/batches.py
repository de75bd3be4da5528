"""Which samples go into a training batch together, and which relations hold among them.

A uniform batch almost never holds both ends of an answered pair: of E pairs among N samples a batch of B sees
E * B (B - 1) / (N (N - 1)), 0.03 pairs for 1,000 answers on 50,000 samples. So a part of each batch follows the graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.learning.graph import Ints, TrainingGraph, pair_keys
from pal_backend.core.recipes import DEFAULT, Shares


class Edges(NamedTuple):
    """Entries of a symmetric matrix without diagonal: rows, columns int64 (E,) and weights float32 (E,)."""

    rows: Ints
    columns: Ints
    weights: NDArray[np.float32]


UNIFORM = Shares(0.0, 0.0, 0.0)
_MEMBERS = 4


def epoch(graph: TrainingGraph, size: int, rng: np.random.Generator, shares: Shares = DEFAULT.shares) -> Iterator[Ints]:
    """Batches of distinct rows, int64 (about ``size``,), that together hold every sample and both ends of every answer.

    Every sample comes once in a uniform part. Answered pairs are spread evenly over the batches that this takes; if they
    are too many for their share, further batches follow until all have come.
    """
    size = min(size, graph.size)
    queue = rng.permutation(graph.size)
    pending = rng.permutation(len(graph.pairs)) if shares != UNIFORM else np.empty(0, np.int64)
    room = int(size * (shares.components + shares.cannot))
    while len(queue) or len(pending):
        batches_left = max(1, -(-len(queue) // max(1, int(size * shares.uniform))))
        due = pending[: max(1, min(room // 2, -(-len(pending) // batches_left)))]
        ends = np.unique(graph.pairs[due])
        members = _members(graph, min(int(size * shares.components), room - len(ends)), rng)
        neighbours = int(size * shares.prior)
        uniform = max(1, size - neighbours - len(ends) - len(members))
        fresh, queue = queue[:uniform], queue[uniform:]
        if not len(fresh):  # all samples have come: the batches left over for answers still need ordinary negatives
            fresh = rng.choice(graph.size, min(uniform, graph.size), replace=False)
        nodes = np.unique(np.concatenate([fresh, ends, members, _neighbours(graph, fresh[:neighbours], rng)]))
        inside = np.zeros(graph.size, bool)
        inside[nodes] = True
        pending = pending[~inside[graph.pairs[pending]].all(axis=1)]
        yield nodes


def _members(graph: TrainingGraph, count: int, rng: np.random.Generator) -> Ints:
    """About ``count`` members of components: a component is drawn by the root of its size, and four of its members."""
    if not graph.members or count < _MEMBERS:
        return np.empty(0, np.int64)
    roots = np.sqrt([len(component) for component in graph.members])
    drawn = rng.choice(len(graph.members), count // _MEMBERS, p=roots / roots.sum())
    return np.concatenate(
        [rng.choice(graph.members[c], min(_MEMBERS, len(graph.members[c])), replace=False) for c in drawn]
    )


def _neighbours(graph: TrainingGraph, anchors: Ints, rng: np.random.Generator) -> Ints:
    """One prior neighbour of each anchor that has any, uniformly."""
    starts, counts = graph.prior.indptr[anchors], np.diff(graph.prior.indptr)[anchors]
    drawn = starts + (rng.random(len(anchors)) * counts).astype(np.int64)
    return np.asarray(graph.prior.indices[drawn[counts > 0]], np.int64)


def induced(graph: TrainingGraph, nodes: Ints) -> Edges:
    """All relations among the rows ``nodes``, numbered by their place in ``nodes``.

    What answers say overrides the prior, and what components say overrides a single answer. A component with s members
    in the batch has weight 1 / (s - 1) on each of its edges, so that a sample's edges of this kind sum to 1 in the batch
    as they do in the whole graph, whatever the component's size.
    """
    settled = _between_components(graph, nodes)
    answered = _without(_answered(graph, nodes), settled, len(nodes))
    prior = graph.prior[nodes][:, nodes].tocoo()
    near = Edges(prior.row.astype(np.int64), prior.col.astype(np.int64), prior.data.astype(np.float32))
    known = _joined(settled, answered)
    near = _without(near, known, len(nodes))
    return _joined(known._replace(weights=known.weights * np.float32(graph.answer)), near)


def with_views(edges: Edges, size: int, views: int, weight: float) -> Edges:
    """Edges among ``size`` samples to edges among ``size * views`` rows, view v of sample b being row ``v * size + b``.

    Each edge joins every view of one sample with every view of the other; views of a sample are joined by ``weight``.
    """
    samples = np.arange(size)
    rows, columns, weights = [], [], []
    for first in range(views):
        for second in range(views):
            rows.append(edges.rows + first * size)
            columns.append(edges.columns + second * size)
            weights.append(edges.weights)
            if first != second:
                rows.append(samples + first * size)
                columns.append(samples + second * size)
                weights.append(np.full(size, weight, np.float32))
    return Edges(np.concatenate(rows), np.concatenate(columns), np.concatenate(weights))


def _between_components(graph: TrainingGraph, nodes: Ints) -> Edges:
    """Edges inside components and between components kept apart."""
    places = np.flatnonzero(graph.components[nodes] >= 0)
    own = graph.components[nodes[places]]
    same = own[:, None] == own[None, :]
    partners = same.sum(axis=1) - 1
    np.fill_diagonal(same, val=False)
    a, b = np.nonzero(same)
    apart = np.zeros_like(same)
    if len(graph.cannot):
        keys = pair_keys(own[:, None], own[None, :])
        found = np.searchsorted(graph.cannot_keys, keys).clip(max=len(graph.cannot_keys) - 1)
        apart = (graph.cannot_keys[found] == keys) & ~same
        np.fill_diagonal(apart, val=False)
    c, d = np.nonzero(apart)
    return _joined(
        Edges(places[a], places[b], (1.0 / partners[a]).astype(np.float32)),
        Edges(places[c], places[d], np.full(len(c), -1.0, np.float32)),
    )


def _answered(graph: TrainingGraph, nodes: Ints) -> Edges:
    """Answered pairs with both ends among ``nodes``, in both directions."""
    place = np.full(graph.size, -1, np.int64)
    place[nodes] = np.arange(len(nodes))
    ends = place[graph.pairs]
    here = (ends >= 0).all(axis=1)
    a, b, weights = ends[here, 0], ends[here, 1], graph.signed[here].astype(np.float32)
    return Edges(np.concatenate([a, b]), np.concatenate([b, a]), np.concatenate([weights, weights]))


def _without(edges: Edges, others: Edges, size: int) -> Edges:
    """The edges that are not among ``others``."""
    new = ~np.isin(edges.rows * size + edges.columns, others.rows * size + others.columns)
    return Edges(edges.rows[new], edges.columns[new], edges.weights[new])


def _joined(first: Edges, second: Edges) -> Edges:
    return Edges(
        np.concatenate([first.rows, second.rows]),
        np.concatenate([first.columns, second.columns]),
        np.concatenate([first.weights, second.weights]),
    )
