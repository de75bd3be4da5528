"""The similarity graph as training uses it: answers and prior neighbours with their weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.neighbours import Space
from pal_backend.core.recipes import DEFAULT, Recipe
from pal_backend.core.vocabulary import Answer, Pair

Ints = NDArray[np.int64]

PRECISION_BELIEF = (4.0, 1.0)
"""Beta prior on the share of neighbours that are the same, before anybody was asked."""
NEIGHBOURS = 10
"""Strongest edges kept of each sample."""


@dataclass(frozen=True)
class TrainingGraph:
    """The similarity graph over N samples as training uses it; views are added batch by batch.

    Args:
        prior: float32 (N, N) csr, symmetric, zero diagonal: weight of prior neighbours, already times their precision.
        pairs: int64 (E, 2), each answered pair once, its two samples different.
        signed: float32 (E,), in [-1, 1]: confidence that the pair is the same, negative for different.
        components: int64 (N,), equal numbers for samples joined by trusted answers, -1 for a sample in none.
        cannot: int64 (M, 2), components that trusted answers keep apart.
        prior_weight: weight of an edge to a prior neighbour that is surely the same (GPS-SSL as one graph).
        precision: measured share of the prior's edges that are the same; already in ``prior``.
        view: weight of the edges between views of one sample.
        answer: total weight of the edges from answers at one sample.
    """

    prior: sparse.csr_array
    pairs: Ints
    signed: NDArray[np.float32]
    components: Ints
    cannot: Ints = field(default_factory=lambda: np.empty((0, 2), np.int64))
    prior_weight: float = DEFAULT.prior
    precision: float = PRECISION_BELIEF[0] / sum(PRECISION_BELIEF)
    view: float = DEFAULT.view
    answer: float = 1.0

    @property
    def size(self) -> int:
        """N."""
        return len(self.components)

    @cached_property
    def cannot_keys(self) -> Ints:
        """The pairs of ``cannot`` as sorted numbers."""
        return np.sort(pair_keys(self.cannot[:, 0], self.cannot[:, 1]))

    @cached_property
    def members(self) -> list[Ints]:
        """Rows of each component of two samples or more."""
        order = np.argsort(self.components, kind="stable")
        order = order[self.components[order] >= 0]
        starts = np.flatnonzero(np.diff(self.components[order])) + 1
        return [part for part in np.split(order, starts) if len(part) > 1]

    def with_prior(self, prior: sparse.csr_array) -> TrainingGraph:
        """The same answers with other prior neighbours, whose precision is measured anew.

        Args:
            prior: float32 (N, N), symmetric, zero diagonal, weights in (0, 1].

        Raises:
            ValueError: it is of another size.
        """
        if prior.shape != (self.size, self.size):
            raise ValueError(f"prior neighbours of shape {prior.shape} do not fit {self.size} samples")
        precision = measured_precision(prior, self.pairs, self.signed)
        return replace(
            self, prior=sparse.csr_array(prior * np.float32(self.prior_weight * precision)), precision=precision
        )


def build_training_graph(
    space: Space, answers: Iterable[Answer], *, prior: sparse.csr_array | None = None, recipe: Recipe = DEFAULT
) -> TrainingGraph:
    """The signed graph that a set of answers and the neighbours in a space give; unknown samples are left out.

    Prior edges weigh ``recipe.prior * precision * w``, where the precision is measured: of the answered pairs that are
    neighbours in the space, the share that people called the same. An answered pair weighs 2 sigmoid(l) - 1 with l the
    log-odds of its answers alone: the prior must not count twice.

    Args:
        space: the samples, in the order of the training images, and their neighbour graph.
        answers: those to train on, without the pairs held out.
        prior: who may be drawn as whose positive, float32 (N, N), symmetric, zero diagonal, weights w in (0, 1];
            None for the strongest edges of the space.
        recipe: gives the weights of the sources.
    """
    answered = SimilarityGraph.of(answers)
    index = space.index
    pairs, weights = _weighted(answered, index)
    roots = {root: number for number, root in enumerate(sorted(set(answered.component.values())))}
    components = np.full(len(space.sample_ids), -1, np.int64)
    for sample, root in answered.component.items():
        if sample in index:
            components[index[sample]] = roots[root]
    cannot = np.array(sorted((roots[a], roots[b]) for a, b in answered.cannot), np.int64).reshape(-1, 2)
    bare = TrainingGraph(
        prior=sparse.csr_array((len(components), len(components)), dtype=np.float32),
        pairs=pairs,
        signed=np.tanh(weights / 2.0).astype(np.float32),  # 2 sigmoid(l) - 1
        components=components,
        cannot=cannot,
        prior_weight=recipe.prior,
        view=recipe.view,
    )
    return bare.with_prior(strongest(space.graph, NEIGHBOURS) if prior is None else prior)


def measured_precision(graph: sparse.csr_array, pairs: Ints, weights: NDArray[np.floating]) -> float:
    """Share of neighbours that are the same: Beta posterior mean over the answered pairs that are edges of ``graph``.

    Questions are asked where things are unclear, so this leans to the low side: the prior gets too little trust rather
    than too much.
    """
    near = np.asarray(graph[pairs[:, 0], pairs[:, 1]]).reshape(-1) > 0 if len(pairs) else np.empty(0, bool)
    same, different = PRECISION_BELIEF
    same += float((weights[near] > 0).sum())
    different += float((weights[near] < 0).sum())
    return same / (same + different)


def strongest(graph: sparse.csr_array, count: int) -> sparse.csr_array:
    """The ``count`` strongest edges of each sample, kept if either end keeps them."""
    lengths = np.diff(graph.indptr)
    rows = np.repeat(np.arange(graph.shape[0]), lengths)
    order = np.lexsort((graph.indices, -graph.data, rows))
    rank = np.arange(len(order)) - np.repeat(graph.indptr[:-1], lengths)
    kept = order[rank < count]
    one_way = sparse.csr_array((graph.data[kept], (rows[kept], graph.indices[kept])), shape=graph.shape)
    return sparse.csr_array(one_way.maximum(one_way.T))


def _weighted(graph: SimilarityGraph, index: dict[str, int]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rows and log-odds of the pairs on which people took a side."""
    known: list[tuple[Pair, float]] = [
        (pair, edge.weight)
        for pair, edge in graph.edges.items()
        if edge.weight != 0.0 and pair.first in index and pair.second in index
    ]
    pairs = np.array([(index[pair.first], index[pair.second]) for pair, _ in known], np.int64).reshape(-1, 2)
    return pairs, np.array([weight for _, weight in known], np.float64)


def pair_keys(a: Ints, b: Ints) -> Ints:
    """One number for each unordered pair of numbers below 2**31."""
    keys: Ints = np.minimum(a, b) << 32 | np.maximum(a, b)
    return keys
