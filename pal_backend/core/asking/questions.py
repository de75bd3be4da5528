"""From scored candidates to questions, and what a question that is already open is worth now."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pal_backend.core.asking.scores import SETTLED, Floats
from pal_backend.core.asking.screens import select_screens
from pal_backend.core.asking.selection import select
from pal_backend.core.asking.state import Candidates, State
from pal_backend.core.vocabulary import Purpose, Question, QuestionKind


def make_pairs(state: State, scored: Candidates, count: int) -> list[Question]:
    """Up to ``count`` pair questions: the representative is the anchor, the sample to be placed the candidate."""
    chosen = select(scored, state.space, count, state.open_rows)
    made = [_question(state, QuestionKind.PAIR, scored, [m]) for m in chosen]
    return [question for question in made if question is not None]


def make_screens(state: State, scored: Candidates, count: int, size: int) -> list[Question]:
    """Up to ``count`` screens of up to ``size`` candidates."""
    screens = select_screens(scored, state.space, count, size, sorted(state.open_rows))
    made = [_question(state, QuestionKind.SCREEN, scored, chosen) for _, chosen in screens]
    return [question for question in made if question is not None]


def worth(state: State, question: Question) -> tuple[float, tuple[float, ...], bool]:
    """Informativeness now (0..1), P(same) of each candidate, and whether it is moot.

    Informativeness rises with the doubt about the candidates, most where P(same) is one half, or with what is to gain
    from learning whether two groups are one. A question with a sample that the space does not know, or that was withdrawn, is moot, and so is a
    verification whose group no longer stands; otherwise a check keeps the informativeness it was given. A re-check stays
    while any of its samples is worth one: which of a pair is asked about may turn around, and that is the same question.
    """
    index = state.space.index
    if any(sample not in index or index[sample] in state.withdrawn for sample in question.samples):
        return 0.0, (0.5,) * len(question.candidates), True
    anchor = index[question.anchor]
    rows = [index[sample] for sample in question.candidates]
    same = state.same(anchor, rows)
    doubts, gains = state.doubts[rows], _gains(state, anchor, rows)
    if _moot(state, question, float(max(*doubts, *gains, state.doubts[anchor]))):
        return 0.0, same, True
    p = np.asarray(same)
    score = float(np.maximum(doubts * np.sqrt(4.0 * p * (1.0 - p)), gains).sum())
    # a check is due, however little it says about its sample
    due = question.informativeness if question.checked else 0.0
    return max(score / (1.0 + score), due), same, False


def _gains(state: State, anchor: int, rows: Sequence[int]) -> Floats:
    """What a merge would gain where anchor and candidate are in two groups, else 0."""
    placed = state.beliefs.placed
    mine = placed[list(rows)]
    if placed[anchor] < 0:
        return np.zeros(len(rows))
    gains = np.where(mine >= 0, state.gains[placed[anchor], mine], 0.0)
    for seam in state.seams:
        for far, near in ((seam.small, seam.large), (seam.large, seam.small)):
            if anchor in near:
                gains = np.maximum(gains, np.where(np.isin(rows, far), state.seam_gain(seam), 0.0))
    return gains


def _moot(state: State, question: Question, stake: float) -> bool:
    if question.purpose is Purpose.VERIFY:
        return int(state.beliefs.placed[state.space.index[question.anchor]]) < 0
    if question.purpose is Purpose.RECHECK:
        return stake < SETTLED
    return all(state.graph.settled(question.anchor, candidate) for candidate in question.candidates)


def _question(state: State, kind: QuestionKind, scored: Candidates, chosen: Sequence[int]) -> Question | None:
    """The question that the ``chosen`` candidates of one anchor make, unless it is a re-check not worth asking."""
    ids = state.space.sample_ids
    anchor, rows = int(scored.right[chosen[0]]), [int(scored.left[m]) for m in chosen]
    samples = tuple(ids[row] for row in rows)
    placed = state.beliefs.placed
    if any(state.graph.settled(ids[anchor], sample) for sample in samples):
        purpose = Purpose.RECHECK
    elif placed[anchor] >= 0 and any(placed[row] >= 0 for row in rows):
        purpose = Purpose.MERGE
    else:
        purpose = Purpose.PLACE
    again = max(state.times_asked(anchor, row) for row in rows)
    bare = Question(kind, ids[anchor], samples, purpose, round=again)
    # asked for its candidates' sake, though once it is open its anchor's doubt keeps it as well
    if purpose is Purpose.RECHECK and max(*state.doubts[rows], *_gains(state, anchor, rows)) < SETTLED:
        return None
    informativeness, same, _ = worth(state, bare)
    gain = float(scored.scores[list(chosen)].sum())
    return Question(kind, ids[anchor], samples, purpose, same, informativeness, again, gain)
