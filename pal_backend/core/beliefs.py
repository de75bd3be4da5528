"""What is believed of every sample, given the groups that answers found. A function of space and graph alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pal_backend.core import merging
from pal_backend.core.founding import spoken_for
from pal_backend.core.graph import Root, SimilarityGraph
from pal_backend.core.inference import Answered, influence
from pal_backend.core.looks import LEAST, several_looks
from pal_backend.core.neighbours import Space
from pal_backend.core.opinion import EVERYONE, Smoother
from pal_backend.core.priors import (
    Dials,
    among,
    blend,
    founding,
    levels,
    mixture,
    novel,
    posterior,
    sharpen,
    softmax,
    whole,
)
from pal_backend.core.settling import Settled, settle

Float = NDArray[np.float32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HEARD = 4
"""Times that the second opinion is heard, each time on beliefs that hold what it said before."""
JUDGED = 2
"""Of these, the first times, after which it is judged how sharp it is and how much it counts."""
EARLY = 60
"""While fewer samples are answered it is heard no further: heard again and again it repeats what errors made it say."""


@dataclass(frozen=True, eq=False)
class Beliefs:
    """What is believed of N samples, L of them answered, about K groups.

    Args:
        groups: the roots of the components that are groups, oldest first; a root is its group's founder.
        placed: int64 (N,), the group that trusted answers put the sample in, else -1.
        answered: int64 (L,), rows with answers.
        probabilities: float32 (N, K + 1), rows sum to 1, the last column is "none of them".
        own: float64 (L, K + 1), the same for the answered rows, without their own answers.
        evidence: float64 (L, K), log-odds that the answers on an answered row give each group.
        field: float32 (N, K), what label spreading alone says; answered rows hold their targets.
        opinion: float32 (N, K), what the second opinion alone says, rows sum to 1.
        dials: how the two are put together.
        precision: float64, Q of label spreading at the rows answered when everything was last worked out: the first ones of
            ``answered``.
        margins: float64 (N,), ``p1 - p2`` over the groups and "none of them"; 0 where "none of them" leads.
        influence: float64 (N,), how many samples the place of each would tell, in units of an ordinary one.
        said: float64 (L, K), log-odds that answers, as far as they are believed, give each group; each is counted at the one
            sample that it places.
        ties: float64 (K, K), log-odds that two groups are one (:mod:`pal_backend.core.merging`).
        sizes: float64 (K,), samples believed to be in each group.
        apart: chance that two groups that do not touch are one, or that what no group reaches is of a given one.
    """

    groups: tuple[Root, ...]
    placed: Ints
    answered: Ints
    probabilities: Float
    own: Floats
    evidence: Floats
    field: Float
    opinion: Float
    dials: Dials
    precision: Floats
    margins: Floats
    influence: Floats
    said: Floats
    ties: Floats
    sizes: Floats
    apart: float

    @cached_property
    def one(self) -> Floats:
        """O, the chances that two groups are one, float64 (K, K), symmetric, 1 on the diagonal."""
        chances = 1.0 / (1.0 + np.exp(-np.clip(self.ties, -50.0, 50.0)))
        np.fill_diagonal(chances, 1.0)
        return np.asarray(chances)

    def together(self, rows: Ints) -> Float:
        """Beliefs (len(rows), K + 1) of unanswered rows, from field and opinion."""
        return _probabilities(self.field[rows], self.opinion[rows], self.dials)


def believe(space: Space, graph: SimilarityGraph, known: Answered) -> Beliefs:
    """Beliefs of all samples.

    An answered sample's belief is its prior (spread from all other answered samples) times the likelihood of its own
    answers; these beliefs, not the bare answers, are what is spread to the rest, so that an answer which fits nothing
    around it does little harm.

    Args:
        space: where.
        graph: what the answers say; samples that the space does not know are left out.
        known: Green's function of the space's walk at answered rows; grows.
    """
    walk = space.walk
    names = [name for name in graph.component if name in space.index]
    answered = np.asarray([space.index[name] for name in names], np.int64)
    q = known.inverse(answered.tolist())
    edges = graph.ends({name: i for i, name in enumerate(names)})
    found = settle(graph, known, q, names=names, answered=answered, edges=edges)
    field = known.spread(answered.tolist(), q, found.both[:, :-1])
    found = replace(found, dials=replace(found.dials, level=levels(field)))
    walked, none = _walked(field, found.dials)
    probabilities = whole(walked, found.dials.astray, none)
    dials, own, both = found.dials, found.own, found.both
    opinion: Float = np.full_like(field, 1.0 / max(field.shape[1], 1))
    apart = max(several_looks(q, both, found.evidence, found.group, dials.none), LEAST)
    if len(found.groups) > 1:
        smoother = space.opinion(graph)
        dials, own, both, opinion = _hear_out(
            smoother, found, answered, apart=apart, walked=walked, none=none, probabilities=probabilities
        )
    probabilities[answered] = both
    # the second opinion makes more of small groups (levels), so whether two groups are one is judged without it
    groups, group, evidence, alone = found.groups, found.group, found.evidence, found.own
    spoken = spoken_for(probabilities, dials.level**dials.power, answered, group)
    if not spoken.all():
        # only itself is in it: "none of them" as yet
        groups = tuple(root for root, kept in zip(groups, spoken.tolist(), strict=True) if kept)
        group = np.append(np.where(spoken, np.cumsum(spoken) - 1, -1), -1)[group]
        probabilities, own, both, alone = (_fold(p, spoken) for p in (probabilities, own, both, alone))
        evidence, field, opinion = evidence[:, spoken], field[:, spoken], opinion[:, spoken]
        opinion /= opinion.sum(axis=1, keepdims=True)
        dials = replace(dials, level=dials.level[spoken])
    field[answered] = both[:, :-1]
    placed = np.full(walk.size, -1, np.int64)
    placed[answered] = group
    margins = margins_of(probabilities)
    prior = founding(alone, evidence, group, apart)
    weighed = (*edges[:2], edges[2] * dials.strength)
    placing = merging.places(weighed, prior, evidence * dials.strength, group)
    said = merging.said(edges, placing, group, len(groups)) * dials.strength
    ties = merging.touching(
        space, whole(among(field, dials.none), 0.0, novel(field.sum(axis=1), dials.none))[:, :-1], apart
    )
    ties += merging.told(prior, said) + merging.decided(edges, group, len(groups))
    return Beliefs(
        groups=groups,
        placed=placed,
        answered=answered,
        probabilities=probabilities,
        own=own,
        evidence=evidence,
        field=field,
        opinion=opinion,
        dials=dials,
        precision=q,
        margins=margins,
        influence=influence(walk, answered, margins),
        said=said,
        ties=ties,
        sizes=probabilities[:, :-1].sum(axis=0, dtype=np.float64),
        apart=apart,
    )


def _hear_out(
    smoother: Smoother,
    found: Settled,
    answered: Ints,
    *,
    apart: float,
    walked: Float,
    none: Float,
    probabilities: Float,
) -> tuple[Dials, Floats, Floats, Float]:
    """Hear the second opinion several times; returns dials, beliefs of the answered rows without and with their answers, and
    the opinion, and changes ``probabilities``.
    """
    dials, own, both = found.dials, found.own, found.both
    evidence = found.evidence * dials.strength
    # until it is heard last, only those it learns from, and those who judge it, need to know
    besides = np.setdiff1d(answered, smoother.taught)
    heeding = np.concatenate([smoother.taught, besides])
    place = np.empty(len(walked), np.int64)
    place[heeding] = np.arange(len(heeding))
    times = HEARD if len(answered) >= EARLY else JUDGED
    for time in range(times):
        last = time == times - 1
        rows, here = (EVERYONE, answered) if last else (heeding, place[answered])
        probabilities[answered] = both
        p = probabilities[:, :-1]
        scores = smoother.without_itself(p) if last else smoother.of_taught(p, besides)
        if time < JUDGED:
            temperature, mix = mixture(found.sharp, scores[here], own[:, -1], dials.astray, evidence)
            dials = replace(dials, temperature=temperature, mix=mix)
        opinion = softmax(scores, dials.temperature)
        own = whole(blend(found.sharp, opinion[here], dials.mix).astype(np.float64), dials.astray, own[:, -1])
        both = posterior(own, evidence, found.group, apart)
        probabilities[rows] = whole(blend(walked[rows], opinion, dials.mix), dials.astray, none[rows])
    return dials, own, both, opinion


def heard(space: Space, graph: SimilarityGraph, beliefs: Beliefs) -> Beliefs:
    """The same with the second opinion asked anew, as sharp and counted as much as when everything was last worked out."""
    dials, answered = beliefs.dials, beliefs.answered
    if dials.mix == 0.0:
        return beliefs
    scores = space.opinion(graph).without_itself(beliefs.probabilities[:, :-1])
    opinion = softmax(scores, dials.temperature)
    probabilities = _probabilities(beliefs.field, opinion, dials)
    probabilities[answered] = beliefs.probabilities[answered]
    return replace(
        beliefs,
        probabilities=probabilities,
        opinion=opinion,
        margins=margins_of(probabilities),
        sizes=probabilities[:, :-1].sum(axis=0, dtype=np.float64),
    )


def _fold(p: NDArray[Any], kept: NDArray[np.bool_]) -> NDArray[Any]:
    """Beliefs (n, K + 1) in some of the K groups only: the others' share goes to "none of them"."""
    rest = p[:, -1] + p[:, :-1][:, ~kept].sum(axis=1)
    return np.concatenate([p[:, :-1][:, kept], rest[:, None]], axis=1)


def margins_of(p: Float) -> Floats:
    """``p1 - p2`` of rows over the groups and "none of them", 0 where "none of them" leads, float64 (n,)."""
    if p.shape[1] < 2:
        return np.zeros(len(p))
    top = np.partition(p, -2, axis=1)[:, -2:]
    margin = (top[:, 1] - top[:, 0]).astype(np.float64)
    margin[p[:, -1] >= top[:, 1]] = 0.0
    return margin


def _probabilities(field: Float, opinion: Float, dials: Dials) -> Float:
    """Beliefs (n, K + 1) from what is spread (n, K) and the second opinion (n, K)."""
    walked, none = _walked(field, dials)
    return whole(blend(walked, opinion, dials.mix), dials.astray, none)


def _walked(field: Float, dials: Dials) -> tuple[Float, Float]:
    """What label spreading alone says of the known groups (n, K), levelled and sharpened, and of "none of them" (n,)."""
    return sharpen(among(field * dials.level, dials.none), dials.power), novel(field.sum(axis=1), dials.none)
