"""The desks of ``pal simulate``: what is open on each, what a question takes a person, and which desk is asked at next."""

from __future__ import annotations

from dataclasses import dataclass, field

from pal_backend.core.effort import typical_seconds
from pal_backend.core.learner import Learner
from pal_backend.core.paying import how_many
from pal_backend.core.vocabulary import Question, QuestionKind
from pal_backend.errors import InputError

KINDS = {
    "pairs": (QuestionKind.PAIR,),
    "screens": (QuestionKind.SCREEN,),
    "mixed": (QuestionKind.PAIR, QuestionKind.SCREEN),
}
"""What the annotator may be asked, by the name of the option."""


@dataclass
class Desks:
    """One desk for each kind, with a queue of open questions each, as in the live system.

    Args:
        kinds: of question, one desk each.
        candidates: candidates of a screen.
        open_questions: questions open at once on a desk.
        seconds_per_pair: a person's time for a pair, assumed.
        seconds_per_screen: for a full screen; a smaller one takes as much less as is typical.
    """

    kinds: tuple[QuestionKind, ...]
    candidates: int
    open_questions: int
    seconds_per_pair: float
    seconds_per_screen: float
    _waiting: dict[QuestionKind, list[Question]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        questions: str,
        candidates: int,
        open_questions: int,
        seconds_per_pair: float | None = None,
        seconds_per_screen: float | None = None,
    ) -> Desks:
        """Desks for "pairs", "screens" or "mixed"; seconds not given are the typical ones.

        Raises:
            InputError: another name, or a number out of range.
        """
        if questions not in KINDS:
            raise InputError(f"questions {questions!r} is not known; use pairs or screens, or mixed for both")
        for name, number in (("candidates", candidates), ("open questions", open_questions)):
            if number < 1:
                raise InputError(f"{name} must be at least 1, found {number}")
        pair = typical_seconds(QuestionKind.PAIR) if seconds_per_pair is None else seconds_per_pair
        full = typical_seconds(QuestionKind.SCREEN, candidates) if seconds_per_screen is None else seconds_per_screen
        for name, seconds in (("a pair", pair), ("a screen", full)):
            if not 0.0 < seconds < float("inf"):
                raise InputError(f"seconds for {name} must be above 0, found {seconds}")
        return cls(KINDS[questions], candidates, open_questions, pair, full)

    def seconds(self, question: Question) -> float:
        """A person's time for this question."""
        if question.kind is QuestionKind.PAIR:
            return self.seconds_per_pair
        size = typical_seconds(QuestionKind.SCREEN, len(question.candidates))
        return self.seconds_per_screen * size / typical_seconds(QuestionKind.SCREEN, self.candidates)

    def take(self, learner: Learner) -> Question | None:
        """The question worth most now, at the desk that pays more; None if nothing is left to ask at any."""
        for kind in self._ranked(learner):
            question = self._take(learner, kind)
            if question is not None:
                return question
        return None

    def _ranked(self, learner: Learner) -> list[QuestionKind]:
        """The kinds by expected gain per second of the next questions, most first."""
        if len(self.kinds) == 1:
            return list(self.kinds)
        return sorted(self.kinds, key=lambda kind: -self._gain_per_second(learner, kind))

    def _gain_per_second(self, learner: Learner, kind: QuestionKind) -> float:
        upcoming = learner.ask(how_many(kind, self.candidates), kind=kind, candidates=self.candidates)
        if not upcoming:
            return 0.0
        return sum(question.gain for question in upcoming) / sum(self.seconds(question) for question in upcoming)

    def _take(self, learner: Learner, kind: QuestionKind) -> Question | None:
        """Close what became moot on a desk, refill it, and take out the question worth most now."""
        waiting = [question for question in self._waiting.get(kind, []) if not learner.value(question)[2]]
        self._waiting[kind] = waiting
        if len(waiting) < self.open_questions:
            everywhere = [question for some in self._waiting.values() for question in some]
            more = self.open_questions - len(waiting)
            waiting += learner.ask(more, kind=kind, candidates=self.candidates, open_questions=everywhere)
        if not waiting:
            return None
        return waiting.pop(max(range(len(waiting)), key=lambda i: (learner.value(waiting[i])[0], -i)))
