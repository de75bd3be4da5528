r"""How likely two groups that nothing brings together are one class: a class may have several looks, a car's front and back.

In some pools nearly every class lies in one place, in others each lies in four, and only answers tell. An answered sample that
hardly follows from those answered before it is the first one of a new region, once others follow from it (one that stays alone
is just odd). Answers put some regions into groups met before, S of them, and tell them from others, D times; so the chance is
a low quantile of Beta(S + a, D + b): where people err, each comparison in vain is a chance to join what is two.

What follows from the samples before is the conditional mean of a Gaussian field with precision Q (label spreading): with those
after it integrated out, and Q in reverse order :math:`= R R^T` (Cholesky), sample i follows from sample j before it by
:math:`h_{ij} = -R_{ji} / R_{ii}` (Rue and Held 2005, "Gaussian Markov random fields", theorem 2.7).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky
from scipy.special import betaincinv

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FORETOLD = 0.05
"""Belief in a sample's group, by the samples answered before, below which it is a surprise."""
PRIOR_ONE, PRIOR_TWO = 0.5, 10.0
"""a and b, before there are answers."""
CAUTION = 0.05
"""The quantile: so likely at least, in nineteen of twenty pools."""
LEAST = 0.004
"""Least chance that two groups that do not touch are one, however many proved to be two."""


def several_looks(q: Floats, both: Floats, evidence: Floats, group: Ints, none: float) -> float:
    """Chance, in (0, 1), that two groups that do not touch are one class.

    Args:
        q: Q, (L, L), at answered samples, in the order in which answers first told of them.
        both: (L, K + 1), beliefs with all answers.
        evidence: (L, K), log-odds that the answers on a sample give each group.
        group: (L,), the group that answers put each in, -1 for none.
        none: what "none of them" weighs against spread beliefs (:func:`pal_backend.core.priors.share_of_none`).
    """
    one, two = 0.0, 0
    placed = np.flatnonzero(group >= 0)
    if len(placed):
        h = _before(q)
        spread = np.maximum(h @ both[:, :-1], 0.0)
        foretold = spread[placed, group[placed]] / (spread[placed].sum(axis=1) + none)
        founders = placed[np.unique(group[placed], return_index=True)[1]]
        first = np.union1d(placed[foretold < FORETOLD], founders)
        size = _followers(h, group, first)
        again = np.setdiff1d(first[size[first] > 1], founders)
        one = float(both[again, group[again]].sum())
        two = int((evidence[np.concatenate([again, founders])] < 0.0).sum())
    return float(betaincinv(one + PRIOR_ONE, two + PRIOR_TWO, CAUTION))


def _before(q: Floats) -> Floats:
    """h, (L, L): how far each sample follows from each one before it, 0 for all others."""
    r = cholesky(q[::-1, ::-1], lower=True)
    h = np.tril(r, -1) / np.diag(r)
    return np.asarray(-h.T[::-1, ::-1])


def _followers(h: Floats, group: Ints, first: Ints) -> Ints:
    """Placed samples of the region of each of ``first``, itself included, (L,): each sample leads to the one of its group
    that it follows from most, and so on.
    """
    leader = np.where(group[:, None] == group, h, -1.0).argmax(axis=1)
    leader[first] = first
    for _ in range(len(group).bit_length()):
        leader = leader[leader]
    return np.bincount(leader[group >= 0], minlength=len(group))
