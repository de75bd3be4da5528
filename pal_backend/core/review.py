"""Which unions of samples deserve a second look by a person: doubtful seams, with the answers that hold them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.asking.seams import Seam
from pal_backend.core.beliefs import Beliefs
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.neighbours import Space
from pal_backend.core.vocabulary import Pair, SampleId

LEAST_DOUBT = 0.05
"""A union is shown from this chance on that it is none."""
LEAST_MOVED = 0.5
"""Samples that would be in another group, were it none."""
SHOWN = 12
"""Members of the larger side that are named."""


@dataclass(frozen=True)
class DoubtfulMerge:
    """Two sides of a group that may be two groups.

    Args:
        group: its founder.
        two: P(they are two groups), 0..1.
        stake: ``two`` times the samples of the smaller side.
        small: all answered samples of the smaller side, the most typical first.
        large: some of the larger side, likewise.
        bridges: pairs across whose answers say "same", the weakest first.
    """

    group: SampleId
    two: float
    stake: float
    small: tuple[SampleId, ...]
    large: tuple[SampleId, ...]
    bridges: tuple[Pair, ...]


def doubtful_merges(
    space: Space, graph: SimilarityGraph, beliefs: Beliefs, seams: Sequence[Seam]
) -> list[DoubtfulMerge]:
    """The seams that may be none, largest stake first."""
    doubted = [seam for seam in seams if seam.two >= LEAST_DOUBT and seam.stake >= LEAST_MOVED * seam.two]
    doubted = [seam for seam in doubted if beliefs.placed[seam.small[0]] >= 0]
    if not doubted:
        return []
    first, second, weight = graph.ends(space.index)
    found = []
    for seam in doubted:
        group = int(beliefs.placed[seam.small[0]])
        across = np.isin(first, seam.small) & np.isin(second, seam.large)
        across |= np.isin(first, seam.large) & np.isin(second, seam.small)
        bridges = np.flatnonzero(across & (weight > 0.0))
        bridges = bridges[np.argsort(weight[bridges], kind="stable")]
        small, large = (_typical(space, beliefs, rows, group) for rows in (seam.small, seam.large))
        pairs = tuple(Pair.of(space.sample_ids[first[n]], space.sample_ids[second[n]]) for n in bridges.tolist())
        found.append(DoubtfulMerge(beliefs.groups[group], seam.two, seam.stake, small, large[:SHOWN], pairs))
    return [one for one in found if one.bridges]


def _typical(space: Space, beliefs: Beliefs, rows: NDArray[np.int64], group: int) -> tuple[SampleId, ...]:
    order = np.lexsort((space.order[rows], -beliefs.probabilities[rows, group]))
    return tuple(space.sample_ids[row] for row in rows[order].tolist())
