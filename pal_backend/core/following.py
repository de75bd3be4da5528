"""Beliefs after one more answer, without working everything out anew: only the surroundings of its two samples change.

Between two full fits (:func:`pal_backend.core.beliefs.believe`) the dials, the second opinion and how groups touch stay
as they are. When an answered row c moves from target t to t', label spreading moves by ``h_c (t' - t)``, h_c the chance
to meet c before any other answered sample: the rank-one step of a clamped solution, h_c followed for a few steps.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pal_backend.core import merging
from pal_backend.core.beliefs import Beliefs, margins_of
from pal_backend.core.founding import SUPPORT
from pal_backend.core.graph import Root, SimilarityGraph
from pal_backend.core.neighbours import Space
from pal_backend.core.priors import founding, posterior
from pal_backend.core.vocabulary import Answer

Known = tuple[SimilarityGraph, Beliefs]
"""What answers say, and what is believed given them."""

BELIEVED = 0.5
"""A single sample that founds a group counts as one at once if "none of the others" is believed of it at least so much;
others wait until everything is worked out anew."""
FAINT = 1e-3
"""A sample that the walk meets with a smaller chance is left as it is."""
STILL = 0.02
"""A row whose belief moves less than this moves nothing around it."""


def follow(space: Space, graph: SimilarityGraph, beliefs: Beliefs, answer: Answer, weight: float) -> Beliefs:
    """Beliefs after ``answer``, whose log-odds of "same" are ``weight``; groups must be those of ``beliefs``.

    Args:
        graph: with the answer.
    """
    rows = [space.index[sample] for sample in answer.pair if sample in space.index]
    if len(rows) < 2 or weight == 0.0:
        return beliefs
    now = _with_rows(beliefs, rows)
    number = {root: k for k, root in enumerate(beliefs.groups)}
    at = [int(np.flatnonzero(now.answered == row)[0]) for row in rows]
    # an answer that contradicts others may also take samples it is not about out of their group
    component, ids = graph.component, space.sample_ids
    now.placed[now.answered] = [number.get(component[ids[row]], -1) for row in now.answered.tolist()]
    group = now.placed[now.answered[at]]
    before = merging.told(founding(now.own[at], now.evidence[at], group, now.apart), now.said[at])
    for i, there in zip(at, reversed(group.tolist()), strict=True):
        if there >= 0:
            now.evidence[i, there] += weight
    strength, edge = now.dials.strength, (np.asarray([0]), np.asarray([1]), np.asarray([weight * now.dials.strength]))
    prior = founding(now.own[at], now.evidence[at], group, now.apart)
    first = merging.places(edge, prior, now.evidence[at] * strength, group)
    now.said[at] += merging.said(edge, first, group, len(now.groups))
    now.ties[:] += merging.told(prior, now.said[at]) - before
    both = posterior(now.own[at], now.evidence[at] * strength, group, now.apart).astype(np.float32)
    moved = [n for n in range(2) if np.abs(both[n] - now.probabilities[rows[n]]).max() > STILL]
    for n in range(2):
        now.probabilities[rows[n]] = both[n]
        now.margins[rows[n]] = margins_of(both[n : n + 1])[0]
    if moved:
        _spread(space, now, np.asarray([rows[n] for n in moved]), both[moved, :-1])
    return now


def ended(before: Beliefs, after: Known) -> bool:
    """Whether a group of before is none any more in the graph, or was parted: several of its samples are in no group."""
    graph, beliefs = after
    left = np.count_nonzero((before.placed >= 0) & (beliefs.placed < 0))
    return left > 1 or any(graph.component.get(root) != root for root in beliefs.groups)


def founded_by(space: Space, before: Known, after: Known, answer: Answer) -> bool:
    """Whether the answer founded a group. A single sample that could have founded one before the answer has been looked at
    as such already.

    Args:
        before: graph and beliefs without the answer.
        after: with it; groups are those of ``before``.
    """
    graph, beliefs = after
    roots = {graph.component[sample] for sample in answer.pair if sample in graph.component} & space.index.keys()
    return any(
        _founds(space, after, root) and (graph.sizes[root] > 1 or not _founds(space, before, root))
        for root in roots.difference(beliefs.groups)
    )


def _founds(space: Space, known: Known, root: Root) -> bool:
    """Whether a component that is no group counts as one."""
    graph, beliefs = known
    size = graph.sizes.get(root, 0)
    if not size or (size == 1 and beliefs.probabilities[space.index[root], -1] < BELIEVED):
        return False
    apart = sum(root in key and (key[0] in beliefs.groups or key[1] in beliefs.groups) for key in graph.cannot)
    return apart >= min(SUPPORT, len(beliefs.groups))


def _with_rows(beliefs: Beliefs, rows: list[int]) -> Beliefs:
    """A copy to write on, in which all ``rows`` are answered ones; what was believed of them is their own belief."""
    new = [row for row in rows if not (beliefs.answered == row).any()]
    own, evidence = beliefs.own, beliefs.evidence
    return replace(
        beliefs,
        placed=beliefs.placed.copy(),
        answered=np.concatenate([beliefs.answered, np.asarray(new, np.int64)]),
        probabilities=beliefs.probabilities.copy(),
        own=np.concatenate([own, beliefs.probabilities[new].astype(np.float64)]),
        evidence=np.concatenate([evidence, np.zeros((len(new), evidence.shape[1]))]),
        said=np.concatenate([beliefs.said, np.zeros((len(new), evidence.shape[1]))]),
        ties=beliefs.ties.copy(),
        field=beliefs.field.copy(),
        margins=beliefs.margins.copy(),
        influence=beliefs.influence.copy(),
    )


def _spread(space: Space, now: Beliefs, rows: NDArray[np.int64], targets: NDArray[np.float32]) -> None:
    stops = np.zeros(len(now.placed), bool)
    stops[now.answered] = True
    which, met, chances = space.walk.chances(rows, stops)
    felt = (chances > FAINT) & ~stops[met]
    for n, row in enumerate(rows.tolist()):
        mine = felt & (which == n)
        near, chance = met[mine], chances[mine].astype(np.float32)
        now.field[near] += chance[:, None] * (targets[n] - now.field[row])
        now.field[row] = targets[n]
        now.influence[near] *= (1.0 - chance) ** 2
        p = now.together(near)
        now.probabilities[near] = p
        now.margins[near] = margins_of(p)
