"""The answered part of the similarity graph, as a value: what the answers, and nothing else, say.

Every pair with answers is an edge whose weight is the sum of its answers' log-odds ("same" counts up, "different"
down, "unsure" not at all). Samples are joined by greedy additive edge contraction: the two components with the most
evidence for "same" between them come first, and evidence between components adds up. *Trusted* means:

* a single "same" joins two samples, or a sample and a component, unless its annotator errs more than one time in four
  (then two have to agree);
* a single "same" also joins two components of several samples as long as no answer contradicts another; once errors
  have been seen, that takes two answers, and more for larger ones, and comes last, when all that is said of either is
  known: one wrong "same", or one misplaced sample, never merges two groups;
* one "same" against one "different" joins nothing: the union is suspended and the "different" goes on holding;
* a sample that all answers about it put elsewhere than the first ones did is moved there, several at once where only that gains;
* more evidence, or a withdrawal, changes the outcome, because the graph is always worked out from the whole set;
* what a lead decided of a pair (:attr:`Origin.DECISION`) is all that counts of that pair, the last decision if there are
  several, and it weighs more than any number of answers on others. Error rates are those of the answers without it.

Ties are broken by the order in which people gave the answers, so the graph is a function of the set.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.annotators import error_rates, log_odds
from pal_backend.core.contraction import Turn, ascending, contract
from pal_backend.core.edges import NOTHING, Edge, add, weigh
from pal_backend.core.vocabulary import AnnotationKey, Answer, Origin, Pair, Purpose, SampleId, Verdict, in_time

TRUSTED = log_odds(0.25)
"""Least log-odds of a trusted union: one answer of a person who errs at most one time in four."""
TWO_ANSWERS = 1.5
"""Between one and two: evidence of so many ordinary answers cannot come from a single one."""

Root = SampleId
Roots = tuple[Root, Root]


@dataclass(frozen=True)
class Contradiction:
    """Answers that cannot all be right: the weakest pairs involved, whose answers they are, and words for a person."""

    pairs: tuple[Pair, ...]
    annotations: tuple[AnnotationKey, ...]
    sentence: str


@dataclass(frozen=True, eq=False)
class SimilarityGraph:
    """Components and cannot-links that a set of answers implies. Build it with :meth:`of`.

    Args:
        edges: every pair with at least one answer, in the order of their ranks.
        component: sample to the root of its component (its sample answered on first), for every sample in an answer
            that is not "unsure".
        between: two roots in ascending order to the summed evidence between their components.
        against: the same of the pairs alone whose evidence is for "different".
        cannot: the pairs of roots, ascending, that trusted answers keep apart.
        rates: annotator to error rate.
        established: least evidence that joins two components of several samples; 0 until errors are seen. To it comes what
            errors about the samples of the smaller one would bring.
        since: when each sample was first joined to another, see :class:`~pal_backend.core.contraction.Contraction`.
        spare: root to the evidence by which its tightest union passed, see there.
        halves: the roots of components that answers set against each other though they would be joined, see there.
        moved: samples that were moved or that this cut off, see there.
        dealt: roots of components that exchanged samples, see there.
        parted: the roots of components that a lead declared to be groups of their own.
        people: the graph without leads' decisions, None where there are none.
    """

    edges: Mapping[Pair, Edge]
    component: Mapping[SampleId, Root]
    between: Mapping[Roots, float]
    against: Mapping[Roots, float]
    cannot: frozenset[Roots]
    rates: Mapping[str, float]
    established: float
    since: Mapping[SampleId, Turn]
    spare: Mapping[Root, float]
    halves: frozenset[Root] = frozenset()
    moved: frozenset[SampleId] = frozenset()
    dealt: frozenset[Root] = frozenset()
    parted: frozenset[Root] = frozenset()
    people: SimilarityGraph | None = None

    @classmethod
    def of(cls, answers: Iterable[Answer]) -> SimilarityGraph:
        """The graph of a set of answers, in whatever order they come.

        Twice round: error rates start at the prior; what the first graph overrules makes the rates of the second. With
        decisions once more: they change no rate.
        """
        ordered = in_time(answers)
        said = [answer for answer in ordered if answer.origin is not Origin.DECISION]
        graph = cls._of_people(said)
        if len(said) == len(ordered):
            return graph
        return replace(cls.under(ordered, graph.rates, graph.established), people=graph)

    @classmethod
    def _of_people(cls, ordered: Sequence[Answer]) -> SimilarityGraph:
        totals: dict[str, int] = defaultdict(int)
        for answer in ordered:
            totals[answer.annotator] += answer.verdict is not Verdict.UNSURE
        graph = cls.under(ordered, error_rates({name: (0, n) for name, n in totals.items()}), 0.0)
        wrong: dict[str, int] = defaultdict(int)
        for answer in ordered:
            wrong[answer.annotator] += graph.overrules(answer)
        if not any(wrong.values()):
            return graph
        rates = error_rates({name: (wrong[name], n) for name, n in totals.items()})
        return cls.under(ordered, rates, TWO_ANSWERS * log_odds(sum(rates.values()) / len(rates)))

    @classmethod
    def under(cls, ordered: Iterable[Answer], rates: Mapping[str, float], established: float) -> SimilarityGraph:
        """The graph of answers, as people gave them one after another, under given error rates."""
        edges: dict[Pair, Edge] = {}
        odds = {name: log_odds(rate) for name, rate in rates.items()}
        for rank, answer in enumerate(ordered):
            add(edges, answer, weigh(answer, odds.get(answer.annotator, 0.0)), rank)
        return cls.anew(edges, rates, established)

    @classmethod
    def anew(cls, edges: Mapping[Pair, Edge], rates: Mapping[str, float], established: float) -> SimilarityGraph:
        """The graph of edges, all components worked out."""
        # where nobody is sure there is no evidence, and so no place in the graph
        said = {pair: (edge.weight, edge.rank) for pair, edge in edges.items() if edge.weight or edge.mixed}
        found = contract(said, TRUSTED, established, strayed(rates, established))
        component, between = found.component, found.between
        against: dict[Roots, float] = defaultdict(float)
        for (first, second), (weight, _) in said.items():
            if weight < 0.0:
                against[ascending(component[first], component[second])] += weight
        cannot = frozenset(key for key in against if kept_apart(key, between, against))
        split = (pair for pair, edge in edges.items() if edge.decided is Purpose.SPLIT and edge.weight < 0.0)
        roots = (ascending(component[first], component[second]) for first, second in split)
        parted = frozenset(root for key in roots if key in cannot for root in key)
        return cls(
            edges,
            component,
            between,
            dict(against),
            cannot,
            rates,
            established,
            found.since,
            found.spare,
            halves=found.halves,
            moved=found.moved,
            dealt=found.dealt,
            parted=parted,
        )

    def weigh(self, answer: Answer) -> float | None:
        """Log-odds of "same" that the answer carries, 0 where the pair is decided; None if its annotator is new, or it is a
        decision: then everything has to be worked out anew.
        """
        edge, rate = self.edges.get(answer.pair), self.rates.get(answer.annotator)
        if answer.origin is Origin.DECISION or rate is None:
            return None
        return 0.0 if edge is not None and edge.decided else weigh(answer, log_odds(rate))

    def joined(self, a: SampleId, b: SampleId) -> bool:
        """Whether trusted "same" answers join the two."""
        root = self.component.get(a)
        return root is not None and root == self.component.get(b)

    def apart(self, a: SampleId, b: SampleId) -> bool:
        """Whether trusted "different" answers keep the two, or their components, apart."""
        first, second = self.component.get(a), self.component.get(b)
        return first is not None and second is not None and ascending(first, second) in self.cannot

    def settled(self, a: SampleId, b: SampleId) -> bool:
        """Whether trusted answers tell what the two are to each other."""
        return self.joined(a, b) or self.apart(a, b)

    def overrules(self, answer: Answer) -> bool:
        """Whether the rest of the answers say the opposite of this one."""
        if answer.verdict is Verdict.SAME:
            return not self.joined(*answer.pair)
        return answer.verdict is Verdict.DIFFERENT and self.joined(*answer.pair)

    def ends(self, at: Mapping[SampleId, int]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """The edges between the samples of ``at`` as arrays (E,): both ends by their numbers there, and the log-odds."""
        found = [
            (at[pair.first], at[pair.second], edge.weight)
            for pair, edge in self.edges.items()
            if pair.first in at and pair.second in at
        ]
        first, second, weight = zip(*found, strict=True) if found else ((), (), ())
        return np.asarray(first, np.int64), np.asarray(second, np.int64), np.asarray(weight, np.float64)

    @cached_property
    def last_rank(self) -> int:
        """The highest rank of an edge, -1 if there is none."""
        return max((edge.rank for edge in self.edges.values()), default=-1)

    @cached_property
    def sizes(self) -> Mapping[Root, int]:
        """Root to the number of samples of its component, in the order of :attr:`members`."""
        return Counter(self.component.values())

    @cached_property
    def members(self) -> Mapping[Root, tuple[SampleId, ...]]:
        """Root to the samples of its component; roots, and the samples of each, in the order they were answered on."""
        found: dict[Root, list[SampleId]] = defaultdict(list)
        for sample, root in self.component.items():
            found[root].append(sample)
        return {root: tuple(samples) for root, samples in found.items()}


def strayed(rates: Mapping[str, float], established: float) -> float:
    """Evidence that errors about one sample bring on average, 0 until errors are seen: a share of a group's samples as large
    as the error rate may be said, wrongly, to be of another one, so that of two large groups two answers tell nothing.
    """
    if not established:
        return 0.0
    rate = sum(rates.values()) / max(len(rates), 1)
    return rate * log_odds(rate)


def kept_apart(key: Roots, between: Mapping[Roots, float], against: Mapping[Roots, float]) -> bool:
    """Whether two components are known to differ, by what is said between them and against their union."""
    trusted = against.get(key, 0.0) <= -TRUSTED and between.get(key, 0.0) <= NOTHING
    return trusted and key[0] != key[1]
