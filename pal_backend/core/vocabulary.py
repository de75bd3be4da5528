"""The words of the house as values: pairs, questions, answers. Pure, standard library only.

A *sample* is named by the first 16 hex digits of the SHA-256 of its content (:data:`SampleId`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

SampleId = str
"""First 16 hex digits of the SHA-256 of the sample's content."""
HOUSE = "@house"
"""Stands in the place of a desk in the keys of decisions; no desk can have that name."""


class Verdict(StrEnum):
    """What a person said about a pair."""

    SAME = "same"
    DIFFERENT = "different"
    UNSURE = "unsure"


class Origin(StrEnum):
    """How an answer came about: by hand, by accepting or changing a prefilled guess, or by decision."""

    MANUAL = "manual"
    PREDICTION = "prediction"
    PREDICTION_CHANGED = "prediction-changed"
    DECISION = "decision"
    """A lead decided it on a page or by a command: trusted, and no annotator's."""


class Opinion(StrEnum):
    """What gives the second opinion on every sample: a classifier on the features, or on the exact solver's embedding."""

    KERNEL = "kernel"
    SOLVER = "solver"


class QuestionKind(StrEnum):
    """The two kinds of question; a desk asks one of them."""

    PAIR = "pair"
    SCREEN = "screen"


class Medium(StrEnum):
    """What the samples of a pool are."""

    IMAGE = "image"
    TEXT = "text"


class Purpose(StrEnum):
    """Why a question is asked."""

    PLACE = "place"
    """Which group does this sample belong to?"""
    MERGE = "merge"
    """Are two groups one?"""
    RECHECK = "recheck"
    """An answer that looks unlikely, asked again; its guess is never shown."""
    VERIFY = "verify"
    """A uniform sample against its predicted group, to estimate accuracy; its guess is never shown."""
    SPLIT = "split"
    """Decided: these two are of two groups, each a group of its own."""
    REVIEW = "review"
    """A lead wants it asked again; it is asked first, and its guess is never shown."""


class Pair(NamedTuple):
    """Two samples in canonical order (``first < second``). Build it with :meth:`of`."""

    first: SampleId
    second: SampleId

    @classmethod
    def of(cls, a: SampleId, b: SampleId) -> Pair:
        """The canonical pair of two different samples.

        Raises:
            ValueError: both are the same sample.
        """
        if a == b:
            raise ValueError(f"a pair needs two different samples, found {a!r} twice")
        return cls(a, b) if a < b else cls(b, a)


class AnnotationKey(NamedTuple):
    """Names one Label Studio annotation for ever: ids restart at 1 when a Label Studio is set up anew, desks do not."""

    desk: str
    number: int

    def __str__(self) -> str:
        return f"{self.desk}:{self.number}"

    @classmethod
    def parse(cls, text: str) -> AnnotationKey:
        """Inverse of ``str``."""
        desk, _, number = text.rpartition(":")
        return cls(desk, int(number))


@dataclass(frozen=True, slots=True, order=True)
class Answer:
    """One verdict on one pair, by one person.

    Keyed by (annotation, pair). ``predicted`` is the uncalibrated P(same) the system held when it asked, in (0, 1), or
    None where it is not known; calibration is fitted on it.
    """

    annotation: AnnotationKey
    pair: Pair
    verdict: Verdict
    annotator: str = ""
    updated_at: int = 0
    """Microseconds since the epoch, UTC, as Label Studio states them."""
    origin: Origin = Origin.MANUAL
    predicted: float | None = None
    purpose: Purpose = Purpose.PLACE
    """Why it was asked."""
    candidate: SampleId = ""
    """Which of the two the question was to tell about; empty where it is not known. Of a verification it is the sample
    that was drawn uniformly."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """What one person submitted on one task: its answers stand and fall together, and an update replaces the whole set.

    A skip, "Cannot tell" and a contradictory screen have no answers, or only unsure ones, and are kept all the same, so
    that the question counts as dealt with.
    """

    key: AnnotationKey
    task: int
    """Label Studio's task id within the desk."""
    question: str
    """Our question id."""
    annotator: str
    updated_at: int
    """Microseconds since the epoch, UTC."""
    answers: tuple[Answer, ...]
    skipped: bool = False
    seconds: float | None = None
    """A person's time on it (Label Studio's ``lead_time``)."""
    note: str = ""
    """Why it holds no answers, in words for a person: "skipped", "ticks and 'None of these' contradict"..."""


@dataclass(frozen=True, slots=True)
class Question:
    """What one Label Studio task asks: is ``anchor`` the same as each of ``candidates``? A pair has one candidate."""

    kind: QuestionKind
    anchor: SampleId
    candidates: tuple[SampleId, ...]
    purpose: Purpose = Purpose.PLACE
    probabilities: tuple[float, ...] = field(default=())
    """Uncalibrated P(same) of each candidate when the question was chosen."""
    informativeness: float = 0.5
    """How much the answer is expected to teach, 0..1, 1 is most; Label Studio's score is 1 minus it."""
    round: int = 0
    """How often the very same question was asked before."""
    gain: float = 0.0
    """What all its answers together were expected to gain when it was chosen, in samples put right; 0 or more, and
    comparable between kinds. 0 where it is not known."""
    checks: tuple[SampleId, ...] = field(default=())
    """Candidates of a screen that are uniform samples, mixed among the others to estimate accuracy."""

    @property
    def id(self) -> str:
        """16 hex digits: the same kind, samples and round give the same id, whatever process asks."""
        text = "|".join((self.kind, self.anchor, *self.candidates, str(self.round)))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The canonical pairs it asks about, in the order of the candidates."""
        return tuple(Pair.of(self.anchor, candidate) for candidate in self.candidates)

    @property
    def samples(self) -> tuple[SampleId, ...]:
        """Anchor first, then the candidates."""
        return (self.anchor, *self.candidates)

    @property
    def checked(self) -> tuple[SampleId, ...]:
        """The candidates that check the estimated accuracy: all of a verification's, else those among ``checks``."""
        return self.candidates if self.purpose is Purpose.VERIFY else self.checks

    @property
    def blind(self) -> bool:
        """Whether its guess must never be shown: it would bias the very answers that accuracy is judged by.

        On a screen a guess is one ticking of all candidates, so a single check makes the whole screen blind.
        """
        return self.purpose in (Purpose.RECHECK, Purpose.REVIEW) or bool(self.checked)

    def purpose_of(self, candidate: SampleId) -> Purpose:
        """Why this candidate is asked about."""
        return Purpose.VERIFY if candidate in self.checks else self.purpose


def moment(answer: Answer) -> tuple[int, AnnotationKey, Pair]:
    """The place of an answer in the one order in which they are folded, that in which people gave them."""
    return answer.updated_at, answer.annotation, answer.pair


def in_time(answers: Iterable[Answer]) -> list[Answer]:
    """The answers by :func:`moment`."""
    return sorted(answers, key=moment)
