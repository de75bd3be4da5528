"""Samples that answers, taken together, put elsewhere than joining did.

Joining takes one union after another and never looks back: a sample that one wrong "same" put into a component stays there,
however many answers say where it belongs, and then holds the two together. So before whole components are joined, samples
are moved one by one, each time the one by which answers gain most: the moves of Kernighan and Lin 1970, "An efficient
heuristic procedure for partitioning graphs", as for multicuts (Keuper et al. 2015, Algorithm 2), without their look ahead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.unions import first_of_each, top
from pal_backend.core.vocabulary import Pair, SampleId

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def moved(
    edges: Mapping[Pair, tuple[float, int]], component: Mapping[SampleId, SampleId], least: float
) -> tuple[dict[SampleId, SampleId], frozenset[SampleId]]:
    """Sample to the root of its component after all moves, in the same order, and the samples that this is due to: those
    moved, and those that a move cut off from the first of their component. Two others are together if they were.

    Args:
        edges: pair to log-odds of "same" and rank.
        component: sample to its root, in the order of the ranks.
        least: evidence that a move has to gain, above 0: so there is an end to them.
    """
    ends, weight, here = numbered(edges, component)
    samples, went = list(component), set[SampleId]()
    while (move := _best(ends, weight, here, least)) is not None:
        row, there = move
        here[row] = there
        went.add(samples[row])
    return settle(edges, here, component, went) if went else (dict(component), frozenset())


def numbered(
    edges: Mapping[Pair, tuple[float, int]], component: Mapping[SampleId, SampleId]
) -> tuple[Ints, Floats, Ints]:
    """The pairs (E, 2), their weights (E,), and the component of each sample (n,), samples by their number in ``component``."""
    at = {sample: n for n, sample in enumerate(component)}
    ends: Ints = np.asarray([(at[pair.first], at[pair.second]) for pair in edges], np.int64).reshape(-1, 2)
    weight: Floats = np.asarray([weight for weight, _ in edges.values()])
    here = np.asarray([at[root] for root in component.values()], np.int64)
    return ends, weight, here


def settle(
    edges: Mapping[Pair, tuple[float, int]], here: Ints, component: Mapping[SampleId, SampleId], went: set[SampleId]
) -> tuple[dict[SampleId, SampleId], frozenset[SampleId]]:
    """Sample to the root of its component once some ``went`` elsewhere, in the same order; and those, with whoever that cut
    off from the first of their component.

    Args:
        edges: pair to log-odds of "same" and rank.
        here: number of each sample's component now, whatever is left of it (n,).
        component: sample to its root before, n in the order of the ranks.
        went: samples.
    """
    number = dict(zip(component, here.tolist(), strict=True))
    inside = (pair for pair, (weight, _) in edges.items() if weight > 0.0 and number[pair.first] == number[pair.second])
    now = _connected(component, inside)
    first: dict[SampleId, SampleId] = {}
    for sample, root in now.items():
        if sample not in went and first.setdefault(component[sample], root) != root:
            went.add(sample)
    return now, frozenset(went)


def _best(ends: Ints, weight: Floats, here: Ints, least: float) -> tuple[int, int] | None:
    """The sample whose move gains most, the first of such, and where it goes; None where none gains enough.

    Components are named after one of their samples, so that there is always a name for one more.
    """
    size = len(here)
    keys = np.concatenate([ends[:, 0] * size + here[ends[:, 1]], ends[:, 1] * size + here[ends[:, 0]]])
    found, each = np.unique(keys, return_inverse=True)
    total = np.bincount(each, np.concatenate([weight, weight]), len(found))
    sample, there = np.divmod(found, size)
    mine = there == here[sample]
    own = np.zeros(size)
    own[sample[mine]] = total[mine]
    # who leaves for no other component is alone then, which is neither for nor against anything
    gain = np.where(mine, 0.0, total) - own[sample]
    best = int(gain.argmax()) if len(gain) else -1
    if best < 0 or gain[best] < least:
        return None
    if not mine[best]:
        return int(sample[best]), int(there[best])
    return int(sample[best]), int(np.setdiff1d(np.arange(size), here)[0])


def _connected(samples: Iterable[SampleId], links: Iterable[Pair]) -> dict[SampleId, SampleId]:
    """Sample to the first that links lead to."""
    parent = {sample: sample for sample in samples}
    for pair in links:
        parent[top(parent, pair.second)] = top(parent, pair.first)
    return first_of_each(parent)
