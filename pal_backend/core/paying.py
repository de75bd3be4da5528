"""Which kind of question pays: expected gain per second of a person's time, of the next pairs against the next screens.

Gains are in one currency for both kinds (:attr:`Question.gain`), seconds are measured (:mod:`~pal_backend.core.effort`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pal_backend.core.effort import Pace, typical_seconds
from pal_backend.core.vocabulary import Question, QuestionKind

AHEAD_SECONDS = 30.0
"""How far the next questions are looked at: so many seconds of a person's time, for either kind."""
MEASURED = 10
"""Timed answers of each kind before a kind is said to pay."""
ALIKE = 1.15
"""Up to this factor two kinds pay alike."""
CONFIDENT = 1.96
"""Standard errors of a 95 % interval."""


@dataclass(frozen=True)
class Outlook:
    """The next questions of one kind: what one of them takes, and what it is expected to gain."""

    seconds: float
    """Expected of a person, for one question."""
    timed: int
    """Timed answers that the seconds rest on; none: they are assumed."""
    idle: int = 0
    """Timed answers left out, since a tab was left open."""
    ahead: int = 0
    """How many of the next questions were looked at; 0: nothing is left to ask, or nobody looked."""
    gain: float | None = None
    """Expected of one question, on average; None where nobody looked."""
    answers: float | None = None
    """Answers that such a question gives: 1, or its candidates on average; None in revisions of earlier releases."""

    @property
    def seconds_per_answer(self) -> float | None:
        """Expected of a person for one answered pair, by which kinds compare."""
        return None if self.answers is None else self.seconds / self.answers

    @property
    def gain_per_second(self) -> float | None:
        """Expected gain of a second of a person's time; None where nobody looked."""
        return None if self.gain is None else self.gain / self.seconds


@dataclass(frozen=True)
class Person:
    """What is known about one annotator."""

    name: str
    """As Label Studio's ``completed_by`` has it: a user's id."""
    answers: int
    """Answered pairs; a screen counts once for each candidate."""
    error_rate: float | None
    """Estimated share of wrong answers; None before there is an estimate."""
    median_seconds: Mapping[QuestionKind, float] = field(default_factory=dict)
    """Measured, for one question of a kind; kinds never timed are left out."""


@dataclass(frozen=True)
class Effort:
    """What answering costs, as a revision states it."""

    outlooks: Mapping[QuestionKind, Outlook] = field(default_factory=dict)
    people: tuple[Person, ...] = ()
    error: float = 0.0
    """Standard error of ln(seconds of a screen / seconds of a pair)."""


def how_many(kind: QuestionKind, candidates: int) -> int:
    """How many of the next questions to look at: about half a minute's worth, at least one.

    >>> how_many(QuestionKind.PAIR, 1), how_many(QuestionKind.SCREEN, 8)
    (8, 2)
    """
    return max(1, round(AHEAD_SECONDS / typical_seconds(kind, candidates)))


def outlook(kind: QuestionKind, pace: Pace, candidates: int, upcoming: Sequence[Question] | None) -> Outlook:
    """The outlook of a kind.

    Args:
        kind: of the questions.
        pace: how long questions take.
        candidates: usual number of candidates of a screen.
        upcoming: the next questions, best first; None where nobody looked.
    """
    sizes = [len(question.candidates) for question in upcoming or ()]
    size = 1.0 if kind is QuestionKind.PAIR else sum(sizes) / len(sizes) if sizes else float(candidates)
    seconds = pace.seconds(kind, size)
    gain = None if upcoming is None else sum(question.gain for question in upcoming) / max(len(upcoming), 1)
    return Outlook(seconds, pace.timed[kind], pace.idle[kind], len(sizes), gain, size)


class Verdict(StrEnum):
    """How two kinds compare."""

    PAYS = "pays"
    """One pays more."""
    ALIKE = "alike"
    NOTHING = "nothing"
    """Nothing is left to ask, of either kind."""
    UNSEEN = "unseen"
    """Nobody has looked yet."""
    UNTIMED = "untimed"
    """Too few answers were timed."""
    UNCERTAIN = "uncertain"
    """The seconds vary too much to tell."""


@dataclass(frozen=True)
class Comparison:
    """Pairs against screens."""

    verdict: Verdict
    better: QuestionKind | None = None
    """The kind that pays, or looks as if it did; None where there is no telling."""
    factor: float | None = None
    """Gain per second of the better kind over that of the other, at least 1; None where the other gains nothing."""


def compare(effort: Effort) -> Comparison:
    """Which kind pays now, by measured seconds; the error considered is that of the seconds, not of the gains."""
    pair, screen = (effort.outlooks.get(kind) for kind in (QuestionKind.PAIR, QuestionKind.SCREEN))
    if pair is None or screen is None or pair.gain_per_second is None or screen.gain_per_second is None:
        return Comparison(Verdict.UNSEEN)
    pair_pays = pair.gain_per_second >= screen.gain_per_second
    better = QuestionKind.PAIR if pair_pays else QuestionKind.SCREEN
    more, less = sorted((pair.gain_per_second, screen.gain_per_second), reverse=True)
    if more <= 0.0:
        return Comparison(Verdict.NOTHING)
    if less <= 0.0:
        return Comparison(Verdict.PAYS, better)
    factor = more / less
    if min(pair.timed, screen.timed) < MEASURED:
        return Comparison(Verdict.UNTIMED, better, factor)
    if factor <= ALIKE:
        return Comparison(Verdict.ALIKE, better, factor)
    told = math.log(factor) > CONFIDENT * effort.error
    return Comparison(Verdict.PAYS if told else Verdict.UNCERTAIN, better, factor)
