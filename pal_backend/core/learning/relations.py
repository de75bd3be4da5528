"""The relations among the samples of a batch, as an edge list: the part of the graph that a loss sees."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.learning.batches import Batch
from pal_backend.core.learning.chances import chances
from pal_backend.core.learning.closure import confidences
from pal_backend.core.learning.graph import Ints, TrainingGraph, found, pair_keys


class Edges(NamedTuple):
    """Entries of a symmetric matrix without diagonal: rows, columns int64 (E,) and weights float32 (E,)."""

    rows: Ints
    columns: Ints
    weights: NDArray[np.float32]


def edges_of(graph: TrainingGraph, batch: Batch, views: int, *, importance: bool, cliques: bool = True) -> Edges:
    r"""All relations among the ``views`` views of each sample of a batch.

    Args:
        graph: the whole.
        batch: of ``epoch``.
        views: of each sample; view v of sample b is row ``v * n + b``.
        importance: weigh as the whole graph does, divided by the chance of a batch to hold the edge: then
            :math:`\sum_{ij} w_{ij}\, z_i \cdot z_j` over a batch has the mean
            :math:`\frac{B}{N} \operatorname{tr}(Z^\top G Z)`. Otherwise weigh within the batch, as :func:`induced` says,
            and views of a sample by ``graph.view``.
        cliques: whether components are normalised within the batch.
    """
    edges = induced(graph, batch.nodes, whole=importance, cliques=cliques)
    view: NDArray[np.floating] = np.full(len(batch.nodes), graph.view)
    if importance:
        scale = batch.composition.size / graph.size
        alone, together = chances(graph, batch.nodes, edges.rows, edges.columns, batch.composition)
        edges = edges._replace(weights=(edges.weights * (scale / together)).astype(np.float32))
        view = view * (scale / alone)
    return with_views(edges, view.astype(np.float32), views)


def induced(graph: TrainingGraph, nodes: Ints, *, whole: bool = False, cliques: bool = True) -> Edges:
    r"""All relations among the rows ``nodes``, numbered by their place in ``nodes``.

    What answers say overrides the prior, and what components say overrides a single answer. With h in [-1, 1] the
    confidence of the answers (inside a component that of the weakest link between two samples):

    * within the batch (``whole`` False): a component with s members in the batch has weight h / (s - 1) on each of its
      edges, so that a sample's edges of this kind sum to at most 1; "different" weighs h.
    * of the whole graph (``whole`` True): the same with s the size of the component, and between components kept apart
      :math:`h / \sqrt{n_A n_B}`, n the number of samples from which a component is kept apart, so that neither the size nor
      the number of components makes an eigenvalue larger than 1; what samples weigh does not depend on the batch.
    * as likenesses (``cliques`` False, within the batch): each edge inside a component weighs h.
    """
    settled = _between_components(graph, nodes, whole=whole, cliques=cliques)
    answered = _without(_answered(graph, nodes), settled, len(nodes))
    near = graph.prior[nodes][:, nodes].tocoo()
    prior = Edges(near.row.astype(np.int64), near.col.astype(np.int64), near.data.astype(np.float32))
    known = _joined(settled, answered)
    prior = _without(prior, known, len(nodes))
    return _joined(known._replace(weights=known.weights * np.float32(graph.answer)), prior)


def with_views(edges: Edges, view: NDArray[np.float32], views: int) -> Edges:
    """Edges among n samples to edges among ``n * views`` rows, view v of sample b being row ``v * n + b``.

    Each edge joins every view of one sample with every view of the other; views of a sample are joined by its entry of
    ``view``, float32 (n,).
    """
    size = len(view)
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
                weights.append(view)
    return Edges(np.concatenate(rows), np.concatenate(columns), np.concatenate(weights))


def _between_components(graph: TrainingGraph, nodes: Ints, *, whole: bool, cliques: bool) -> Edges:
    """Edges inside components and between components kept apart."""
    places = np.flatnonzero(graph.components[nodes] >= 0)
    places = places[np.argsort(graph.closure.place[nodes[places]])]
    own = graph.components[nodes[places]]
    same = own[:, None] == own[None, :]
    partners = graph.sizes[own] - 1 if whole else same.sum(axis=1) - 1
    np.fill_diagonal(same, val=False)
    if not cliques:
        partners = np.ones_like(partners)
    a, b = np.nonzero(same)
    sure = confidences(graph.closure, nodes[places])
    c, d = np.nonzero(own[:, None] != own[None, :]) if len(graph.cannot) else (a[:0], b[:0])
    here, at = found(graph.cannot_keys, pair_keys(own[c], own[d]))
    c, d, apart = c[here], d[here], -graph.apart[at[here]] if len(graph.cannot) else np.empty(0, np.float32)
    if whole:
        away = np.sqrt(graph.kept_apart[own])
        apart = apart / (away[c] * away[d])
    return _joined(
        Edges(places[a], places[b], (sure[a, b] / partners[a]).astype(np.float32)),
        Edges(places[c], places[d], apart.astype(np.float32)),
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
