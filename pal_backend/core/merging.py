r"""How likely two groups are one class: by how they touch, and by what answers say of samples whose place is not sure.

What was said between two groups cannot simply be added up. When a class was split in two, whoever is wrongly said to differ
from the one half is then said to be of the other, and all that is heard between the halves is "different", however many
joined either. So an answer is held against what label spreading says, without its own answers, of the sample that it places: if
the groups k and l are two, and if they are one. With b_i that belief, b_i0 in "none of them", and r_ik = exp of the log-odds that
the answers on i give group k, the evidence of sample i is

.. math::
    \ln \frac{B_i - b_{ik} r_{ik} - b_{il} r_{il} + (b_{ik} + b_{il}) r_{ik} r_{il}}{B_i}, \qquad
    B_i = b_{i0} + \sum_m b_{im} r_{im}.

A founder, sure of its place, that differs from another counts in full; a sample in the midst of k that an answer put into l
counts for next to nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.edges import DECIDED
from pal_backend.core.neighbours import Space

Float = NDArray[np.float32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Edges = tuple[Ints, Ints, Floats]
"""Both ends by their number among the answered rows, and log-odds of "same", (E,) each."""

AT_ONCE = 2**17
"""Samples, times groups twice, worked on at once."""
STRONGEST = 100.0
"""Log-odds beyond which evidence about one sample makes no difference."""


def touching(space: Space, p: Float, apart: float) -> Floats:
    """Prior log-odds that two groups are one, (K, K): half the share of the smaller group's graph weight that runs to the
    other, for beliefs ``p`` (N, K), and at least the chance ``apart`` of groups that do not touch
    (:mod:`pal_backend.core.looks`).
    """
    flow = p.T @ space.walk.average(p)
    share = (flow + flow.T) / np.maximum(2.0 * p.sum(axis=0), 1e-9)[:, None]
    prior = np.clip(np.maximum(share, share.T).astype(np.float64), apart, 0.5)
    return np.asarray(np.log(prior) - np.log1p(-prior))


def places(edges: Edges, prior: Floats, evidence: Floats, group: Ints) -> NDArray[np.bool_]:
    """Of two ends of an answer, whether the first is the sample that it places, bool (E,): the one whose place all other
    answers leave less sure.

    Args:
        edges: between n rows.
        prior: (n, K + 1), beliefs without the rows' own answers.
        evidence: (n, K), log-odds that all answers on a row give each group.
        group: (n,), group that answers put each row in, -1 for none.
    """
    first, second, weight = edges
    log = np.log(np.maximum(prior, 1e-12))
    log[:, :-1] += evidence

    def doubt(rows: Ints, others: Ints) -> Floats:
        rest, known = log[rows], group[others] >= 0
        rest[known, group[others][known]] -= weight[known]
        return np.asarray(np.exp(rest - rest.max(axis=1, keepdims=True)).sum(axis=1))

    return doubt(first, second) >= doubt(second, first)


def said(edges: Edges, first: NDArray[np.bool_], group: Ints, count: int) -> Floats:
    """Log-odds that answers give each of ``count`` groups, (L, K), each answer counted at the sample that it places,
    decisions left out.

    Args:
        edges: between answered rows.
        first: which end each places, see :func:`places`.
        group: (L,), group that answers put each row in, -1 for none.
    """
    one, another, weight = edges
    at, other = np.where(first, one, another), group[np.where(first, another, one)]
    kept = (other >= 0) & (np.abs(weight) < DECIDED / 2.0)
    out = np.zeros((len(group), count))
    np.add.at(out, (at[kept], other[kept]), weight[kept])
    return out


def decided(edges: Edges, group: Ints, count: int) -> Floats:
    """What a lead decided between groups, (K, K), symmetric."""
    first, second, weight = edges
    a, b = group[first], group[second]
    kept = (a >= 0) & (b >= 0) & (np.abs(weight) >= DECIDED / 2.0)
    out = np.zeros((count, count))
    np.add.at(out, (a[kept], b[kept]), weight[kept])
    return np.asarray(out + out.T)


def told(own: Floats, evidence: Floats) -> Floats:
    """Log-odds that two groups are one by what answers say of some samples, (K, K), symmetric.

    Args:
        own: b, (n, K + 1), beliefs without the samples' own answers.
        evidence: ln r, (n, K), see :func:`said`; rows of nothing count for nothing.
    """
    heard = np.flatnonzero(evidence.any(axis=1))
    count = evidence.shape[1]
    sums = np.zeros((count, count))
    step = max(1, AT_ONCE // max(count**2, 1))
    for start in range(0, len(heard), step):
        rows = heard[start : start + step]
        b, r = own[rows], np.exp(np.clip(evidence[rows], -STRONGEST, STRONGEST))
        br = b[:, :-1] * r
        two = np.maximum(br.sum(axis=1) + b[:, -1], 1e-12)[:, None, None]
        one = two - _pairs(np.add, br) + _pairs(np.add, b[:, :-1]) * _pairs(np.multiply, r)
        sums += np.log(np.maximum(one / two, 1e-12)).sum(axis=0)
    np.fill_diagonal(sums, 0.0)
    return sums


def _pairs(how: np.ufunc, values: Floats) -> Floats:
    """Sums or products of every two of a row's values, (n, K, K)."""
    return np.asarray(how(values[:, :, None], values[:, None, :]))
