"""What a strategy sees, and what it gives back."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.asking.scores import Floats, doubt, in_places, merge_gains
from pal_backend.core.asking.seams import Seam
from pal_backend.core.beliefs import Beliefs
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.neighbours import Space
from pal_backend.core.posterior import SURE
from pal_backend.core.vocabulary import Pair, Question, QuestionKind, SampleId

TWIN_WORTH = 0.01
"""Worth of asking about a near duplicate, over that of another sample: its place follows from that of its twin."""
REPRESENTATIVES = 8
"""Members of a group that a sample may be compared with, the best confirmed ones."""


@dataclass(frozen=True)
class Spared:
    """Samples that people are spared.

    Args:
        withdrawn: not in the pool any more: their answers stand, nobody is asked about them.
        twins: near duplicates of another sample of the pool: asked about last.
    """

    withdrawn: frozenset[SampleId] = frozenset()
    twins: frozenset[SampleId] = frozenset()


@dataclass(frozen=True, eq=False)
class State:
    """Everything known when questions are chosen; a function of the answers, the space and the open questions.

    Args:
        space: N samples and their neighbour graph.
        graph: what the answers say.
        beliefs: what is believed of every sample.
        doubts: float64 (N,), worth of placing each sample (:func:`pal_backend.core.asking.scores.doubt`).
        gains: float64 (K, K), worth of asking whether two groups are one (:func:`~.scores.merge_gains`).
        seams: where groups may have been joined wrongly, the most doubtful first.
        open_rows: rows of samples that an open question is about to place.
        open_pairs: pairs in open questions.
        withdrawn: rows of samples that nobody is asked about.
        kind: what the questions are to be.
    """

    space: Space
    graph: SimilarityGraph
    beliefs: Beliefs
    doubts: Floats
    gains: Floats
    seams: tuple[Seam, ...] = ()
    open_rows: frozenset[int] = frozenset()
    open_pairs: frozenset[Pair] = frozenset()
    withdrawn: frozenset[int] = frozenset()
    kind: QuestionKind = QuestionKind.PAIR

    @classmethod
    def of(
        cls,
        space: Space,
        graph: SimilarityGraph,
        beliefs: Beliefs,
        seams: Sequence[Seam] = (),
        spared: Spared = Spared(),
    ) -> State:
        """The state with no question open."""
        doubts, index = doubt(space, beliefs), space.index
        withdrawn = [index[sample] for sample in spared.withdrawn if sample in index]
        doubts[[index[sample] for sample in spared.twins if sample in index]] *= TWIN_WORTH
        doubts[withdrawn] = 0.0
        gains = merge_gains(beliefs)
        return cls(space, graph, beliefs, doubts, gains, tuple(seams), withdrawn=frozenset(withdrawn))

    def with_open(self, questions: Sequence[Question]) -> State:
        """The same with these questions open; samples that the space does not know are left out."""
        index = self.space.index
        rows = frozenset(index[sample] for question in questions for sample in question.candidates if sample in index)
        pairs = frozenset(pair for question in questions for pair in question.pairs)
        return replace(self, open_rows=rows, open_pairs=pairs)

    @property
    def groups(self) -> int:
        """K, the number of groups known."""
        return len(self.beliefs.groups)

    @cached_property
    def in_vain(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pairs about which people were only unsure: rows int64 (E, 2), and annotations int64 (E,)."""
        index = self.space.index
        found = [
            (index[pair.first], index[pair.second], len(edge.annotations))
            for pair, edge in self.graph.edges.items()
            if not (edge.weight or edge.mixed) and pair.first in index and pair.second in index
        ]
        table = np.asarray(found, np.int64).reshape(-1, 3)
        return table[:, :2], table[:, 2]

    @cached_property
    def met(self) -> NDArray[np.bool_]:
        """Samples in any answer, or about to be placed, bool (N,)."""
        met = np.zeros(len(self.doubts), bool)
        met[self.beliefs.answered] = met[self.in_vain[0].reshape(-1)] = met[list(self.open_rows)] = True
        return met

    @cached_property
    def members(self) -> list[list[int]]:
        """Rows of each group's trusted members that can be shown, the best confirmed first; ties by sample id."""
        rows = self.ranked
        ends = np.searchsorted(self.beliefs.placed[rows], np.arange(self.groups + 1))
        return [rows[a:b].tolist() for a, b in itertools.pairwise(ends)]

    @cached_property
    def ranked(self) -> NDArray[np.int64]:
        """All :attr:`members` in a row, group after group."""
        beliefs = self.beliefs
        group = beliefs.placed[beliefs.answered]
        shown = np.ones(len(self.doubts), bool)
        shown[list(self.withdrawn)] = False
        inside = np.flatnonzero((group >= 0) & shown[beliefs.answered])
        confirmed = beliefs.evidence[inside, group[inside]]
        rows, mine = beliefs.answered[inside], group[inside]
        order = np.lexsort((self.space.order[rows], -confirmed, mine))
        return np.asarray(rows[order])

    def seam_gain(self, seam: Seam) -> float:
        """Worth of asking about a seam."""
        return float(in_places(self.beliefs, seam.stake))

    def same(self, anchor: int, rows: Sequence[int]) -> tuple[float, ...]:
        """Uncalibrated P(same) of each of ``rows`` and the anchor, ``sum_kl F_ik O_kl F_jl``: both are of one group, or of two
        that are one.
        """
        f = self.beliefs.probabilities[[anchor, *rows], :-1]
        p = np.einsum("nk,nk->n", f[1:] @ self.beliefs.one, f[:1], dtype=np.float64)
        return tuple(np.clip(p, 1.0 - SURE, SURE).tolist())

    def pair(self, a: int, b: int) -> Pair:
        """The canonical pair of two rows."""
        return Pair.of(self.space.sample_ids[a], self.space.sample_ids[b])

    def times_asked(self, a: int, b: int) -> int:
        """How many annotations hold this pair, open questions not counted."""
        edge = self.graph.edges.get(self.pair(a, b))
        return len(edge.annotations) if edge else 0

    def askable(self, a: int, b: int) -> bool:
        """Whether nobody was asked about this pair, and nobody is being asked."""
        return not self.times_asked(a, b) and self.pair(a, b) not in self.open_pairs

    def representative(self, group: int, row: int) -> int:
        """The member of ``group`` to compare ``row`` with, -1 if there is none whose question is not open.

        The best confirmed of those that ``row`` was compared with least: who errs on one example may not on another.
        """
        return self._partner(group, row)[0]

    def _partner(self, group: int, row: int) -> tuple[int, int]:
        """The :meth:`representative` there, and how many annotations are about ``row`` and any of the representatives."""
        members = self.members[group]
        if not self.met[row]:
            return (members[0] if members else -1), 0
        best, fewest, total = -1, sys.maxsize, 0
        for other in members[:REPRESENTATIVES]:
            if other == row:
                continue
            pair = self.pair(row, other)
            edge = self.graph.edges.get(pair)
            times = len(edge.annotations) if edge else 0
            total += times
            if times < fewest and pair not in self.open_pairs:
                best, fewest = other, times
        return best, total

    def meeting(self, group: int, other: int) -> tuple[int, int, int] | None:
        """Members of two groups to compare, None if there are none whose question is not open: of ``group`` the one that
        met ``other`` least, the best confirmed of those, and its :meth:`representative` there; and how many annotations
        compare the one with any representative there.
        """
        found, fewest = None, sys.maxsize
        for row in self.members[group][:REPRESENTATIVES]:
            partner, times = self._partner(other, row)
            if times < fewest and partner >= 0:
                found, fewest = (row, partner, times), times
            if not times:
                break
        return found


@dataclass(frozen=True, eq=False)
class Candidates:
    """M possible pair questions with their scores.

    Args:
        left: int64 (M,), rows to be placed.
        right: int64 (M,), rows to compare them with.
        scores: float64 (M,), non-negative, larger is better; the unit is one ordinary sample in full doubt.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    scores: NDArray[np.float64]

    @classmethod
    def of(cls, rows: Sequence[tuple[int, int, float]]) -> Candidates:
        """From (left, right, score) triples."""
        left, right, scores = zip(*rows, strict=True) if rows else ((), (), ())
        return cls(np.asarray(left, np.int64), np.asarray(right, np.int64), np.asarray(scores, np.float64))
