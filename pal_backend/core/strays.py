"""Two components that answers join but for some samples that errors put into them.

A sample that several errors hold in a component is compared, as an example of it, with all that may be one with it, and
each answer says "different": so however many are said to be the same, two components of one class stay two. Moving one
sample at a time does not help, as it is only at odds with both together. So both is weighed at once: joining two components
and leaving behind whoever answers then put outside, as far as that gains (a joint move of Keuper et al. 2015, "Efficient
decomposition of image and mesh graphs by lifted multicuts", Algorithm 2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.edges import DECIDED, NOTHING
from pal_backend.core.moves import numbered, settle
from pal_backend.core.vocabulary import Pair, SampleId

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Spare = Callable[[float, int], float]
"""By how much evidence joins two components of which the smaller has so many samples; where negative, not at all."""


class Reunion(NamedTuple):
    """One such union.

    ``component``: sample to the root of its component after it, in the order given. ``strays``: samples left behind, and
    those that this cut off from the first of their component. ``spare``: root of what is joined to the evidence by which
    the union passed.
    """

    component: dict[SampleId, SampleId]
    strays: frozenset[SampleId]
    spare: dict[SampleId, float]


def reunited(
    edges: Mapping[Pair, tuple[float, int]], component: Mapping[SampleId, SampleId], spare: Spare
) -> Reunion | None:
    """The union that passes by most, None where there is none.

    Args:
        edges: pair to log-odds of "same" and rank.
        component: sample to its root, in the order of the ranks.
        spare: what a union takes.
    """
    ends, weight, here = numbered(edges, component)
    best: tuple[float, int, int, Ints] | None = None
    for a, b, few in _candidates(ends, weight, here, spare):
        both = ((here[ends] == a) | (here[ends] == b)).all(axis=1)
        gained, strays = _without(ends[both], weight[both], here)
        left = spare(gained, few)
        if left >= 0.0 and (best is None or left > best[0]):
            best = left, a, b, strays
    if best is None:
        return None
    left, a, b, strays = best
    here[here == b] = a
    here[strays] = len(here) + strays  # names that no other component has
    samples = list(component)
    now, gone = settle(edges, here, component, {samples[n] for n in strays.tolist()})
    return Reunion(now, gone, {now[samples[n]]: left for n in np.flatnonzero(here == a).tolist()})


def _candidates(ends: Ints, weight: Floats, here: Ints, spare: Spare) -> list[tuple[int, int, int]]:
    """Two components each, of several samples, that would be one if nobody spoke against it, and the smaller's samples; none
    that a lead parted.
    """
    size = np.bincount(here)
    a, b = np.sort(here[ends], axis=1).T
    across = (a != b) & (np.minimum(size[a], size[b]) > 1)
    keys, each = np.unique(a[across] * len(here) + b[across], return_inverse=True)
    said = np.bincount(each, np.maximum(weight[across], 0.0), len(keys))
    parted = np.bincount(each, weight[across] <= -DECIDED / 2.0, len(keys)) > 0.0
    a, b = np.divmod(keys[~parted], len(here))
    found = zip(a.tolist(), b.tolist(), np.minimum(size[a], size[b]).tolist(), said[~parted].tolist(), strict=True)
    return [(one, other, few) for one, other, few, evidence in found if spare(evidence, few) >= 0.0]


def _without(ends: Ints, weight: Floats, here: Ints) -> tuple[float, Ints]:
    """Evidence gained by a union without its strays, and what joins the rest if that is less; and the strays' places.

    Args:
        ends: (E, 2), the pairs with answers within the two components together.
        weight: (E,), log-odds of "same".
        here: which component each sample is in.
    """
    across = here[ends[:, 0]] != here[ends[:, 1]]
    left = np.ones(len(ends), bool)
    gained, strays = float(weight[across].sum()), list[int]()
    while True:
        net = np.bincount(ends[left].ravel(), np.repeat(weight[left], 2), len(here))
        stray = int(np.argmin(net))
        if net[stray] > -NOTHING:
            break
        gained -= float(net[stray])
        strays.append(stray)
        left &= (ends != stray).all(axis=1)
    return min(gained, float(weight[across & left].sum())), np.asarray(strays, np.int64)
