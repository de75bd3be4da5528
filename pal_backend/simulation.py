"""``pal simulate``: the code that serves Label Studio, with a simulated annotator instead of people.

The hidden labels are read in two places only: :class:`Annotator` answers from them, :func:`_point` scores with them.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pal_backend.core import evaluation
from pal_backend.core.asking.checked import Strategy
from pal_backend.core.learner import Learner
from pal_backend.core.neighbours import build_space
from pal_backend.core.solver_space import MakeSpace
from pal_backend.core.vocabulary import AnnotationKey, Answer, Question, SampleId, Verdict
from pal_backend.errors import InputError
from pal_backend.simulation_desks import Desks

if TYPE_CHECKING:
    from pal_backend.simulation_training import Retraining, Tried

REACH = (0.8, 0.9, 0.95)
"""Values of ARI whose first crossing is reported."""
REACH_STEP = 10
"""Answers between two looks at whether a value is reached."""


@dataclass(frozen=True)
class Point:
    """Quality after some number of answers.

    ``screens`` counts questions put to the annotator, pairs or screens; ``seconds`` is a person's time for them.
    ``accuracy`` is the truth; ``estimated``, with its interval ``low`` to ``high``, is what the checks say of it, and
    ``next_hundred`` the expected gain of the next hundred answers. All four are None before there are ``checks``.
    """

    answers: int
    screens: int
    ari: float
    ari_unseen: float
    nmi: float
    accuracy: float
    groups: int
    seconds: float = 0.0
    estimated: float | None = None
    low: float | None = None
    high: float | None = None
    checks: int = 0
    next_hundred: float | None = None
    probe: float | None = None
    """Accuracy of a linear probe in the space in use, and which ``version`` that is; None where nothing is retrained."""
    version: str | None = None


@dataclass(frozen=True)
class SimulationResult:
    """The curve, the first answers and seconds of a person's time at which ARI values were seen, and the time taken.

    ``trainings`` tells of each retraining; None where there was to be none.
    """

    curve: tuple[Point, ...]
    reach: dict[str, int | None]
    reach_seconds: dict[str, float | None]
    ms_per_question: float
    seconds: float
    trainings: tuple[Tried, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """The object that ``pal simulate --json`` prints."""
        trainings = None if self.trainings is None else [asdict(each) for each in self.trainings]
        return {
            **({} if trainings is None else {"trainings": trainings}),
            "curve": [asdict(point) for point in self.curve],
            "reach": dict(self.reach),
            "reach_seconds": dict(self.reach_seconds),
            "ms_per_question": self.ms_per_question,
            "seconds": self.seconds,
        }


class Annotator:
    """Answers from hidden labels; each pair is answered wrongly with ``error_rate``, independently."""

    def __init__(
        self, labels: NDArray[np.integer], index: dict[SampleId, int], error_rate: float, rng: np.random.Generator
    ) -> None:
        self._labels, self._index, self._error_rate, self._rng = labels, index, error_rate, rng
        self._annotations = 0

    def answer(self, question: Question) -> list[Answer]:
        """One annotation: an answer to every pair of the question."""
        self._annotations += 1
        key = AnnotationKey("simulated", self._annotations)
        anchor = self._labels[self._index[question.anchor]]
        answers = []
        for i, (pair, candidate) in enumerate(zip(question.pairs, question.candidates, strict=True)):
            truth = bool(anchor == self._labels[self._index[candidate]])
            said = truth != bool(self._rng.random() < self._error_rate)
            predicted = question.probabilities[i] if question.probabilities else None
            verdict = Verdict.SAME if said else Verdict.DIFFERENT
            answers.append(
                Answer(
                    key,
                    pair,
                    verdict,
                    "simulated",
                    updated_at=self._annotations,
                    predicted=predicted,
                    purpose=question.purpose_of(candidate),
                    candidate=candidate,
                )
            )
        return answers


def answered(
    learner: Learner, annotator: Annotator, count: int, progress: Callable[[int, int], None] = lambda done, of: None
) -> list[Answer]:
    """The first ``count`` answers to the pairs that the learner asks about, one at a time; fewer if it runs out.

    ``progress`` is called with (answers so far, answers).
    """
    found: list[Answer] = []
    while len(found) < count and (questions := learner.ask(1)):
        found += annotator.answer(questions[0])
        learner.update(found[-1:], ())
        progress(len(found), count)
    return found


def simulate(
    features: NDArray[np.floating],
    labels: NDArray[np.integer],
    *,
    answers: int = 500,
    error_rate: float = 0.0,
    questions: str = "pairs",
    candidates: int = 8,
    strategy: str | Strategy = "gain",
    space: MakeSpace = build_space,
    seed: int = 0,
    budgets: Sequence[int] = (),
    open_questions: int = 1,
    seconds_per_pair: float | None = None,
    seconds_per_screen: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    retraining: Retraining | None = None,
    ids: Sequence[SampleId] = (),
    difficulty: NDArray[np.floating] | None = None,
) -> SimulationResult:
    """Ask, answer and learn until ``answers`` pairs are answered, and score at every budget.

    Args:
        features: (N, D).
        labels: (N,), whole numbers; the learner never sees them, nor how many different ones there are.
        answers: pairs to be answered in all.
        error_rate: chance that an answer is wrong, in [0, 0.5).
        questions: "pairs", "screens", or "mixed": at each step the kind whose next questions gain more per second.
        candidates: candidates of a screen.
        strategy: a strategy's name, or a function like them.
        space: makes the space from sample ids, features and difficulty.
        seed: for the annotator and the strategy.
        budgets: numbers of answers at which to score, besides ``answers`` itself. A screen may overshoot one: the
            point tells the true number.
        open_questions: questions open at once of a kind; the annotator takes the most informative, as Label Studio
            serves them.
        seconds_per_pair: a person's time, for :attr:`Point.seconds`; assumed
            (:func:`~pal_backend.core.effort.typical_seconds`) where not given.
        seconds_per_screen: the same for a full screen.
        progress: called with (answers so far, answers).
        retraining: trains new features as answers come, on the images whose features these are.
        ids: of the samples; made up where not given.
        difficulty: (N,), losses of a pretext task, for strategies that order samples by them.

    Raises:
        InputError: arguments out of range or not fitting together.
    """
    _check(features, labels, answers, error_rate)
    desks = Desks.of(questions, candidates, open_questions, seconds_per_pair, seconds_per_screen)
    ids = ids or [hashlib.sha256(str(row).encode()).hexdigest()[:16] for row in range(len(features))]
    started = time.perf_counter()
    learner = Learner(space(ids, features, difficulty=difficulty), strategy=strategy, seed=seed)
    annotator = Annotator(labels, learner.space.index, error_rate, np.random.default_rng((seed, 1)))
    run = _Run(learner, np.asarray(labels), sorted({b for b in budgets if 0 < b < answers} | {answers}), retraining)
    given: list[Answer] = []
    while run.answers < answers:
        begun = time.perf_counter()
        question = desks.take(learner)
        if question is None:
            break
        given += (said := annotator.answer(question))
        learner.update(said, ())
        learner.posterior()
        run.busy += time.perf_counter() - begun
        if retraining is not None and (moved := retraining.step(learner.space, given)) is not None:
            learner.move_to(moved)
        run.count(question, desks.seconds(question))
        if progress is not None:
            progress(run.answers, answers)
    run.finish()
    return SimulationResult(
        curve=tuple(run.curve),
        reach=run.reach,
        reach_seconds=run.reach_seconds,
        ms_per_question=1000.0 * run.busy / max(run.screens, 1),
        seconds=time.perf_counter() - started,
        trainings=None if retraining is None else tuple(retraining.tried),
    )


def _check(features: NDArray[np.floating], labels: NDArray[np.integer], answers: int, error_rate: float) -> None:
    if features.ndim != 2 or labels.shape != (len(features),) or len(features) < 2:
        raise InputError(
            f"features of shape {features.shape} and labels of shape {labels.shape} do not fit; expected (N, D) and (N,)"
        )
    if not np.isfinite(features).all():
        raise InputError("features hold NaN or infinity; expected finite numbers")
    if not 0.0 <= error_rate < 0.5:
        raise InputError(f"error rate {error_rate} is out of range; expected 0 or more and less than 0.5")
    if answers < 1:
        raise InputError(f"answers must be at least 1, found {answers}")


class _Run:
    """What is counted and scored while the loop runs."""

    def __init__(
        self,
        learner: Learner,
        labels: NDArray[np.integer],
        budgets: list[int],
        retraining: Retraining | None,
    ) -> None:
        self._learner, self._labels, self._budgets, self._retraining = learner, labels, budgets, retraining
        self._seen = np.zeros(len(labels), bool)
        self.answers = self.screens = 0
        self.busy = self.seconds = 0.0
        self.curve: list[Point] = []
        self.reach: dict[str, int | None] = {str(value): None for value in REACH}
        self.reach_seconds: dict[str, float | None] = {str(value): None for value in REACH}

    def count(self, question: Question, seconds: float) -> None:
        """Note a question that took a person so many seconds, and score where a budget is met or it is time for a look."""
        before = self.answers
        self.answers += len(question.candidates)
        self.screens += 1
        self.seconds += seconds
        index = self._learner.space.index
        self._seen[[index[sample] for sample in question.samples]] = True
        due = [budget for budget in self._budgets if before < budget <= self.answers]
        if due or before // REACH_STEP != self.answers // REACH_STEP:
            point = self._point()
            if due:
                self.curve.append(self._judged(point))
            for value in REACH:
                if self.reach[str(value)] is None and point.ari >= value:
                    self.reach[str(value)], self.reach_seconds[str(value)] = point.answers, point.seconds

    def finish(self) -> None:
        """Score once more where nothing was left to ask before the budget was spent."""
        if not self.curve or self.curve[-1].answers != self.answers:
            self.curve.append(self._judged(self._point()))

    def _point(self) -> Point:
        posterior = self._learner.posterior()
        groups, _ = posterior.assignment()
        return Point(
            answers=self.answers,
            screens=self.screens,
            ari=evaluation.ari(self._labels, groups),
            ari_unseen=evaluation.ari_unseen(self._labels, groups, self._seen),
            nmi=evaluation.nmi(self._labels, groups),
            accuracy=evaluation.majority_accuracy(self._labels, groups),
            groups=len(np.unique(groups)),
            seconds=self.seconds,
        )

    def _judged(self, point: Point) -> Point:
        """The point with what the system itself says of its accuracy, which takes too long to ask at every look."""
        if self._retraining is not None:
            probe = self._retraining.probe(self._learner.space, self._labels)
            point = replace(point, probe=probe, version=self._retraining.version)
        quality = self._learner.quality()
        found = quality.accuracy
        if found is None:
            return point
        return replace(
            point,
            estimated=found.estimate,
            low=found.low,
            high=found.high,
            checks=found.checks,
            next_hundred=quality.next_hundred,
        )
