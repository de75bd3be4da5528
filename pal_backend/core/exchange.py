"""Samples that two components exchange, several at once.

Joining goes by the heaviest evidence first, and a sample that was compared with many is heavy: where two wrong answers put it
into another component, those of its own class are one by one drawn along or left alone, and moving any one of them back
gains nothing. So at last two components are looked at together: their samples change sides one after another, each time the
one by which answers gain most or lose least, and as many of these changes are kept as gain most in all (Kernighan and Lin
1970, "An efficient heuristic procedure for partitioning graphs"; for multicuts Keuper et al. 2015, Algorithm 2).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.edges import NOTHING
from pal_backend.core.moves import numbered, settle
from pal_backend.core.vocabulary import Pair, SampleId

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Exchange(NamedTuple):
    """One such exchange.

    ``component``: sample to the root of its component after it, in the order given. ``went``: samples that changed sides,
    and those that this cut off from the first of their component. ``touched``: all samples of the two components.
    """

    component: dict[SampleId, SampleId]
    went: frozenset[SampleId]
    touched: frozenset[SampleId]


def exchanged(
    edges: Mapping[Pair, tuple[float, int]], component: Mapping[SampleId, SampleId], least: float
) -> Exchange | None:
    """The first exchange that gains enough, between components at odds most first; None where there is none.

    Args:
        edges: pair to log-odds of "same" and rank.
        component: sample to its root, in the order of the ranks.
        least: evidence that an exchange has to gain, above 0.
    """
    ends, weight, here = numbered(edges, component)
    for a, b in _at_odds(ends, weight, here, least):
        rows = np.flatnonzero((here == a) | (here == b))
        both = ((here[ends] == a) | (here[ends] == b)).all(axis=1)
        moves, gained = _best_of_all(np.searchsorted(rows, ends[both]), weight[both], here[rows] == a)
        if gained >= least:
            went = rows[moves]
            here[went] = a + b - here[went]
            samples = list(component)
            now, gone = settle(edges, here, component, {samples[n] for n in went.tolist()})
            return Exchange(now, gone, frozenset(samples[n] for n in rows.tolist()))
    return None


def _at_odds(ends: Ints, weight: Floats, here: Ints, least: float) -> Iterator[tuple[int, int]]:
    """Two components each that some answers put together, where an exchange could gain enough: at most all that is said
    against what they are.
    """
    size = len(here)
    a, b = np.sort(here[ends], axis=1).T
    across = a != b
    inside = np.bincount(a[~across], np.maximum(-weight[~across], 0.0), size)
    keys, each = np.unique(a[across] * size + b[across], return_inverse=True)
    together = np.bincount(each, np.maximum(weight[across], 0.0), len(keys))
    a, b = np.divmod(keys, size)
    most = together + inside[a] + inside[b]
    some = np.flatnonzero((together > NOTHING) & (most >= least))
    some = some[np.argsort(-most[some], kind="stable")]
    return zip(a[some].tolist(), b[some].tolist(), strict=True)


def _best_of_all(ends: Ints, weight: Floats, first: NDArray[np.bool_]) -> tuple[Ints, float]:
    """The samples that change sides, and what that gains.

    Args:
        ends: (E, 2), the pairs with answers among n samples.
        weight: (E,), log-odds of "same".
        first: (n,), whether each sample is on the first side.
    """
    count, side = len(first), np.where(first, 1.0, -1.0)
    one, other = np.concatenate([ends, ends[:, ::-1]]).T
    order = np.argsort(one, kind="stable")
    one, other, said = one[order], other[order], np.concatenate([weight, weight])[order]
    start = np.searchsorted(one, np.arange(count + 1))
    gain = -np.bincount(one, said * side[one] * side[other], count)
    best, kept, total, moves = 0.0, 0, 0.0, list[int]()
    left = np.count_nonzero(first)
    for _ in range(count - 1):  # the last one would leave both sides as they were
        move = int(gain.argmax())
        total += float(gain[move])
        moves.append(move)
        gain[move] = -np.inf
        mine = slice(start[move], start[move + 1])
        gain[other[mine]] += 2.0 * said[mine] * side[move] * side[other[mine]]
        left -= int(side[move])
        side[move] = -side[move]
        if total > best + NOTHING and 0 < left < count:  # whether two are one is no matter of exchange
            best, kept = total, len(moves)
    return np.asarray(moves[:kept], np.int64), best
