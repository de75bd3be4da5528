"""The strategy ``pal-anchor``: rounds about the group that was asked about least."""

from __future__ import annotations

import numpy as np

from pal_backend.core.asking.relations import Relations, pairs_with
from pal_backend.core.asking.state import Candidates, State

ROUND = 10
"""Likely members from which on a round shows likely members only; b of the paper."""
OFFERED = 50
"""Candidates offered for each anchor, enough for a screen of any size."""


def pal_anchor(state: State, rng: np.random.Generator) -> Candidates:
    """For the group asked about least, samples that are predicted to belong to it, drawn at random.

    Anchor ``c* = argmin_c |{i compared with c}|``; candidates are the samples not yet compared with c*, only those
    with ``argmax_k p_ik = c*`` over the groups they may belong to, when there are more than b = 10 of them; drawn
    without replacement (the released code may show one sample twice). Every group is offered as an anchor: its m-th
    candidate (from 0) scores ``1 / (1 + |compared with it| + m)``, so that several questions take turns as rounds would.

    The paper is given the number of classes and a sample of each. Here groups are found on the way: a sample that some
    groups rejected comes first, and is an anchor itself only after all groups of several samples did, else a wrong
    answer would cost a round. Of samples joined already one stands for all.

    Source: Cabannes, Bottou, LeCun and Balestriero 2023, "Active Self-Supervised Learning", ICCV, arXiv 2303.15256
    """
    relations = Relations(state)
    free = relations.stands & ~relations.waiting
    first = relations.representatives[:, 0]
    several = (relations.joined[first] > 1) & (first >= 0)
    undecided = ~relations.settled[:, several].all(axis=1)
    homeless = (relations.joined > 0) & ((state.beliefs.placed < 0) | ((relations.joined == 1) & undecided))
    anchors = (first >= 0) & ~homeless[first]
    possible = ~relations.settled & (anchors | ~homeless[:, None])
    predicted = np.where(possible, relations.likely, -1.0).argmax(axis=1)
    order = rng.permutation(len(predicted))
    rows, partners, scores = [], [], []
    for group in np.flatnonzero(anchors).tolist():
        mine = order[(free & ~relations.settled[:, group])[order]]
        likely = mine[predicted[mine] == group]
        mine = likely if len(likely) > ROUND else mine
        # who was compared with it in vain waits till the end
        mine = mine[np.lexsort((~homeless[mine], relations.asked[mine, group]))][:OFFERED]
        rows.append(mine)
        partners.append(relations.member(mine, np.full(len(mine), group)))
        scores.append(1.0 / (1.0 + relations.compared[group] + np.arange(len(mine))))
    return pairs_with(np.concatenate(rows), np.concatenate(partners), np.concatenate(scores))
