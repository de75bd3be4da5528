"""Which components are groups: those that answers found, however many there are, and which of them count as yet."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.graph import Root, SimilarityGraph
from pal_backend.core.merging import STRONGEST

Float = NDArray[np.float32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SUPPORT = 2
"""A component founds a group once this many groups (or all that are older, if fewer) are known to be others."""


def founded(graph: SimilarityGraph) -> tuple[Root, ...]:
    """The components that may be groups, oldest first: those that enough of the others are kept apart from.

    By answers alone. A group founded too early costs one "same" later: the two are joined, and the older one's name stays.
    What a lead decides unites and parts the groups that people's answers found, and founds and ends no other.
    """
    if graph.people is not None:
        found = (graph.people.members[root] for root in founded(graph.people))
        mostly = (Counter(map(graph.component.__getitem__, members)).most_common(1)[0][0] for members in found)
        kept = graph.parted.union(mostly)
        return tuple(root for root in graph.sizes if root in kept)
    apart: dict[Root, set[Root]] = defaultdict(set)
    for a, b in graph.cannot:
        apart[a].add(b)
        apart[b].add(a)
    order = list(graph.sizes)
    # the first two bear all others, and an answer may set one of those alone again
    most = max(_founded_in(order, apart), _core(apart), key=len)
    return tuple(root for root in order if root in most)


def _core(apart: Mapping[Root, set[Root]]) -> set[Root]:
    """Those that are all kept apart from enough of each other, whoever was first: the core of the graph of cannot-links
    (Seidman 1983, "Network structure and minimum degree").
    """
    core = set(apart)
    while weak := {root for root in core if len(apart[root] & core) < SUPPORT}:
        core -= weak
    return core


def _founded_in(order: Sequence[Root], apart: Mapping[Root, set[Root]]) -> set[Root]:
    """Those that are kept apart from enough of the ones found before them, then those kept apart from enough of all found:
    a founder that an older sample joins takes that one's place in the order, and would lose the support of those between.
    """
    groups: set[Root] = set()
    found = -1
    while found < len(groups):
        found = len(groups)
        for root in order:
            if root not in groups and len(apart[root] & groups) >= min(SUPPORT, len(groups)):
                groups.add(root)
    return groups


def likelier_new(evidence: Floats, group: Ints, unreached: float) -> NDArray[np.bool_]:
    """Groups that have several samples, or one that is likelier the first of a class than of another group, bool (K,).

    With r_k the likelihood of what answers say of the one and the group k, it is unless ``sum_k unreached r_k > 1``: where
    features tell little, to differ from a few of many groups is no reason to be none of them.

    Args:
        evidence: (L, K), log-odds that the answers on a sample give each group.
        group: (L,), group of each or -1.
        unreached: chance that a sample is of a given group though that does not reach it (:mod:`pal_backend.core.looks`).
    """
    placed = np.flatnonzero(group >= 0)
    number, first, size = np.unique(group[placed], return_index=True, return_counts=True)
    likely = np.exp(np.clip(evidence[placed[first]], -STRONGEST, STRONGEST))
    others = likely.sum(axis=1) - likely[np.arange(len(number)), number]
    kept = np.ones(evidence.shape[1], bool)
    kept[number[(size == 1) & (unreached * others > 1.0)]] = False
    return kept


def spoken_for(probabilities: Float, raised: NDArray[np.floating], answered: Ints, group: Ints) -> NDArray[np.bool_]:
    """Groups that have several samples, or one and are believed of another more than any other group, bool (K,).

    Args:
        probabilities: (N, K + 1), beliefs.
        raised: (K,), by what factor levels raised the belief in each group, which does not count here.
        answered: (L,), rows with answers, which speak for none.
        group: (L,), group of each or -1.
    """
    count = probabilities.shape[1] - 1
    free = np.ones(len(probabilities), bool)
    free[answered] = False
    led = np.bincount((probabilities[free, :-1] / raised).argmax(axis=1), minlength=count) if count else np.zeros(0)
    several = np.bincount(group[group >= 0], minlength=count) > 1
    return np.asarray(several | (led > 0) | (several.sum() < 2))
