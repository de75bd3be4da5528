"""Seconds a question takes: robust against tabs left open, shrunk where little is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pal_backend.core.effort import MOST_SECONDS, Timed, measure, typical_seconds, without_idle
from pal_backend.core.vocabulary import AnnotationKey, QuestionKind

PAIR, SCREEN = QuestionKind.PAIR, QuestionKind.SCREEN


def timed(seconds: object, kind: QuestionKind = PAIR, annotator: str = "7", candidates: int = 8) -> list[Timed]:
    """One timed annotation for each number."""
    size = 1 if kind is PAIR else candidates
    return [
        Timed(AnnotationKey(f"{kind}-{annotator}", n), annotator, kind, size, float(s), n)
        for n, s in enumerate(np.atleast_1d(np.asarray(seconds)))
    ]


def people(median: float, count: int, seed: int = 0) -> np.ndarray:
    """Log-normal times, as people's are."""
    return median * np.exp(0.45 * np.random.default_rng(seed).standard_normal(count))


def test_without_any_answer_the_stated_seconds_hold() -> None:
    """Four seconds a pair, and one more for each candidate of a screen; nothing counts as timed."""
    pace = measure([])
    assert pace.seconds(PAIR) == 4.0 and pace.seconds(SCREEN, 8) == 12.0 and pace.seconds(SCREEN, 2.5) == 6.5
    assert pace.timed == pace.idle == {PAIR: 0, SCREEN: 0}


def test_many_answers_overcome_what_was_assumed() -> None:
    """Two hundred pairs of 9 s and screens of 15 s are found within 5 %."""
    pace = measure([*timed(people(9.0, 200)), *timed(people(15.0, 200, 1), SCREEN)])
    assert pace.seconds(PAIR) == pytest.approx(9.0, rel=0.05)
    assert pace.seconds(SCREEN, 8) == pytest.approx(15.0, rel=0.05)


def test_three_answers_move_it_part_of_the_way() -> None:
    """Few answers are believed in part: between what was assumed and what was seen."""
    assert 4.5 < measure(timed([16.0] * 3)).seconds(PAIR) < 14.0


def test_one_kind_tells_about_the_other() -> None:
    """Where pairs take four times as long as assumed, screens nobody was timed at are not taken to be quicker."""
    pace = measure(timed(people(16.0, 100)))
    assert pace.seconds(SCREEN, 8) > 16.0
    assert pace.timed == {PAIR: 100, SCREEN: 0}


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_tabs_left_open_do_not_count(share: float) -> None:
    """With up to three in ten left open for minutes, the median stays within 15 % of the true one."""
    rng = np.random.default_rng(3)
    seconds = people(5.0, 300)
    left = rng.random(300) < share
    seconds[left] += rng.uniform(60.0, 3600.0, int(left.sum()))
    pace = measure(timed(seconds))
    assert pace.seconds(PAIR) == pytest.approx(5.0, rel=0.15)
    assert pace.idle[PAIR] == pytest.approx(left.sum(), abs=3)
    assert pace.timed[PAIR] + pace.idle[PAIR] == 300


def test_an_hour_is_never_work() -> None:
    """A single answer of an hour is idle though there is nothing to compare it with."""
    pace = measure(timed([3600.0]))
    assert pace.seconds(PAIR) == 4.0 and pace.idle[PAIR] == 1 and pace.medians == {}
    assert MOST_SECONDS < 3600.0


def test_who_answers_does_not_make_a_kind_slow() -> None:
    """A slow person on screens and a quick one on pairs: those who do both tell the kinds apart."""
    both = [*timed(people(4.0, 100, 1), PAIR, "both"), *timed(people(12.0, 100, 2), SCREEN, "both")]
    apart = [*timed(people(2.0, 100, 3), PAIR, "quick"), *timed(people(24.0, 100, 4), SCREEN, "slow")]
    pace = measure([*both, *apart])
    assert pace.seconds(SCREEN, 8) / pace.seconds(PAIR) == pytest.approx(3.0, rel=0.15)


def test_screens_of_any_size_tell_about_each_other() -> None:
    """The last screens are small: eight of them at half the typical time mean a full one at half of its own."""
    pace = measure(timed(people(3.5, 200), SCREEN, candidates=3))
    assert pace.seconds(SCREEN, 8) == pytest.approx(6.0, rel=0.1)


def test_what_is_known_is_less_uncertain() -> None:
    """The error of the ratio falls with the answers timed, from the prior's to a few per cent."""
    few, many = ([*timed(people(4.0, n)), *timed(people(12.0, n, 1), SCREEN)] for n in (5, 300))
    assert measure([]).error > measure(few).error > measure(many).error
    assert measure([]).error == pytest.approx(0.35 * math.sqrt(2)) and measure(many).error < 0.06


def test_each_person_has_a_median() -> None:
    """As measured, in seconds of one question, nothing assumed and nothing idle in it."""
    pace = measure([*timed([3.0, 4.0, 5.0, 500.0], PAIR, "a"), *timed([20.0], SCREEN, "b")])
    assert pace.medians == {("a", PAIR): 4.0, ("b", SCREEN): 20.0}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([PAIR, SCREEN]), st.floats(1e-3, 1e5)), max_size=30))
def test_whatever_was_timed_seconds_are_sensible(rows: list[tuple[str, QuestionKind, float]]) -> None:
    """Any times give finite, positive seconds, in any order the same."""
    some = [t for who, kind, seconds in rows for t in timed(seconds, kind, who)]
    one, two = measure(some), measure(some[::-1])
    for kind in QuestionKind:
        assert 0.0 < one.seconds(kind, 8) < 1e6
        assert one.seconds(kind, 8) == pytest.approx(two.seconds(kind, 8))
        assert one.timed[kind] + one.idle[kind] == sum(t.kind is kind for t in some)


def test_quick_answers_are_not_cut() -> None:
    """Only what is slow can be idle."""
    logs = np.log(np.asarray([0.01, 4.0, 4.1, 4.2, 4.3, 4.4, 400.0]))
    assert without_idle(logs).size == 6 and logs[0] in without_idle(logs)
    assert without_idle(np.empty(0)).size == 0


def test_typical_seconds_grow_with_the_screen() -> None:
    """A pair has no use for a number of candidates."""
    assert typical_seconds(PAIR, 8) == 4.0 < typical_seconds(SCREEN, 1) < typical_seconds(SCREEN, 20)
