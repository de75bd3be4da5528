"""The strategy ``uncertainty``: the pair about which belief is nearest to one half."""

from __future__ import annotations

import numpy as np
from scipy.special import entr

from pal_backend.core.asking.relations import Relations, pairs_with
from pal_backend.core.asking.state import Candidates, State

SHORTLIST = 200
"""Samples offered a call, the most uncertain ones."""


def uncertainty(state: State, rng: np.random.Generator) -> Candidates:
    """The pairs of a sample and a group's representative whose "same" is most uncertain.

    ``H(p) = -p log2 p - (1 - p) log2 (1 - p)`` bits, ``p = P(same)`` of sample i and representative j, the sum over
    the groups of ``p_ik p_jk``. The margin ``1 - |2p - 1|`` orders pairs alike.
    Each answer that settled nothing halves the score. Equal scores are drawn from.

    Source: Lewis and Gale 1994, "A sequential algorithm for training text classifiers", SIGIR; here for pairs
    """
    relations = Relations(state)
    first = relations.representatives[:, 0]
    p = np.clip(relations.likely @ relations.likely[first].T, 0.0, 1.0)
    bits = (entr(p) + entr(1.0 - p)) / np.log(2.0) * 0.5**relations.asked
    bits *= 1.0 - 1e-6 * rng.random((len(bits), 1))
    rows = np.flatnonzero(~relations.waiting)
    best = np.where(relations.settled, 0.0, bits)[rows].max(axis=1)
    rows = rows[np.argsort(-best, kind="stable")][:SHORTLIST]
    partners, groups = relations.partners(rows, bits[rows])
    return pairs_with(rows, partners, bits[rows, groups])
