"""Groups founded by the answers, and what is believed of every sample. A function of space and graph alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.annotators import log_odds
from pal_backend.core.graph import Root, SimilarityGraph
from pal_backend.core.inference import Basis
from pal_backend.core.neighbours import Space
from pal_backend.core.priors import answer_log_odds, novelty, share_of_none, sharpen, sharpness, with_none

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SUPPORT = 2
"""A component founds a group once this many older groups (or all, if fewer) are known to be others."""
ROUNDS = 2
"""Times that the beliefs of answered samples are fed back as targets; more rounds change next to nothing."""
LOOK = 1000
"""Samples looked at to set the chance of "none of them"."""


@dataclass(frozen=True, eq=False)
class Beliefs:
    """What is believed of N samples, L of them answered, about K groups.

    Args:
        groups: the roots of the components that are groups, oldest first; a root is its group's founder.
        placed: int64 (N,), the group that trusted answers put the sample in, else -1.
        answered: int64 (L,), rows with answers.
        probabilities: float64 (N, K + 1), rows sum to 1, the last column is "none of them".
        own: float64 (L, K + 1), the same for the answered rows, without their own answers.
        evidence: float64 (L, K), log-odds that the answers on an answered row give each group.
        spread: float64 (N, K + 1), as ``probabilities`` but before sharpening; how groups touch shows better here.
    """

    groups: tuple[Root, ...]
    placed: Ints
    answered: Ints
    probabilities: Floats
    own: Floats
    evidence: Floats
    spread: Floats


def founded(graph: SimilarityGraph) -> tuple[Root, ...]:
    """The components that are groups, oldest first: those that enough of the older groups are kept apart from.

    By answers alone, so a new model version keeps the groups. A group founded too early costs one "same" later: the
    two are joined, and the older one's name stays.
    """
    apart: dict[Root, set[Root]] = defaultdict(set)
    for a, b in graph.cannot:
        apart[a].add(b)
        apart[b].add(a)
    groups: list[Root] = []
    for root in graph.members:
        if len(apart[root].intersection(groups)) >= min(SUPPORT, len(groups)):
            groups.append(root)
    return tuple(groups)


def believe(space: Space, graph: SimilarityGraph, basis: Basis) -> Beliefs:
    """Beliefs of all samples; ``basis`` holds exactly the rows of the samples in ``graph``.

    An answered sample's belief is its prior (spread from all other answered samples) times the likelihood of its own
    answers; these beliefs, not the bare answers, are what is spread to the rest, so that an answer which fits nothing
    around it does little harm.
    """
    groups = founded(graph)
    answered = np.asarray(basis.rows, np.int64)
    names = [space.sample_ids[row] for row in basis.rows]
    number = {root: k for k, root in enumerate(groups)}
    group = np.asarray([number.get(graph.component[name], -1) for name in names], np.int64)
    evidence = _evidence(graph, names, group, len(groups))
    base = sum(map(log_odds, graph.rates.values())) / max(len(graph.rates), 1)
    strength, power = 1.0, 1.0
    rate = novelty(graph, groups, group)
    both: Floats = np.zeros((len(answered), len(groups) + 1))
    both[group >= 0, group[group >= 0]] = 1.0
    both[:, :-1] = basis.fill(both[:, :-1], np.flatnonzero(group < 0))
    own, none = both, 1.0
    for _ in range(ROUNDS):
        coverage = basis.spread(both[:, :-1].sum(axis=1, keepdims=True))[:: max(1, basis.size // LOOK), 0]
        none = share_of_none(coverage, rate) if groups else 1.0
        own = with_none(basis.without_itself(both[:, :-1]), none)
        power = sharpness(own, group)
        own = sharpen(own, power)
        both = _posterior(own, evidence * strength, group)
        strength = answer_log_odds(own, both, evidence) / base if base else 1.0
    spread = with_none(basis.spread(both[:, :-1]), none)
    probabilities = sharpen(spread, power)
    spread[answered] = probabilities[answered] = both
    placed = np.full(basis.size, -1, np.int64)
    placed[answered] = group
    return Beliefs(groups, placed, answered, probabilities, own, evidence, spread)


def _evidence(graph: SimilarityGraph, names: Sequence[str], group: Ints, count: int) -> Floats:
    """Summed log-odds of each answered row's edges to members of each group, (L, K)."""
    at = {name: i for i, name in enumerate(names)}
    ends = [
        (at[pair.first], at[pair.second], edge.weight)
        for pair, edge in graph.edges.items()
        if pair.first in at and pair.second in at
    ]
    out = np.zeros((len(names), count + 1))  # the last column takes what concerns no group
    if ends:
        first, second, weight = (np.asarray(column) for column in zip(*ends, strict=True))
        np.add.at(out, (first, group[second]), weight)
        np.add.at(out, (second, group[first]), weight)
    return out[:, :count]


def _posterior(own: Floats, evidence: Floats, group: Ints) -> Floats:
    """Prior times likelihood of the answers, (L, K + 1), rows sum to 1."""
    prior = own.copy()
    # whoever founded a group and has no "same" yet: what is no other group is this one
    alone = np.flatnonzero(group >= 0)
    alone = alone[evidence[alone, group[alone]] <= 0.0]
    prior[alone, group[alone]] += prior[alone, -1]
    prior[alone, -1] = 0.0
    log = np.log(np.maximum(prior, 1e-12))
    log[:, :-1] += evidence
    p = np.exp(log - log.max(axis=1, keepdims=True))
    return np.asarray(p / p.sum(axis=1, keepdims=True))
