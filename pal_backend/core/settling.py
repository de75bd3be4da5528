"""What is believed of the answered samples by label spreading alone, given the groups that answers found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.annotators import log_odds
from pal_backend.core.edges import DECIDED
from pal_backend.core.founding import founded
from pal_backend.core.graph import Root, SimilarityGraph
from pal_backend.core.inference import Answered, fill, without_itself
from pal_backend.core.looks import LEAST
from pal_backend.core.merging import Edges
from pal_backend.core.priors import (
    Dials,
    among,
    answer_log_odds,
    guidance,
    novel,
    novelty,
    posterior,
    share_of_none,
    sharpen,
    whole,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ROUNDS = 3
"""Times that beliefs of answered samples are fed back to spreading; more change little."""


@dataclass(frozen=True, eq=False)
class Settled:
    """What is believed of L answered samples about K groups.

    Args:
        groups: K roots, oldest first.
        group: int64 (L,), the group that answers put each sample in, -1 for none.
        evidence: float64 (L, K), log-odds that the answers on a sample give each group.
        sharp: float64 (L, K), what is spread to each sample from the others, sharpened; rows sum to 1.
        own: float64 (L, K + 1), beliefs without the sample's own answers, "none of them" last.
        both: float64 (L, K + 1), beliefs with them.
        dials: what fits the answers best; the second opinion has no part in them.
    """

    groups: tuple[Root, ...]
    group: Ints
    evidence: Floats
    sharp: Floats
    own: Floats
    both: Floats
    dials: Dials


def settle(
    graph: SimilarityGraph, known: Answered, q: Floats, *, names: Sequence[str], answered: Ints, edges: Edges
) -> Settled:
    """Beliefs of the answered samples, given the groups that answers found.

    Args:
        known: Green's function of the space's walk at answered rows.
        q: Q, (L, L), at the answered samples.
        names: of the L samples.
        answered: int64 (L,), their rows.
        edges: the answers between them.
    """
    groups = founded(graph)
    number = {root: k for k, root in enumerate(groups)}
    group = np.asarray([number.get(graph.component[name], -1) for name in names], np.int64)
    cover = _cover(known, answered, q, group >= 0)
    evidence = _evidence(edges, group, len(groups))
    said = np.where(np.abs(evidence) > DECIDED / 2.0, 0.0, evidence)  # a decision does not tell how good answers are
    base = sum(map(log_odds, graph.rates.values())) / max(len(graph.rates), 1)
    # one sample of each component that may be the first of a class nobody met
    first = np.asarray([graph.component[name] == name for name in names], bool)
    lone = first & ((group < 0) | (np.bincount(group[group >= 0], minlength=len(groups) + 1)[group] < 2))
    both: Floats = np.zeros((len(names), len(groups) + 1))
    both[group >= 0, group[group >= 0]] = 1.0
    both[:, :-1] = fill(q, both[:, :-1], np.flatnonzero(group < 0))
    both[:, -1] = np.clip(1.0 - both[:, :-1].sum(axis=1), 0.0, 1.0)
    own, sharp, strength, power, astray, none = both, both[:, :-1], 1.0, 1.0, 0.0, 1.0
    for _ in range(ROUNDS if groups else 0):
        none = share_of_none(
            cover, novelty(both[lone, group[lone]], int((group >= 0).sum()) + int((lone & (group < 0)).sum()))
        )
        spread_here = without_itself(q, both[:, :-1])
        novel_here = novel(spread_here.sum(axis=1), none)
        sharp = among(spread_here, none)
        power, astray = guidance(sharp, novel_here, evidence * strength)
        sharp = sharpen(sharp, power)
        own = whole(sharp, astray, novel_here)
        both = posterior(own, evidence * strength, group, LEAST)
        strength = answer_log_odds(own, both, said) / base if base else 1.0
    return Settled(groups, group, evidence, sharp, own, both, Dials(none, power, astray, strength))


def _cover(known: Answered, answered: Ints, q: Floats, grouped: NDArray[np.bool_]) -> Floats:
    """How far known groups reach, (n,) for some samples all over the pool: the chance to end at one that is in a group."""
    mass = fill(q, grouped.astype(np.float64)[:, None], np.flatnonzero(~grouped))
    return known.glance(answered.tolist(), (q @ mass)[:, 0]).astype(np.float64)


def _evidence(edges: Edges, group: Ints, count: int) -> Floats:
    """Summed log-odds of each answered row's edges to members of each group, (L, K)."""
    first, second, weight = edges
    out = np.zeros((len(group), count + 1))  # the last column takes what concerns no group
    np.add.at(out, (first, group[second]), weight)
    np.add.at(out, (second, group[first]), weight)
    return out[:, :count]
