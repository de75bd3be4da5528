"""The strategy ``gain``: ask what puts most samples right: a place, a merge, or a seam.

The sample that is most in doubt and tells most others is placed, by its likeliest group. One representative stands for
each known group. The choice is made afresh after every answer, from the answers alone: no sample is asked to the end, an
unlikely answer is asked again, and two groups that look like one are compared.
"""

from __future__ import annotations

import itertools

import numpy as np

from pal_backend.core.asking.scores import SETTLED, Floats, Ints
from pal_backend.core.asking.state import Candidates, State
from pal_backend.core.vocabulary import QuestionKind

SHORTLIST, SCREENED = 80, 320
"""Samples for which partners are looked up, besides those of open questions: for pairs, and for screens, which were short
if there were no more, as those in doubt lie in many groups.
"""
MERGES = 8
"""Pairs of groups looked at, and seams, besides those of open questions."""
LIKELIEST = 6
"""Groups tried for a partner, likeliest first; the first that can be asked is taken."""
PATIENCE = 4
"""Answers in vain with the first anchor that halve what it is worth."""
JITTER = 0.05
"""Relative noise on the scores: it draws among near-equals, so that seeds differ."""


def gain(state: State, rng: np.random.Generator) -> Candidates:
    """Samples in doubt, each against its likeliest group's representative, and pairs of groups that may be one."""
    scores = state.doubts.copy()
    pairs, times = state.in_vain
    # what people could not tell is asked less and less, and each time with somebody else
    vain = np.zeros(len(scores))
    np.add.at(vain, pairs, times[:, None])
    tried = np.flatnonzero(vain)
    scores[tried] *= 0.5 ** vain[tried]
    if not state.groups:
        return _first(state, _jittered(scores, rng), vain)
    answered = state.beliefs.answered
    scores[answered[state.doubts[answered] < SETTLED]] = 0.0
    listed = SCREENED if state.kind is QuestionKind.SCREEN else SHORTLIST
    most = min(listed + 4 * len(state.open_rows), len(scores))
    short = np.sort(np.argpartition(-scores, most - 1)[:most])
    partners = _partners(state, short, _likeliest(state, short))
    some = partners >= 0
    drawn = _jittered(scores[short], rng)[some]
    placing = zip(short[some].tolist(), partners[some].tolist(), drawn.tolist(), strict=True)
    # looked up only where there may be answers: most of the samples have none
    again = [
        (row, partner, score * _again(state.times_asked(row, partner) if state.met[row] else 0))
        for row, partner, score in placing
    ]
    return Candidates.of([*again, *_merges(state), *_seams(state)])


def _jittered(scores: Floats, rng: np.random.Generator) -> Floats:
    return np.asarray(scores * np.exp(JITTER * rng.standard_normal(len(scores))))


def _again(times: int) -> float:
    """What a question is worth that was asked so often, over one asked at most once: half as much each time."""
    return float(0.5 ** max(times - 1, 0))


def _likeliest(state: State, rows: Ints) -> Ints:
    """Groups to compare each of ``rows`` (M,) with, the one to be tried first in front, int64 (M, at most LIKELIEST).

    On screens a sample that answers put in a group is compared with that group first. Many samples that one wrong "same"
    put there are asked about before anything is learned; if each were compared with the group that it is believed to be
    of, their right answers would together join the two groups.
    """
    likely = state.beliefs.probabilities[rows, :-1]
    if state.kind is QuestionKind.SCREEN:
        mine = state.beliefs.placed[rows]
        likely[mine >= 0, mine[mine >= 0]] = np.inf
    return np.asarray(np.argsort(-likely, axis=1, kind="stable")[:, :LIKELIEST])


def _partners(state: State, rows: Ints, groups: Ints) -> Ints:
    """The representative of the first of its ``groups`` (M, T) that each of ``rows`` can be compared with, -1 for none."""
    best = np.asarray([members[0] if members else -1 for members in state.members], np.int64)[groups]
    found: Ints = best[np.arange(len(rows)), (best >= 0).argmax(axis=1)]
    for n in np.flatnonzero(state.met[rows]).tolist():
        offered = (state.representative(group, int(rows[n])) for group in groups[n].tolist())
        found[n] = next((partner for partner in offered if partner >= 0), -1)
    return found


def _first(state: State, scores: Floats, vain: Floats) -> Candidates:
    """Before any answer: typical samples, all against the most typical one that people can tell, but not its close
    neighbours.
    """
    typical, sizes = state.space.medoids
    worth = sizes * 0.5 ** (vain[typical] // PATIENCE)
    worth[np.isin(typical, list(state.withdrawn))] = 0.0
    # Where all that was typical was withdrawn, whatever is left is compared with what is worth most of it.
    anchor = int(typical[worth.argmax()] if worth.any() else scores.argmax())
    allowed = np.ones(len(scores), bool)
    allowed[anchor] = False
    near = state.space.neighbours(anchor)
    if len(near) + 1 < len(scores):
        allowed[near] = False
    rows = np.flatnonzero(allowed)
    return Candidates(rows, np.full(len(rows), anchor, np.int64), scores[rows])


def _merges(state: State) -> list[tuple[int, int, float]]:
    """Confirmed members of two groups, the younger one's first, for every two groups worth asking about.

    What one sample's answers tell is bounded by how sure its place is, so each time it is the member that met the other
    group least; once all have met it twice, each further time is worth half as much.
    """
    gains = np.tril(state.gains * 0.5 ** _between(state, state.beliefs.placed, state.groups))
    best = np.argsort(-gains, axis=None, kind="stable")[: MERGES + len(state.open_pairs)]
    rows = []
    for k, other in zip(*np.unravel_index(best[gains.flat[best] > SETTLED], gains.shape), strict=True):
        if (met := state.meeting(int(k), int(other))) is not None:
            row, partner, times = met
            worth = float(gains[k, other]) * _again(times)
            rows += [(row, partner, worth)] if worth > SETTLED else []
    return rows


def _between(state: State, part: Ints, parts: int) -> Floats:
    """Annotations in vain between each two of some parts, (parts, parts), symmetric; ``part`` (N,) is -1 for none."""
    pairs, times = state.in_vain
    found = np.zeros((parts, parts))
    if not len(pairs):
        return found
    mine = part[pairs]
    inside = (mine >= 0).all(axis=1)
    a, b = mine[inside].T
    np.add.at(found, (a, b), times[inside])
    np.add.at(found, (b, a), times[inside])
    return found


def _seams(state: State) -> list[tuple[int, int, float]]:
    """The best confirmed members of both sides of a doubtful seam, not compared before, for the seams most worth asking about."""
    rows, ranked = list[tuple[int, int, float]](), state.ranked
    for seam in state.seams:
        worth = state.seam_gain(seam)
        if worth <= SETTLED or len(rows) >= MERGES + len(state.open_pairs):
            break
        side = np.full(len(state.doubts), -1)
        side[seam.small], side[seam.large] = 0, 1
        score = worth * 0.5 ** float(_between(state, side, 2)[0, 1])
        if score <= SETTLED:
            continue
        small, large = (ranked[side[ranked] == which][:4].tolist() for which in (0, 1))
        if state.kind is QuestionKind.SCREEN:
            # an anchor that nothing else is asked about would have a screen of its own
            first = ranked[side[ranked] >= 0][0]
            small, large = (small, [first]) if first in large else (large, [first])
        free = ((a, b) for a in small for b in large if state.askable(a, b))
        rows += [(a, b, score) for a, b in itertools.islice(free, 1)]
    return rows
