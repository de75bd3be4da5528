"""The strategy ``pt4al``: a pretext loss orders the samples, belief decides among those of like difficulty."""

from __future__ import annotations

import numpy as np

from pal_backend.core.asking.placing import place
from pal_backend.core.asking.relations import Floats, Ints, Relations
from pal_backend.core.asking.state import Candidates, State

STRATA = 10
"""Equal strata of difficulty, one a cycle."""
EVERY = 5
"""A cycle takes one in so many samples of its stratum."""
SHORTLIST = 200
"""Samples offered a call."""


def pt4al_easiest(state: State, rng: np.random.Generator) -> Candidates:
    """As pt4al with the easiest samples first: for few answers, when typical samples teach most.

    Source: Yi, Seo, Park and Choi 2022, "PT4AL", ECCV; the direction is that of Hacohen, Dekel and Weinshall 2022,
    "Active learning on a budget", ICML, for low budgets
    """
    return pt4al(state, rng, hardest_first=False)


def pt4al(state: State, rng: np.random.Generator, *, hardest_first: bool = True) -> Candidates:
    """Strata of pretext loss, hardest first; in each the samples believed in least.

    With the N samples in the order of their pretext loss, cut into I = 10 equal strata, cycle t takes one fifth of
    stratum t mod I: in cycle 0 every fifth sample, evenly spaced, later those with the least ``max_k p_ik``. A cycle
    ends after N / (5 I) samples. Each sample is then placed by its likeliest group first.

    The loss is ``space.difficulty``; without one, the error of a PCA of the features. Losses are ordered as numbers:
    the released code orders them as text, which puts the easiest samples among the hardest. Whether hard samples are
    worth more than easy ones early on is open, hence ``hardest_first``. Asking about them in pairs is ours. Nothing is
    drawn: every seed asks the same.

    Source: Yi, Seo, Park and Choi 2022, "PT4AL: Using self-supervised pretext tasks for active learning", ECCV
    """
    relations = Relations(state)
    n = len(state.space.sample_ids)
    rank, stratum = strata(state.space.hardest if hardest_first else state.space.hardest[::-1])
    cycle = int(relations.seen.sum()) // max(1, n // (EVERY * STRATA))
    within = evenly(rank, stratum) if cycle == 0 else relations.likely.max(axis=1)
    wait = (stratum - cycle) % STRATA
    scores = (STRATA - wait - np.clip(within, 0.0, 1.0 - 1e-9)) / STRATA
    fresh = np.flatnonzero(~relations.seen)
    fresh = fresh[np.lexsort((rank[fresh], -scores[fresh]))][:SHORTLIST]
    return place(state, relations, fresh, scores[fresh], lambda rows: relations.likely[rows])


def strata(order: Ints) -> tuple[Ints, Ints]:
    """Rank and stratum of each sample, int64 (N,), for rows in their order, int64 (N,): sizes differ by at most one."""
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank, rank * STRATA // len(order)


def evenly(rank: Ints, stratum: Ints, every: int = EVERY) -> Floats:
    """Place of each sample in its stratum, float64 (N,) in [0, 1): one in ``every`` first, then those beside them."""
    starts = np.cumsum(np.bincount(stratum, minlength=STRATA)) - np.bincount(stratum, minlength=STRATA)
    at = rank - starts[stratum]
    return np.asarray((at % every + at / (at.max() + 1)) / every)
