"""What a strategy sees, and what it gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.beliefs import Beliefs
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.neighbours import Space
from pal_backend.core.vocabulary import Pair, Question, SampleId


@dataclass(frozen=True, eq=False)
class State:
    """Everything known when questions are chosen; a function of the answers, the space and the open questions.

    Args:
        space: N samples and their neighbour graph.
        graph: what the answers say.
        beliefs: what is believed of every sample.
        open_rows: rows of samples that an open question is about to place.
        open_pairs: pairs in open questions.
    """

    space: Space
    graph: SimilarityGraph
    beliefs: Beliefs
    open_rows: frozenset[int] = frozenset()
    open_pairs: frozenset[Pair] = frozenset()

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

    def pair(self, a: int, b: int) -> Pair:
        """The canonical pair of two rows."""
        return Pair.of(self.space.sample_ids[a], self.space.sample_ids[b])

    def times_asked(self, a: int, b: int) -> int:
        """How many annotations hold this pair, open questions not counted."""
        edge = self.graph.edges.get(self.pair(a, b))
        return len(edge.annotations) if edge else 0

    @cached_property
    def members(self) -> list[list[int]]:
        """Rows of each group's trusted members, the best confirmed first; ties by sample id."""
        b, ids = self.beliefs, self.space.sample_ids
        found: list[list[tuple[float, SampleId, int]]] = [[] for _ in range(self.groups)]
        for i, row in enumerate(b.answered.tolist()):
            group = int(b.placed[row])
            if group >= 0:
                found[group].append((-float(b.evidence[i, group]), ids[row], row))
        return [[row for _, _, row in sorted(group)] for group in found]

    def representative(self, group: int, row: int) -> int:
        """The member of ``group`` to compare ``row`` with: the best confirmed of those it was compared with least."""
        tried = [
            (self.times_asked(row, other), rank, other)
            for rank, other in enumerate(self.members[group][:8])
            if other != row
        ]
        free = [t for t in tried if self.pair(row, t[2]) not in self.open_pairs]
        return min(free or tried, default=(0, 0, -1))[2]


@dataclass(frozen=True, eq=False)
class Candidates:
    """M possible pair questions with their scores.

    Args:
        left: int64 (M,), rows to be placed.
        right: int64 (M,), rows to compare them with.
        scores: float64 (M,), non-negative, larger is better; the unit is "one ordinary sample's full uncertainty".
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    scores: NDArray[np.float64]

    @classmethod
    def of(cls, rows: list[tuple[int, int, float]]) -> Candidates:
        """From (left, right, score) triples."""
        left, right, scores = zip(*rows, strict=True) if rows else ((), (), ())
        return cls(np.asarray(left, np.int64), np.asarray(right, np.int64), np.asarray(scores, np.float64))
