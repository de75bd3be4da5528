"""Which of the scored candidates to ask: the best, then the best of what is left once that one is being asked."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.asking.state import Candidates
from pal_backend.core.neighbours import Space

NEAR = 0.9
"""Share of a sample's score lost when the one it is tied to most is in an open question; others lose less, as their ties are."""


def select(candidates: Candidates, space: Space, count: int, open_rows: Iterable[int] = ()) -> list[int]:
    """Indices of up to ``count`` candidates that are good together, best first.

    Each sample is placed by one question at a time, and neighbours of a sample in an open question count less, because
    its answer will tell about them too. Ties go to the smaller sample ids.

    Args:
        candidates: what to choose from.
        space: for the neighbour graph.
        count: at most so many.
        open_rows: rows that open questions are about to place.
    """
    keep = np.ones(len(space.sample_ids))
    for row in sorted(open_rows):
        _spend(keep, space, row)
    order = np.lexsort((space.order[candidates.right], space.order[candidates.left]))
    left, scores = candidates.left[order], candidates.scores[order]
    chosen: list[int] = []
    while len(order) and len(chosen) < count:
        now = scores * keep[left]
        best = int(now.argmax())
        if now[best] <= 0.0:
            break
        chosen.append(int(order[best]))
        _spend(keep, space, int(left[best]))
    return chosen


def _spend(keep: NDArray[np.float64], space: Space, row: int) -> None:
    keep[row] = 0.0
    weights = space.weights(row)
    keep[space.neighbours(row)] *= 1.0 - NEAR * weights / weights.max(initial=1e-12)
