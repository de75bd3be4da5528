"""The learner: answers in, beliefs and questions out. The same object behind Label Studio and in ``pal simulate``."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from pal_backend.core.asking.checked import Strategy
from pal_backend.core.asking.questions import make_pairs, make_screens, worth
from pal_backend.core.asking.seams import Seam, seams, unsettled
from pal_backend.core.asking.state import Spared, State
from pal_backend.core.asking.strategies import strategy as named_strategy
from pal_backend.core.asking.verification import mix_in
from pal_backend.core.beliefs import Beliefs, believe, heard
from pal_backend.core.calibration import fit_calibration
from pal_backend.core.contradictions import contradictions
from pal_backend.core.extending import extended
from pal_backend.core.following import ended, follow, founded_by
from pal_backend.core.graph import Contradiction, SimilarityGraph
from pal_backend.core.inference import Answered
from pal_backend.core.neighbours import Space
from pal_backend.core.particulars import particulars
from pal_backend.core.posterior import Posterior
from pal_backend.core.quality import Quality
from pal_backend.core.stopping import quality_of
from pal_backend.core.vocabulary import AnnotationKey, Answer, Origin, Pair, Question, QuestionKind, in_time, moment

PATIENCE = 10
"""A group that an answer founded is taken up when a tenth of all answers came since everything was last worked out."""
STALE = 12
"""The second opinion is asked anew when a twelfth of all answers came since it was last."""


class Learner:
    """Folds a set of answers into groups, beliefs and questions.

    Its state is a function of the set of answers, the space, the strategy and the seed: neither the order in which
    answers came nor the questions asked before leave a trace. Where they come in the order in which people gave them, in
    whatever portions, beliefs agree bit for bit; else to 1e-3, the tolerance of the solver as sharpening enlarges it.

    Args:
        space: samples and neighbour graph.
        strategy: the name of a strategy in :mod:`pal_backend.core.asking.strategies`, or a function like them.
        seed: for whatever the strategy draws.

    Raises:
        InputError: no strategy has that name.
    """

    def __init__(self, space: Space, *, strategy: str | Strategy = "gain", seed: int = 0) -> None:
        self._strategy = named_strategy(strategy)
        self._seed = seed
        self._answers: dict[AnnotationKey, tuple[Answer, ...]] = {}
        self._ordered: list[Answer] = []
        self._graph = SimilarityGraph.of(())
        self._folded: list[Answer] = []
        self._fitted, self._listened, self._founded = 0, 0, False
        self._calibration = (1.0, 0.0)
        self._beliefs: Beliefs | None = None
        self._seams: Sequence[Seam] | None = None
        self._current: State | None = None
        self._spared = Spared()
        self.move_to(space)

    @property
    def space(self) -> Space:
        """The samples and neighbour graph it works in."""
        return self._space

    @property
    def answers(self) -> int:
        """Number of answers held, "unsure" ones included."""
        return len(self._ordered)

    @property
    def graph(self) -> SimilarityGraph:
        """What the answers, and nothing else, say."""
        return self._graph

    @property
    def beliefs(self) -> Beliefs:
        """Groups, and beliefs with "none of them" as the last column."""
        if self._beliefs is None:
            self._beliefs = believe(self._space, self._graph, self._known)
            if self._seams is None:
                self._seams = seams(self._space, self._graph, self._beliefs, self._known)
            self._calibrate(self._beliefs)
        return self._beliefs

    @property
    def seams(self) -> Sequence[Seam]:
        """Where groups may have been joined wrongly, the largest stake first."""
        _ = self.beliefs  # made with them
        return self._seams or ()

    def set_answers(self, answers: Iterable[Answer]) -> None:
        """Take ``answers`` as the whole set. Of one annotation's answers the newest ``updated_at`` counts."""
        self._answers = _newest(answers)
        self._ordered = in_time(answer for some in self._answers.values() for answer in some)
        self._fold()

    def update(self, put: Iterable[Answer], withdrawn: Iterable[AnnotationKey]) -> None:
        """Withdraw annotations, then put answers; an annotation put again replaces all its earlier answers.

        What is older than the answers already held of an annotation is ignored.
        """
        for key in withdrawn:
            self._replace(key, ())
        for key, some in _newest(put).items():
            held = self._answers.get(key)
            if held is None or some[0].updated_at >= held[0].updated_at:
                self._replace(key, some)
        self._fold()

    def move_to(self, space: Space) -> None:
        """Go on in another space (a new model version); answers, and the groups they found, are kept."""
        self._space = space
        _ = space.smoother  # made now, so that no answer waits for it
        self._known = Answered(space.walk)
        self._beliefs = self._current = self._seams = None
        self._folded = []
        self._fold()

    def spare(self, spared: Spared) -> bool:
        """Let people be spared these samples from now on, and no others; returns whether that changes anything."""
        changed = spared != self._spared
        if changed:
            self._spared, self._current = spared, None
        return changed

    def ask_by(self, strategy: str | Strategy) -> None:
        """Choose the next questions by another strategy; what is known and what is open stays.

        Raises:
            InputError: no strategy has that name.
        """
        self._strategy = named_strategy(strategy)

    def posterior(self) -> Posterior:
        """Beliefs as workers publish them."""
        beliefs, graph, space = self.beliefs, self._graph, self._space
        number = {root: n for n, root in enumerate(graph.sizes)}
        components = np.full(len(space.sample_ids), -1, np.int32)
        component, ids = graph.component, space.sample_ids
        components[beliefs.answered] = [number[component[ids[row]]] for row in beliefs.answered.tolist()]
        ends = map(number.__getitem__, chain.from_iterable(graph.cannot))
        cannot = np.fromiter(ends, np.int32, 2 * len(graph.cannot)).reshape(-1, 2)
        cannot.sort(axis=1)
        slope, intercept = self._calibration
        return Posterior(
            sample_ids=space.sample_ids,
            groups=beliefs.groups,
            probabilities=beliefs.probabilities[:, :-1].copy(),
            components=components,
            cannot=cannot[np.lexsort((cannot[:, 1], cannot[:, 0]))],
            one=beliefs.one.astype(np.float32),
            slope=slope,
            intercept=intercept,
            particulars=particulars(beliefs, self.seams),
        )

    def contradictions(self) -> list[Contradiction]:
        """Answers that cannot all be right, in words; empty if all agree."""
        return contradictions(self._graph)

    def ask(
        self,
        count: int,
        *,
        kind: QuestionKind = QuestionKind.PAIR,
        candidates: int = 8,
        open_questions: Sequence[Question] = (),
    ) -> list[Question]:
        """Up to ``count`` new questions, best first, good together with the open ones; no pair twice while open.

        Args:
            count: at most so many; fewer only when nothing is left to ask.
            kind: one pair, or an anchor with several candidates.
            candidates: candidates of a screen.
            open_questions: posted and not yet answered.
        """
        state = self._state(open_questions)
        if kind is not state.kind:
            state = replace(state, kind=kind)
        rng = np.random.default_rng((self._seed, self.answers, len(open_questions)))
        scored = self._strategy(state, rng)
        screens = kind is QuestionKind.SCREEN
        made = make_screens(state, scored, count, candidates) if screens else make_pairs(state, scored, count)
        draws = np.random.default_rng((self._seed, self.answers, len(open_questions), 1))
        return mix_in(
            state,
            scored,
            made,
            self._ordered,
            kind=kind,
            count=count,
            size=candidates,
            open_questions=open_questions,
            rng=draws,
        )

    def value(self, question: Question) -> tuple[float, tuple[float, ...], bool]:
        """Informativeness now (0..1), uncalibrated P(same) of each candidate now, and whether answers settle it already."""
        return worth(self._state(()), question)

    def quality(self) -> Quality:
        """How good the groups are by the checks so far, what more answers are worth, and what each stopping rule says."""
        return quality_of(self._space, self._graph, self.beliefs, self._ordered)

    def _replace(self, key: AnnotationKey, some: tuple[Answer, ...]) -> None:
        """Put these answers in the place of those held of an annotation."""
        for answer in self._answers.pop(key, ()):
            del self._ordered[bisect_left(self._ordered, moment(answer), key=moment)]
        for answer in some:
            insort(self._ordered, answer, key=moment)
        if some:
            self._answers[key] = some

    def _fold(self) -> None:
        """Bring graph and beliefs up to the answers held, in the order in which people gave them.

        Everything is worked out anew at fixed numbers of answers. In between each answer changes its surroundings only,
        under the error rates of that time, and now and then the second opinion is asked anew. So the outcome is a function
        of the ordered set; what comes late or is withdrawn starts again from the last such number. A lead's decision, which
        may change much at once, makes a full fit too.
        """
        ordered = self._ordered
        base = checkpoint(len(ordered))
        base = next((n for n in range(len(ordered), base, -1) if ordered[n - 1].origin is Origin.DECISION), base)
        held = len(self._folded)
        if held < base or ordered[:held] != self._folded:
            self._refit(ordered[:base])
            held = base
        for answer in ordered[held:]:
            self._step(answer)

    def _refit(self, answers: list[Answer], graph: SimilarityGraph | None = None) -> None:
        """Work out beliefs anew, once somebody asks, and the graph too, error rates included, unless it is given."""
        self._graph = graph or SimilarityGraph.of(answers)
        self._beliefs = self._current = self._seams = None
        self._folded, self._founded = answers, False
        self._fitted = self._listened = len(answers)

    def _step(self, answer: Answer) -> None:
        """One more answer; where it ends a group, or soon after it founds one, everything is worked out anew."""
        weight = self._graph.weigh(answer)
        if weight is None or not (before := self.beliefs).groups:
            return self._refit([*self._folded, answer])
        self._folded = [*self._folded, answer]
        graph = extended(self._graph, answer) or SimilarityGraph.of(self._folded)
        beliefs = follow(self._space, graph, before, answer, weight)
        if ended(before, (graph, beliefs)):
            return self._refit(self._folded, graph)
        standing = unsettled(self._space, self.seams, answer)
        self._founded |= founded_by(self._space, (self._graph, before), (graph, beliefs), answer)
        count = len(self._folded)
        if self._founded and count - self._fitted >= count // PATIENCE:
            self._refit(self._folded, graph)  # a new group has nothing yet to be cut: the seams of before stand
        else:
            if count - self._listened >= count // STALE:
                beliefs, self._listened = heard(self._space, graph, beliefs), count
                self._calibrate(beliefs)
            self._graph, self._beliefs, self._current = graph, beliefs, None
        self._seams = standing
        return None

    def _calibrate(self, beliefs: Beliefs) -> None:
        """Fit the calibration of P(same) on the answered samples."""
        both = beliefs.probabilities[beliefs.answered, :-1].astype(np.float64)
        self._calibration = fit_calibration(beliefs.own[:, :-1] @ beliefs.one, both @ beliefs.one)

    def _state(self, open_questions: Sequence[Question]) -> State:
        if self._current is None:
            self._current = State.of(self._space, self._graph, self.beliefs, self.seams, self._spared)
        return self._current.with_open(open_questions) if open_questions else self._current


def checkpoint(answers: int) -> int:
    """The last number of answers, up to this one, at which everything is worked out anew: each a quarter of itself apart."""
    at = 0
    while (following := at + max(1, at // 4)) <= answers:
        at = following
    return at


def _newest(answers: Iterable[Answer]) -> dict[AnnotationKey, tuple[Answer, ...]]:
    """Answers by annotation: only those with its newest ``updated_at``, one a pair, in the order of the pairs."""
    found: dict[AnnotationKey, dict[Pair, Answer]] = {}
    newest: dict[AnnotationKey, int] = {}
    for answer in answers:
        key = answer.annotation
        if answer.updated_at > newest.get(key, -1):
            newest[key], found[key] = answer.updated_at, {}
        if answer.updated_at == newest[key]:
            held = found[key].get(answer.pair)
            # two verdicts on one pair at one moment cannot both stand; which one does must not depend on their order
            if held is None or answer.verdict > held.verdict:
                found[key][answer.pair] = answer
    return {key: tuple(some[pair] for pair in sorted(some)) for key, some in found.items()}
