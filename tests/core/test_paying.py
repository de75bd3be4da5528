"""Which kind pays: gain per second, said only where measured seconds bear it out."""

from __future__ import annotations

import pytest

from pal_backend.core.effort import measure
from pal_backend.core.paying import Comparison, Effort, Outlook, Verdict, compare, how_many, outlook
from pal_backend.core.vocabulary import Question, QuestionKind
from tests.core.test_effort import people, timed

PAIR, SCREEN = QuestionKind.PAIR, QuestionKind.SCREEN
SAMPLES = tuple(f"{n:016x}" for n in range(9))


def effort(pair: Outlook, screen: Outlook, error: float = 0.05) -> Effort:
    return Effort({PAIR: pair, SCREEN: screen}, (), error)


def told(gain: float | None, seconds: float, timed_answers: int = 50) -> Outlook:
    return Outlook(seconds, timed_answers, 0, 2, gain)


def test_the_next_half_minute_is_looked_at() -> None:
    """About the same seconds of a person's time for either kind, and never none."""
    assert [how_many(PAIR, 8), how_many(SCREEN, 8), how_many(SCREEN, 50)] == [8, 2, 1]


def test_an_outlook_is_the_mean_of_the_next_questions() -> None:
    """Gain and seconds of one question, at the size the screens really have."""
    pace = measure([])
    screens = [
        Question(SCREEN, SAMPLES[0], SAMPLES[1:9], gain=6.0),
        Question(SCREEN, SAMPLES[0], SAMPLES[1:5], gain=2.0),
    ]
    found = outlook(SCREEN, pace, 8, screens)
    assert (found.gain, found.seconds, found.ahead) == (4.0, 10.0, 2)
    assert found.gain_per_second == 0.4
    assert found.seconds_per_answer == 10.0 / 6 and outlook(PAIR, pace, 8, []).seconds_per_answer == 4.0
    assert outlook(SCREEN, pace, 8, None) == Outlook(12.0, 0, answers=8.0)
    assert outlook(PAIR, pace, 8, []).gain_per_second == 0.0


def test_the_kind_with_more_gain_a_second_pays() -> None:
    """Six of gain in twelve seconds against one in four."""
    assert compare(effort(told(1.0, 4.0), told(6.0, 12.0))) == Comparison(Verdict.PAYS, SCREEN, 2.0)
    assert compare(effort(told(4.0, 4.0), told(6.0, 12.0))) == Comparison(Verdict.PAYS, PAIR, 2.0)


def test_about_the_same_is_alike() -> None:
    """A tenth more is not worth changing desks for."""
    found = compare(effort(told(1.0, 4.0), told(3.3, 12.0)))
    assert found.verdict is Verdict.ALIKE and found.factor == pytest.approx(1.1)


@pytest.mark.parametrize("counts", [(9, 50), (50, 0)])
def test_nothing_is_said_by_assumed_seconds(counts: tuple[int, int]) -> None:
    """Fewer than ten timed answers of a kind: what it looks like is given, but not as a verdict."""
    found = compare(effort(told(1.0, 4.0, counts[0]), told(6.0, 12.0, counts[1])))
    assert found == Comparison(Verdict.UNTIMED, SCREEN, 2.0)


def test_a_difference_within_the_error_is_not_told() -> None:
    """Where the times vary so much that the order may be the other way round, that is said."""
    assert compare(effort(told(1.0, 4.0), told(6.0, 12.0), error=0.4)).verdict is Verdict.UNCERTAIN


def test_where_one_kind_is_used_up_the_other_pays() -> None:
    """No factor to give then; and where both are used up there is nothing to choose."""
    assert compare(effort(told(0.0, 4.0, 0), told(6.0, 12.0, 0))) == Comparison(Verdict.PAYS, SCREEN)
    assert compare(effort(told(0.0, 4.0), told(0.0, 12.0))) == Comparison(Verdict.NOTHING)


def test_before_anybody_looked_it_is_open() -> None:
    """A project with one desk, or a revision of an earlier release."""
    assert compare(Effort()) == Comparison(Verdict.UNSEEN)
    assert compare(effort(told(None, 4.0), told(1.0, 12.0))) == Comparison(Verdict.UNSEEN)


def test_ten_answers_of_each_kind_are_enough_for_a_clear_case() -> None:
    """With ten times of either kind a factor of three is told, one of 1.3 is not."""
    pace = measure([*timed(people(4.0, 10)), *timed(people(12.0, 10, 1), SCREEN)])
    assert compare(effort(told(1.0, 4.0, 10), told(9.0, 12.0, 10), pace.error)).verdict is Verdict.PAYS
    assert compare(effort(told(1.0, 4.0, 10), told(3.9, 12.0, 10), pace.error)).verdict is Verdict.UNCERTAIN
