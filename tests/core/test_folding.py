"""In what steps the learner folds answers: full fits at fixed numbers, steps between, and no trace of either."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pal_backend.core.beliefs import Beliefs
from pal_backend.core.learner import Learner, checkpoint
from pal_backend.core.neighbours import Space
from pal_backend.core.vocabulary import Answer
from tests.core.test_learner import LABELS, SPACE, fresh, same_state
from tests.core.worlds import clusters, truthful


def test_checkpoints_are_a_quarter_of_themselves_apart() -> None:
    """Every answer at first, then ever rarer; the last one up to a number, and it never lies further back."""
    assert [checkpoint(n) for n in range(9)] == list(range(9))
    assert [n for n in range(8, 33) if checkpoint(n) == n] == [8, 10, 12, 15, 18, 22, 27]
    assert all(0 <= n - checkpoint(n) <= max(0, n // 4) for n in range(3000))
    assert all(checkpoint(checkpoint(n)) == checkpoint(n) for n in range(3000))


def timed(count: int, space: Space = SPACE, labels: NDArray[np.int64] = LABELS) -> list[Answer]:
    """Answers to what a learner asked, a tenth of them wrong, each a second after the other."""
    learner, rng, found = Learner(space), np.random.default_rng(4), list[Answer]()
    for number in range(count):
        [question] = learner.ask(1)
        for answer in truthful(number, question, space, labels):
            other = "different" if answer.verdict == "same" else "same"
            wrong = rng.random() < 0.1
            found.append(replace(answer, verdict=type(answer.verdict)(other if wrong else answer.verdict)))
            found[-1] = replace(found[-1], updated_at=number + 1)
        learner.update(found[-1:], ())
    return found


def test_foundings_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where groups are founded one after the other, not each has everything worked out anew; in the end none is missing."""
    space, labels = clusters(groups=16, each=12)
    answers = timed(105, space, labels)
    fits: dict[int, list[int]] = {}
    for patience in (8, 1000):
        monkeypatch.setattr("pal_backend.core.learner.PATIENCE", patience)
        learner, fits[patience] = Learner(space), []
        for number, answer in enumerate(answers, 1):
            before = learner.beliefs
            learner.update([answer], ())
            fits[patience] += [number] if learner.beliefs.precision is not before.precision else []
        at_once = Learner(space)
        at_once.set_answers(answers)
        assert learner.beliefs.groups == at_once.beliefs.groups and len(at_once.beliefs.groups) >= 16
    assert len(fits[8]) < len(fits[1000])


def the_very_same(a: Learner, b: Learner) -> None:
    """Assert that two learners believe the same bit for bit, and ask the same."""
    for name in ("answered", "placed", "probabilities", "own", "evidence", "influence", "margins"):
        assert (getattr(a.beliefs, name) == getattr(b.beliefs, name)).all(), name
    assert isinstance(a.beliefs, Beliefs) and a.beliefs.groups == b.beliefs.groups
    assert [q.id for q in a.ask(6)] == [q.id for q in b.ask(6)]


@pytest.mark.parametrize("portion", [1, 3, 10])
def test_portions_leave_no_trace_at_all(portion: int) -> None:
    """Answers that come as people gave them, one by one or several at once, asked in between or not: the same bits."""
    answers = timed(47)
    learner = Learner(SPACE)
    for start in range(0, len(answers), portion):
        learner.update(answers[start : start + portion], ())
        if start % 4 == 0:
            learner.ask(1)
    the_very_same(learner, fresh(answers))


@pytest.mark.parametrize("back", [1, 4, 30])
def test_late_answers_and_withdrawals_between_checkpoints(back: int) -> None:
    """Shortly after a full fit, or long before the last one: as a learner that was given the rest in its order."""
    answers = timed(47)
    late = answers[-back]
    learner = fresh(answer for answer in answers if answer is not late)
    learner.ask(1)
    learner.update([late], ())
    same_state(learner, fresh(answers))
    learner.update((), [late.annotation])
    same_state(learner, fresh(answer for answer in answers if answer is not late))
    changed = replace(late, verdict=type(late.verdict)("unsure"), updated_at=99)
    learner.update([late], ())
    learner.update([changed], ())
    same_state(learner, fresh([*(answer for answer in answers if answer is not late), changed]))
