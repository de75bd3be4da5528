"""Which components are groups: those that answers found, however many there are, and which of them count as yet."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.graph import Root, SimilarityGraph

Float = NDArray[np.float32]
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
