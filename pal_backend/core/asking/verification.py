"""Checks: about one question in twenty is about a uniform sample, to tell how good the groups are.

A sample that was never in any question is drawn uniformly and compared with a representative of its predicted group; its
guess is never shown (:attr:`Question.blind`). Where the answers on a check are not enough to tell whether its prediction
is right ("different" where everything else says "same"), it is asked about again, with another representative: that is
what separates people's errors from the model's. What was drawn is remembered in the answers alone, so the choice is a
function of the answers and the open questions.

On a desk of screens the drawn sample stands among the candidates of an ordinary screen of its predicted group, where
nobody can tell it apart; a screen of checks alone would be ticked from habit, and its answers would hang together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.asking.state import Candidates, State
from pal_backend.core.verification import Checks
from pal_backend.core.vocabulary import Answer, Purpose, Question, QuestionKind, SampleId

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHARE = 0.05
"""Checks over all answers."""
AGAIN_SHARE = 0.02
"""Most answers spent on asking about checks again, over all answers."""
FIRST_ANSWERS = 40
"""Before so many answers predictions are not worth checking."""
SPACING = 4
"""At most every fourth question is a check, also where many are due (a project that had none before)."""
MOST_TRIES = 5
"""Nobody is asked more often than this whether one check is right."""
WRONG, SURELY_WRONG = -2, -3
"""Answers for the prediction minus answers against it, from which a check is taken to be wrong: the second where all that
is believed still speaks for the prediction. Above 0 it is right."""


@dataclass(frozen=True)
class Draw:
    """A sample to be checked, and the member of its predicted group that it is compared with."""

    row: int
    anchor: int
    group: int


@dataclass(frozen=True)
class Budget:
    """What may be asked now: new checks, and checks to be asked about again."""

    fresh: int
    again: int

    @classmethod
    def of(cls, answers: Sequence[Answer], open_questions: Sequence[Question], wanted: int) -> Budget:
        """From the answers held, the open questions and the number of pairs about to be asked."""
        total, verify = len(answers), Purpose.VERIFY
        if total < FIRST_ANSWERS:
            return cls(0, 0)
        tried = [answer.candidate for answer in answers if answer.purpose is verify]
        held = set(tried)
        again = len(tried) - len(held)
        for question in open_questions:
            total += len(question.candidates)
            again += sum(sample in held for sample in question.checked)
            held.update(question.checked)
        turns = (total + wanted) // SPACING - total // SPACING
        fresh = max(0, min(turns, int(SHARE * (total + wanted)) - len(held)))
        return cls(fresh, max(0, min(turns - fresh, int(AGAIN_SHARE * (total + wanted)) - again)))


def mix_in(
    state: State,
    scored: Candidates,
    made: Sequence[Question],
    answers: Sequence[Answer],
    *,
    kind: QuestionKind,
    count: int,
    size: int,
    open_questions: Sequence[Question],
    rng: np.random.Generator,
) -> list[Question]:
    """Up to ``count`` questions: those ``made`` by the strategy, with the checks that are due among them.

    Args:
        state: with the open questions.
        scored: what the strategy proposed.
        made: what became of it, best first.
        answers: all that are held.
        kind: one pair, or a screen.
        count: at most so many.
        size: candidates of a screen.
        open_questions: posted and not yet answered.
        rng: draws the samples.
    """
    pairs = count * (size if kind is QuestionKind.SCREEN else 1)
    budget = Budget.of(answers, open_questions, pairs) if state.groups > 1 else Budget(0, 0)
    draws = [*_again(state, answers, budget.again), *_fresh(state, budget.fresh, rng)][:count]
    if not draws:
        return list(made)
    others = [_without(question, {state.space.sample_ids[draw.row] for draw in draws}) for question in made]
    others = [question for question in others if question.candidates]
    if kind is QuestionKind.SCREEN:
        return _into_screens(state, scored, others, draws, count=count, size=size, rng=rng)
    checks = [_pair(state, draw, [*open_questions, *made]) for draw in draws]
    return [*checks, *others[: count - len(checks)]]


def unresolved(checks: Checks, group: Ints, after: Ints, one: Floats) -> NDArray[np.bool_]:
    """Checks whose answers do not tell yet whether their present prediction is right, bool (C,).

    Args:
        checks: C of them.
        group: int64 (C,), the prediction without their own answers.
        after: int64 (C,), the prediction with them.
        one: float64 (K, K), chances that two groups are one: where that is likelier than not, what is said of either is said
            of both. As weights they would leave a little of every check open.
    """
    net, mine = checks.same - checks.different, one[group] > 0.5
    balance = net.sum(axis=1, where=mine) - net.max(axis=1, initial=0.0, where=~mine)
    lowest = np.where(after == group, SURELY_WRONG, WRONG)
    return np.asarray((balance < 1) & (balance > lowest) & (checks.tries < MOST_TRIES))


def _again(state: State, answers: Sequence[Answer], most: int) -> list[Draw]:
    """Checks to be asked about again, oldest first, but for those that are open."""
    if not most:
        return []
    beliefs = state.beliefs
    checks = Checks.of(answers, state.space, beliefs)
    group, after = (p[:, :-1].argmax(axis=1) for p in (beliefs.own[checks.at], beliefs.probabilities[checks.rows]))
    open_samples = {sample for pair in state.open_pairs for sample in pair}
    found: list[Draw] = []
    for c in np.flatnonzero(unresolved(checks, group, after, beliefs.one)).tolist():
        row, k = int(checks.rows[c]), int(group[c])
        anchor = state.representative(k, row)
        if row in state.withdrawn:
            continue
        if len(found) < most and anchor not in (-1, row) and state.space.sample_ids[row] not in open_samples:
            found.append(Draw(row, anchor, k))
    return found


def _fresh(state: State, most: int, rng: np.random.Generator) -> list[Draw]:
    """Uniform samples that are in no answer and in no open question; what the strategy proposes makes no difference."""
    if not most:
        return []
    index, ids = state.space.index, state.space.sample_ids
    shown = {sample for pairs in (state.graph.edges, state.open_pairs) for pair in pairs for sample in pair}
    unseen = np.ones(len(ids), bool)
    unseen[[index[sample] for sample in shown if sample in index]] = False
    unseen[list(state.withdrawn)] = False
    found: list[Draw] = []
    for row in rng.permutation(np.flatnonzero(unseen))[:most].tolist():
        group = int(state.beliefs.probabilities[row, :-1].argmax())
        anchor = state.representative(group, row)
        if anchor >= 0:
            found.append(Draw(row, anchor, group))
    return found


def _without(question: Question, drawn: set[SampleId]) -> Question:
    """The question without what was drawn: it is asked as a check, if at all."""
    if question.anchor in drawn:
        return replace(question, candidates=(), probabilities=())
    kept = [place for place, sample in enumerate(question.candidates) if sample not in drawn]
    return replace(
        question,
        candidates=tuple(question.candidates[place] for place in kept),
        probabilities=tuple(question.probabilities[place] for place in kept),
    )


def _level(others: Sequence[Question]) -> tuple[float, float]:
    """Informativeness and gain that a check is given: those of the best of the other questions.

    What is due is served soon: where a check stood lower, questions that are asked for later would keep overtaking it.
    """
    best = max((question.informativeness for question in others if not question.checked), default=0.5)
    gains = [question.gain for question in others if not question.checked]
    return best, float(np.median(gains)) if gains else 0.0


def _pair(state: State, draw: Draw, others: Sequence[Question]) -> Question:
    ids = state.space.sample_ids
    informativeness, gain = _level(others)
    return Question(
        kind=QuestionKind.PAIR,
        anchor=ids[draw.anchor],
        candidates=(ids[draw.row],),
        purpose=Purpose.VERIFY,
        probabilities=state.same(draw.anchor, [draw.row]),
        informativeness=informativeness,
        round=state.times_asked(draw.anchor, draw.row),
        gain=gain,
    )


def _into_screens(
    state: State,
    scored: Candidates,
    made: Sequence[Question],
    draws: Sequence[Draw],
    *,
    count: int,
    size: int,
    rng: np.random.Generator,
) -> list[Question]:
    """Put each draw among the candidates of a screen of its group, or of one made for it in the last one's place."""
    screens = list(made[:count])
    for draw in draws:
        fits = [n for n, screen in enumerate(screens) if _takes(state, screen, draw)]
        if fits:
            screens[fits[0]] = _add(state, screens[fits[0]], draw, size, rng)
        else:
            fresh = _add(state, _screen(state, scored, draw, screens, size), draw, size, rng)
            ordinary = [n for n, screen in enumerate(screens) if not screen.checks]
            if len(screens) >= count and ordinary:
                del screens[ordinary[-1]]
            screens = [*screens, fresh][:count]
    return screens


def _takes(state: State, screen: Question, draw: Draw) -> bool:
    """Whether a screen asks for members of the draw's group, its anchor is new to the sample, and it has no check yet."""
    anchor = state.space.index[screen.anchor]
    mine = int(state.beliefs.placed[anchor]) == draw.group
    return mine and not screen.checks and not state.times_asked(anchor, draw.row)


def _add(state: State, screen: Question, draw: Draw, size: int, rng: np.random.Generator) -> Question:
    """The screen with the drawn sample at a random place; the least informative candidate gives way if it is full."""
    keep = min(len(screen.candidates), size - 1)
    place = int(rng.integers(keep + 1))
    sample = state.space.sample_ids[draw.row]
    [p] = state.same(state.space.index[screen.anchor], [draw.row])
    candidates, same = screen.candidates[:keep], screen.probabilities[:keep]
    return replace(
        screen,
        candidates=(*candidates[:place], sample, *candidates[place:]),
        probabilities=(*same[:place], p, *same[place:]),
        checks=(*screen.checks, sample),
    )


def _screen(state: State, scored: Candidates, draw: Draw, screens: Sequence[Question], size: int) -> Question:
    """A screen of the drawn sample's group, with what the strategy would ask about that group; perhaps nothing."""
    ids, placed = state.space.sample_ids, state.beliefs.placed
    taken = {sample for screen in screens for sample in screen.samples} | {ids[draw.anchor], ids[draw.row]}
    chosen: dict[int, float] = {}
    mine = np.flatnonzero(placed[scored.right] == draw.group)
    for m in mine[np.argsort(-scored.scores[mine], kind="stable")].tolist():
        row = int(scored.left[m])
        free = ids[row] not in taken and row not in state.open_rows and row not in chosen
        if len(chosen) < size - 1 and free and not state.graph.settled(ids[draw.anchor], ids[row]):
            chosen[row] = float(scored.scores[m])
    return Question(
        kind=QuestionKind.SCREEN,
        anchor=ids[draw.anchor],
        candidates=tuple(ids[row] for row in chosen),
        probabilities=state.same(draw.anchor, list(chosen)),
        informativeness=_level(screens)[0],
        gain=sum(chosen.values()),
    )
