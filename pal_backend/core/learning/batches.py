"""Which samples go into a training batch together, and how probable it was that two of them would.

A uniform batch almost never holds both ends of an answered pair: of E pairs among N samples a batch of B sees
E * B (B - 1) / (N (N - 1)), 0.03 pairs for 1,000 answers on 50,000 samples. So a part of each batch follows the graph. The
parts are drawn independently of each other, so that the chance of any two samples to come together has a closed form, and
dividing by it makes what a guided batch sees unbiased.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.learning.graph import Ints, TrainingGraph
from pal_backend.core.recipes import DEFAULT, Shares

UNIFORM = Shares(0.0, 0.0, 0.0)
LARGEST = 0.10
"""A component's members make up at most so much of a batch on average."""


@dataclass(frozen=True)
class Composition:
    """How many draws a batch is made of."""

    size: int
    """Most samples it can hold."""
    uniform: int
    """Different samples, uniformly."""
    anchors: int
    """Samples, uniformly and with replacement, each with one of its prior neighbours."""
    components: int
    """Components, by the root of their size and with replacement, each with ``members`` of its members."""
    answered: int
    """Different answered pairs, uniformly."""
    members: int


class Batch(NamedTuple):
    """Samples of a batch."""

    nodes: Ints
    """Different rows, int64 (n,), those that were drawn uniformly first."""
    uniform: int
    """How many of them were drawn uniformly: only over these are statistics those of the pool."""
    composition: Composition


def compose(graph: TrainingGraph, size: int, shares: Shares) -> tuple[Composition, int]:
    """What each batch of an epoch is made of, and how many it takes to hold every sample and every answered pair."""
    size = min(size, graph.size)
    anchors = int(size * shares.prior) // 2 if graph.prior.nnz else 0
    room = int(size * (shares.components + shares.cannot))
    pairs = len(graph.pairs) if room >= 2 else 0
    count = max(1, -(-pairs // max(1, room // 2)))
    while True:
        answered = -(-pairs // count)
        left = min(int(size * shares.components), room - 2 * answered)
        components = left // shares.members if (graph.sizes > 1).any() else 0
        uniform = size - 2 * anchors - 2 * answered - shares.members * components
        if count * uniform >= graph.size or uniform >= graph.size:
            return Composition(size, uniform, anchors, components, answered, shares.members), count
        count = max(count + 1, -(-graph.size // uniform))


def epoch(
    graph: TrainingGraph, size: int, rng: np.random.Generator, shares: Shares = DEFAULT.shares
) -> Iterator[Batch]:
    """Batches of at most ``size`` samples that together hold every sample in their uniform parts, and both ends of every
    answer.
    """
    composition, count = compose(graph, size, shares)
    queue = rng.permutation(graph.size)
    due = (
        np.array_split(rng.permutation(len(graph.pairs)), count) if composition.answered else [np.empty(0, int)] * count
    )
    for pairs in due:
        fresh, queue = queue[: composition.uniform], queue[composition.uniform :]
        if missing := composition.uniform - len(fresh):  # the last ones: filled up with samples that came before
            others = np.setdiff1d(np.arange(graph.size), fresh, assume_unique=True)
            fresh = np.concatenate([fresh, rng.choice(others, missing, replace=False)])
        anchors, neighbours = _anchors(graph, composition.anchors, rng)
        uniform = np.unique(np.concatenate([fresh, anchors]))
        guided = [neighbours, graph.pairs[pairs].reshape(-1), _members(graph, composition, rng)]
        rest = np.setdiff1d(np.concatenate(guided), uniform)
        yield Batch(np.concatenate([uniform, rest]), len(uniform), replace(composition, answered=len(pairs)))


def component_chances(graph: TrainingGraph, composition: Composition) -> NDArray[np.float64]:
    """How probable it is that one of the draws takes each component, float64 (C,): by the root of its size, none for
    single samples, and no more than fills :data:`LARGEST` of a batch; what is cut off takes none.
    """
    roots = np.sqrt(np.where(graph.sizes > 1, graph.sizes, 0))
    most = LARGEST * composition.size / (composition.members * max(1, composition.components))
    return np.asarray(np.minimum(roots / max(float(roots.sum()), 1e-12), most))


def _members(graph: TrainingGraph, composition: Composition, rng: np.random.Generator) -> Ints:
    """Members of the components drawn."""
    if not composition.components:
        return np.empty(0, np.int64)
    each = component_chances(graph, composition)
    drawn = rng.choice(len(each) + 1, composition.components, p=[*each, max(0.0, 1.0 - each.sum())])
    rows = [graph.members[c] for c in drawn.tolist() if c < len(each)]
    parts = [rng.choice(members, min(composition.members, len(members)), replace=False) for members in rows]
    return np.concatenate([np.empty(0, np.int64), *parts])


def _anchors(graph: TrainingGraph, count: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Samples, and one prior neighbour of each that has any, uniformly."""
    anchors = rng.integers(0, graph.size, count)
    starts, degrees = graph.prior.indptr[anchors], graph.prior_degrees[anchors]
    drawn = starts + (rng.random(count) * degrees).astype(np.int64)
    return anchors, np.asarray(graph.prior.indices[drawn[degrees > 0]], np.int64)
