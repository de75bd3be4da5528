"""Where a group may have been sewn together wrongly: one wrong "same" joins two groups, and nothing else would tell.

How likely the two sides of a group (:mod:`pal_backend.core.asking.sides`) are one group is judged as for two groups that may
be one: from the neighbour graph, by the share of the smaller side's ties that run to the other side, from all answers between
the sides, and from what is said of samples in no group that look like one side (:class:`Bystanders`). Ties between answered
samples are the conductances ``-Q_ij`` of the neighbour graph reduced to them (Kron reduction; Dorfler and Bullo 2013, "Kron
reduction of graphs", eq. 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.asking.sides import Sides, by_answers, by_nearness
from pal_backend.core.beliefs import Beliefs
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.inference import Answered
from pal_backend.core.merging import STRONGEST
from pal_backend.core.neighbours import Space
from pal_backend.core.priors import Dials
from pal_backend.core.vocabulary import Answer, Verdict

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST = 0.003
"""Least chance that ties tell nothing."""
LEAST_SEVERAL = 0.02
"""Least belief that a side of several belongs with the others: who looks at all sides finds the one that looks worst."""
LOOKED, KEPT = 12, 8
"""Seams whose samples are counted, and those kept, the most doubtful ones."""


class Seam(NamedTuple):
    """Two sides of one group: rows of the smaller, rows of the larger, P(they are two groups) times the samples of the
    smaller, and P(they are two groups) itself.
    """

    small: Ints
    large: Ints
    stake: float
    two: float


def seams(space: Space, graph: SimilarityGraph, beliefs: Beliefs, known: Answered) -> list[Seam]:
    """The most doubtful seams, largest stake first.

    Args:
        known: what beliefs were worked out with.
    """
    q = beliefs.precision
    answered = beliefs.answered[: len(q)]  # rows answered since everything was last worked out have no ties yet
    if not len(answered):
        return []
    ties = np.maximum(-q, 0.0)
    np.fill_diagonal(ties, 0.0)
    mass = np.maximum(q @ space.walk.reach[answered].astype(np.float64), 0.0)
    evidence = _evidence(space, graph, answered) * beliefs.dials.strength
    group = beliefs.placed[answered]
    to_groups = ties @ beliefs.probabilities[answered, :-1].astype(np.float64)
    near, lone = known.correlation(answered.tolist()), np.flatnonzero(group < 0)
    chances = _met_first(q, lone)
    found: list[_Cut] = []
    for k in range(len(beliefs.groups)):
        inside = np.flatnonzero(group == k)
        if len(inside) >= 3:
            members = _Members(
                group=k,
                rows=inside,
                ties=ties[np.ix_(inside, inside)],
                elsewhere=np.delete(to_groups[inside], k, axis=1),
                mass=mass[inside] * (beliefs.sizes[k] / max(float(mass[inside].sum()), 1e-12)),
                evidence=evidence[np.ix_(inside, inside)],
                unforetold=beliefs.own[: len(q)][inside, -1],
                bystanders=Bystanders.of(beliefs, k, lone, chances[:, inside], evidence[np.ix_(lone, inside)]),
            )
            for sides in (by_answers(members.evidence), by_nearness(near[np.ix_(inside, inside)])):
                found += _cuts(members.listed(sides.order), sides, beliefs)
    # both trees may have the same two sides
    once = {np.sort(min(cut.side, cut.rest, key=_first)).tobytes(): cut for cut in found}
    most = sorted(once.values(), key=lambda cut: -cut.stake)[:LOOKED]
    return sorted(_staked(beliefs, known, answered, most), key=lambda seam: -seam.stake)[:KEPT]


def _first(rows: Ints) -> int:
    """The lowest of them, by which one of two sides is told from the other."""
    return int(rows.min())


def _staked(beliefs: Beliefs, known: Answered, answered: Ints, found: Sequence[_Cut]) -> list[Seam]:
    """With the samples that would go with the smaller side: those at which more walks end there than at the rest."""
    if not found:
        return []
    targets = np.zeros((len(answered), len(found)))
    for n, cut in enumerate(found):
        targets[cut.side, n] = beliefs.field[answered[cut.side], cut.group]
    group = np.asarray([cut.group for cut in found])
    leads = 2.0 * known.spread(answered.tolist(), beliefs.precision, targets) > beliefs.field[:, group]
    samples = np.einsum("nc,nc->c", leads, beliefs.probabilities[:, group], dtype=np.float64)
    out = []
    for cut, gone in zip(found, samples.tolist(), strict=True):
        sides = answered[cut.side], answered[cut.rest]
        small, large = sides if len(cut.side) <= len(cut.rest) else sides[::-1]
        stake = cut.two * min(gone, max(float(beliefs.sizes[cut.group]) - gone, 0.0))
        out.append(Seam(small, large, stake, cut.two))
    return out


def unsettled(space: Space, known: Sequence[Seam], answer: Answer) -> list[Seam]:
    """Those of the seams that the answer tells nothing about: all, where somebody was unsure."""
    if answer.verdict is Verdict.UNSURE:
        return list(known)
    a, b = (space.index.get(sample, -1) for sample in answer.pair)
    across = ((a, b), (b, a))
    return [seam for seam in known if not any(one in seam.small and other in seam.large for one, other in across)]


def _evidence(space: Space, graph: SimilarityGraph, answered: Ints) -> Floats:
    """Log-odds of "same" between answered rows, (L, L), symmetric."""
    first, second, weight = graph.ends({space.sample_ids[row]: i for i, row in enumerate(answered.tolist())})
    half = np.zeros((len(answered), len(answered)))
    half[first, second] = weight
    return half + half.T


def _met_first(q: Floats, lone: Ints) -> Floats:
    """Chance that a walk from each of U answered rows meets each of all L first, those U not counted, (U, L)."""
    chances = np.zeros((len(lone), len(q)))
    if len(lone):
        others = np.setdiff1d(np.arange(len(q)), lone)
        chances[:, others] = np.maximum(-np.linalg.solve(q[np.ix_(lone, lone)], q[np.ix_(lone, others)]), 0.0)
    return chances


class Bystanders(NamedTuple):
    """U answered samples in no group, beside a group of n members.

    Where one wrong "same" put a sample into a group, all that look like it are believed to be of that group, are said to
    differ from its other members, and are in no group then. They speak against the side that they do not look like.

    Args:
        share: (U, n), of the chances to meet a member first; rows sum to 1 or are 0.
        evidence: (U, n), log-odds of "same" with each member.
        belief: (U,), in the group, without the sample's own answers.
        otherwise: (U,), belief in all else times the likelihood of the answers then.
    """

    share: Floats
    evidence: Floats
    belief: Floats
    otherwise: Floats

    @classmethod
    def of(cls, beliefs: Beliefs, group: int, lone: Ints, chances: Floats, evidence: Floats) -> Bystanders:
        """Of the rows ``lone`` among the answered ones; ``chances`` and ``evidence`` (U, n) are of the members of ``group``."""
        own = beliefs.own[lone]
        odds = np.exp(np.clip(beliefs.evidence[lone] * beliefs.dials.strength, -STRONGEST, STRONGEST))
        odds[:, group] = 0.0
        share = chances / np.maximum(chances.sum(axis=1), 1e-12)[:, None]
        return cls(share, evidence, own[:, group], own[:, -1] + (own[:, :-1] * odds).sum(axis=1))

    def told(self, sides: Sides) -> Floats:
        """Log-odds that each side and the others are one group, (C,), as for two groups (:mod:`pal_backend.core.merging`).

        With b a sample's belief in the group, s its share on the side, r and r' the likelihoods of its answers about the side
        and about the others, and B all else: ``ln (B + b r r') / (B + b (s r + (1 - s) r'))``.
        """
        share, said = sides.sums(self.share), sides.sums(self.evidence)
        rest, others = self.share.sum(axis=1)[:, None] - share, self.evidence.sum(axis=1)[:, None] - said
        r, r_others = (np.exp(np.clip(some, -STRONGEST, STRONGEST)) for some in (said, others))
        b, otherwise = self.belief[:, None], self.otherwise[:, None]
        one = otherwise + b * (share + rest) * r * r_others
        two = otherwise + b * (share * r + rest * r_others)
        return np.asarray(np.log(np.maximum(one, 1e-12) / np.maximum(two, 1e-12)).sum(axis=0))


class _Members(NamedTuple):
    """n members of a group: their places among the answered rows, ties to each other (n, n) and to each other group
    (n, K - 1), samples that each speaks for (n,), log-odds of "same" between them (n, n), belief of each, without its own
    answers, in "none of them" (n,), and bystanders.
    """

    group: int
    rows: Ints
    ties: Floats
    elsewhere: Floats
    mass: Floats
    evidence: Floats
    unforetold: Floats
    bystanders: Bystanders

    def listed(self, order: Ints) -> _Members:
        """Those of ``order`` only, in that order."""
        by = self.bystanders
        return self._replace(
            rows=self.rows[order],
            ties=self.ties[np.ix_(order, order)],
            elsewhere=self.elsewhere[order],
            mass=self.mass[order],
            evidence=self.evidence[np.ix_(order, order)],
            unforetold=self.unforetold[order],
            bystanders=by._replace(share=by.share[:, order], evidence=by.evidence[:, order]),
        )


class _Cut(NamedTuple):
    """Two sides of a group, by their places among the answered rows; P(they are two groups), and a first guess of what is
    at stake.
    """

    group: int
    side: Ints
    rest: Ints
    two: float
    stake: float


def _cuts(members: _Members, sides: Sides, beliefs: Beliefs) -> list[_Cut]:
    """The sides with most at stake, of members in the order of the sides."""
    across, out = sides.across(members.ties), sides.sums(members.elsewhere.T).T
    said = sides.across(members.evidence) + members.bystanders.told(sides)
    whole = members.elsewhere.sum(axis=0)
    share = np.maximum(belonging(across, out, beliefs.dials), belonging(across, whole - out, beliefs.dials))
    share = np.maximum(share, _least(members, sides, beliefs.apart))
    two = 1.0 / (1.0 + np.exp(np.clip(np.log(share) - np.log1p(-share) + said, -30.0, 30.0)))
    here = sides.sums(members.mass)
    stake = two * np.minimum(here, members.mass.sum() - here)
    found = []
    for cut in np.argsort(-stake, kind="stable")[:KEPT].tolist():
        side = sides.member(cut)
        found.append(_Cut(members.group, members.rows[side], members.rows[~side], float(two[cut]), float(stake[cut])))
    return found


def _least(members: _Members, sides: Sides, apart: float) -> Floats:
    """Least belief that each side belongs with the others, (C,), wherever it lies: a class may lie in several places, and a
    side of one sample be the first of such a place, as far as no group reaches it.
    """
    count, there = sides.end - sides.start, sides.sums(members.unforetold)
    alone = np.where(count == 1, there, members.unforetold.sum() - there)
    several = np.minimum(count, len(members.rows) - count) > 1
    return np.where(several, max(LEAST_SEVERAL, apart), apart * alone)


def belonging(across: Floats, elsewhere: Floats, dials: Dials) -> Floats:
    """Belief that a side belongs with the other, (C,) in (0, 1), from its ties there (C,) and to each other group
    (C, K - 1), as sharp as beliefs are.
    """
    # sums of differences: what is nothing may come out a rounding below it
    across, elsewhere = np.maximum(across, 0.0), np.maximum(elsewhere, 0.0)
    top = np.maximum(np.maximum(across, elsewhere.max(axis=1, initial=0.0)), 1e-12)
    own = (across / top) ** dials.power
    share = own / np.maximum(own + ((elsewhere / top[:, None]) ** dials.power).sum(axis=1), 1e-12)
    least = max(dials.astray, LEAST) / (elsewhere.shape[1] + 1)
    return np.asarray(np.clip(share, least, 1.0 - least))
