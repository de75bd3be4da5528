"""Placing samples one after another: what ``pt4al`` and ``k-centre`` do with the samples they choose."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pal_backend.core.asking.relations import Floats, Ints, Relations, pairs_with
from pal_backend.core.asking.state import Candidates, State

SLIM = 0.05
"""A sample that founded a group is taken for placed once the belief in all groups it was not compared with is below."""


def place(
    state: State, relations: Relations, fresh: Ints, scores: Floats, liking: Callable[[Ints], Floats]
) -> Candidates:
    """Compare each sample with one group after another until it is known where it belongs.

    "Same as r(c)?" for the representatives r of the groups c in the order of ``liking``; a sample is placed at the
    first "same", or founds a group after "different" from all. Samples begun come before fresh ones; each answer that
    settles nothing halves their score, so that nobody is asked for ever about what nobody can tell.

    Args:
        state: what is known.
        relations: of the same state.
        fresh: (M,), rows of samples in no answer yet.
        scores: (M,), their worth, in [0, 1].
        liking: rows (R,) to (R, K), largest for the group to try first.
    """
    left = np.where(relations.settled, 0.0, relations.likely).sum(axis=1)
    nowhere = (state.beliefs.placed < 0) | ((relations.joined == 1) & (left >= SLIM))
    begun = relations.stands & (relations.joined > 0) & nowhere & ~relations.waiting
    rows = np.flatnonzero(begun)
    worth = np.concatenate([2.0 * np.exp2(-relations.in_vain[rows].astype(np.float64)), scores])
    rows = np.concatenate([rows, fresh])
    partners, _ = relations.partners(rows, liking(rows))
    return pairs_with(rows, partners, worth)
