"""The similarity graph as training uses it: answers and prior neighbours with their weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.learning.closure import Closure, closure
from pal_backend.core.recipes import DEFAULT, Recipe
from pal_backend.core.vocabulary import Answer, Pair

if TYPE_CHECKING:  # what only trains need not wait for scikit-learn
    from pal_backend.core.neighbours import Space

Ints = NDArray[np.int64]

PRECISION_BELIEF = (4.0, 1.0)
"""Beta prior on the share of neighbours that are the same, before anybody was asked."""
NEIGHBOURS = 10
"""Strongest edges kept of each sample."""
CONTRAST = 2.0
"""c of prior edges' weights exp(-c r), in whatever space (:mod:`pal_backend.core.neighbours`)."""


@dataclass(frozen=True)
class TrainingGraph:
    """The similarity graph over N samples as training uses it; views are added batch by batch.

    Args:
        prior: float32 (N, N) csr, symmetric, zero diagonal: weight of prior neighbours, already times their precision.
        pairs: int64 (E, 2), each answered pair once, its two samples different.
        signed: float32 (E,), in [-1, 1]: confidence that the pair is the same, negative for different.
        components: int64 (N,), equal numbers below C for samples joined by trusted answers, -1 for a sample in none.
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
        """The pairs of ``cannot`` as sorted numbers, int64 (M,)."""
        return np.sort(pair_keys(self.cannot[:, 0], self.cannot[:, 1]))

    @cached_property
    def apart(self) -> NDArray[np.float32]:
        """How sure it is that the components of :attr:`cannot_keys` differ, float32 (M,), in [0, 1]: from the evidence of
        all answers between them; 1 where they lie outside the graph.
        """
        ends = self.components[self.pairs]
        keys = pair_keys(ends[:, 0], ends[:, 1])
        here, at = found(self.cannot_keys, np.where((ends >= 0).all(axis=1), keys, -1))
        odds = 2.0 * np.arctanh(self.signed.astype(np.float64).clip(-1 + 1e-12, 1 - 1e-12))
        total = np.bincount(at[here], odds[here], len(self.cannot_keys))
        seen = np.bincount(at[here], minlength=len(self.cannot_keys)) > 0
        return np.where(seen, np.tanh(np.maximum(-total, 0.0) / 2.0), 1.0).astype(np.float32)

    @cached_property
    def said(self) -> sparse.csr_array:
        """What is known of single pairs, float32 csr (N, N): prior weights, and the confidence of an answer in their place."""
        a, b = self.pairs[:, 0], self.pairs[:, 1]
        ends = np.concatenate([a, b]), np.concatenate([b, a])
        answers = sparse.csr_array((np.concatenate([self.signed, self.signed]), ends), shape=self.prior.shape)
        asked = sparse.csr_array((np.ones(2 * len(a), np.float32), ends), shape=self.prior.shape)
        return sparse.csr_array(self.prior - self.prior * asked + answers)

    @cached_property
    def closure(self) -> Closure:
        """How sure the answers are of what they imply inside components."""
        return closure(self.components, self.pairs, self.signed)

    @cached_property
    def sizes(self) -> Ints:
        """Samples of each component, int64 (C,)."""
        return np.bincount(self.components[self.components >= 0])

    @cached_property
    def kept_apart(self) -> Ints:
        """Samples of all components from which a component is kept apart, int64 (C,)."""
        away = np.zeros(len(self.sizes), np.int64)
        np.add.at(away, self.cannot[:, 0], self.sizes[self.cannot[:, 1]])
        np.add.at(away, self.cannot[:, 1], self.sizes[self.cannot[:, 0]])
        return away

    @cached_property
    def answered_keys(self) -> Ints:
        """The answered pairs as sorted numbers, int64 (E,)."""
        return np.sort(pair_keys(self.pairs[:, 0], self.pairs[:, 1]))

    @cached_property
    def answered_degrees(self) -> Ints:
        """Answered pairs at each sample, int64 (N,)."""
        return np.bincount(self.pairs.reshape(-1), minlength=self.size)

    @cached_property
    def prior_keys(self) -> Ints:
        """The prior's edges as sorted numbers, int64."""
        upper = sparse.triu(self.prior, 1).tocoo()
        return np.sort(pair_keys(upper.row.astype(np.int64), upper.col.astype(np.int64)))

    @cached_property
    def prior_degrees(self) -> Ints:
        """Prior neighbours of each sample, int64 (N,)."""
        return np.diff(self.prior.indptr).astype(np.int64)

    @cached_property
    def prior_chance(self) -> NDArray[np.float64]:
        """How probable it is that a sample draws one given neighbour of its own, float64 (N,)."""
        return np.divide(1.0, self.prior_degrees, out=np.zeros(self.size), where=self.prior_degrees > 0)

    @cached_property
    def prior_pull(self) -> NDArray[np.float64]:
        """How many neighbours a sample is of, each counted by the chance to be drawn, float64 (N,)."""
        ones = sparse.csr_array(
            (np.ones(self.prior.nnz), self.prior.indices, self.prior.indptr), shape=self.prior.shape
        )
        return np.asarray(ones.T @ self.prior_chance)

    @cached_property
    def members(self) -> list[Ints]:
        """Rows of each component, by its number."""
        order = np.argsort(self.components, kind="stable")
        return np.split(order[self.components[order] >= 0], np.cumsum(self.sizes)[:-1]) if len(self.sizes) else []

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
    return bare.with_prior(prior_edges(space) if prior is None else prior)


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


def prior_edges(space: Space) -> sparse.csr_array:
    """The strongest edges of each sample in a space, at the :data:`CONTRAST` of training: what sets them apart for spreading
    would make nearly all of them too weak to pull.
    """
    edges = strongest(space.graph, NEIGHBOURS)
    edges.data **= np.float32(CONTRAST / space.contrast)
    return edges


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


def found(keys: Ints, wanted: Ints) -> tuple[NDArray[np.bool_], Ints]:
    """Which of ``wanted`` are among the sorted ``keys``, and where each would stand, int64 below max(1, len(keys))."""
    if not len(keys):
        return np.zeros(wanted.shape, bool), np.zeros(wanted.shape, np.int64)
    at = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return keys[at] == wanted, at


def pair_keys(a: Ints, b: Ints) -> Ints:
    """One number for each unordered pair of numbers below 2**31."""
    keys: Ints = np.minimum(a, b) << 32 | np.maximum(a, b)
    return keys
