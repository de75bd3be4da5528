"""Screens: one representative of a group beside K samples that may belong to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from pal_backend.core.asking.selection import select
from pal_backend.core.asking.state import Candidates
from pal_backend.core.neighbours import Space


def select_screens(
    candidates: Candidates, space: Space, count: int, size: int, open_rows: Sequence[int] = ()
) -> list[tuple[int, list[int]]]:
    """Up to ``count`` screens as (row of the anchor, indices of its candidates), most informative first.

    The candidates of one anchor are chosen to be good together; the anchor whose candidates add up to the most comes
    first, and what it shows is not shown again. A screen has ``size`` candidates, or fewer where there are no more.
    """
    taken: set[int] = set(open_rows)
    screens: list[tuple[int, list[int]]] = []
    while len(screens) < count:
        by_anchor: dict[int, list[int]] = defaultdict(list)
        for m, row in enumerate(candidates.left.tolist()):
            if row not in taken:
                by_anchor[int(candidates.right[m])].append(m)
        best: tuple[float, int, list[int]] | None = None
        for anchor, mine in sorted(by_anchor.items(), key=lambda item: space.sample_ids[item[0]]):
            part = Candidates(candidates.left[mine], candidates.right[mine], candidates.scores[mine])
            chosen = [mine[m] for m in select(part, space, size, taken)]
            worth = float(np.sum(candidates.scores[chosen]))
            if chosen and (best is None or worth > best[0]):
                best = (worth, anchor, chosen)
        if best is None:
            break
        screens.append(best[1:])
        taken.update(int(candidates.left[m]) for m in best[2])
    return screens
