"""The answered part of the similarity graph, as a value: what the answers, and nothing else, say.

Every pair with answers is an edge whose weight is the sum of its answers' log-odds ("same" counts up, "different"
down, "unsure" not at all). Samples are joined by greedy additive edge contraction: the two components with the most
evidence for "same" between them come first, and evidence between components adds up. *Trusted* means:

* a single "same" joins two samples, or a sample and a component, unless its annotator errs more than one time in four
  (then two have to agree);
* a single "same" also joins two components of several samples as long as no answer contradicts another; once errors
  have been seen, that takes two answers, so that one wrong "same" never merges two groups;
* one "same" against one "different" joins nothing: the union is suspended and the "different" goes on holding;
* more evidence, or a withdrawal, changes the outcome, because the graph is always worked out from the whole set.

Ties are broken by the order in which people gave the answers, so the graph is a function of the set.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.annotators import error_rates, log_odds
from pal_backend.core.contraction import ascending, contract
from pal_backend.core.vocabulary import AnnotationKey, Answer, Origin, Pair, SampleId, Verdict, in_time

TRUSTED = log_odds(0.25)
"""Least log-odds of a trusted union: one answer of a person who errs at most one time in four."""
TWO_ANSWERS = 1.5
"""Between one and two: evidence of so many ordinary answers cannot come from a single one."""
ACCEPTED_GUESS = 0.7
"""An answer that only accepts a guess shown beforehand weighs this much of one given freely."""
_TIE = 1e-9

Root = SampleId
_SIGN = {Verdict.SAME: 1.0, Verdict.DIFFERENT: -1.0, Verdict.UNSURE: 0.0}


class Edge(NamedTuple):
    """All answers on one pair.

    ``weight`` is the log-odds of "same"; ``rank`` the place in time of its first answer that is not "unsure" (of its
    first one, while all are); ``mixed`` tells that people said both "same" and "different".
    """

    weight: float
    rank: int
    annotations: tuple[AnnotationKey, ...]
    mixed: bool = False


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
        cannot: the pairs of roots, ascending, that trusted answers keep apart.
        rates: annotator to error rate.
        disputed: roots of the components that an answer is about which the others overrule.
    """

    edges: Mapping[Pair, Edge]
    component: Mapping[SampleId, Root]
    between: Mapping[tuple[Root, Root], float]
    cannot: frozenset[tuple[Root, Root]]
    rates: Mapping[str, float] = field(default_factory=dict)
    disputed: frozenset[Root] = frozenset()

    @classmethod
    def of(cls, answers: Iterable[Answer]) -> SimilarityGraph:
        """The graph of a set of answers, in whatever order they come.

        Twice round: error rates start at the prior; what the first graph overrules makes the rates of the second.
        """
        ordered = in_time(answers)
        totals: dict[str, int] = defaultdict(int)
        for answer in ordered:
            totals[answer.annotator] += answer.verdict is not Verdict.UNSURE
        graph = cls._resolve(_edges(ordered, error_rates({name: (0, n) for name, n in totals.items()})), {}, 0.0)
        wrong: dict[str, int] = defaultdict(int)
        for answer in ordered:
            wrong[answer.annotator] += graph.overrules(answer)
        rates = error_rates({name: (wrong[name], n) for name, n in totals.items()})
        if not any(wrong.values()):
            return replace(graph, rates=rates)
        established = TWO_ANSWERS * log_odds(sum(rates.values()) / len(rates))
        return cls._resolve(_edges(ordered, rates), rates, established)

    @classmethod
    def _resolve(cls, edges: Mapping[Pair, Edge], rates: Mapping[str, float], established: float) -> SimilarityGraph:
        # where nobody is sure there is no evidence, and so no place in the graph
        said = {pair: (edge.weight, edge.rank) for pair, edge in edges.items() if edge.weight or edge.mixed}
        component, between = contract(said, TRUSTED, established)
        apart: dict[tuple[Root, Root], float] = defaultdict(float)
        for pair, (weight, _) in said.items():
            if weight < 0.0:
                apart[ascending(component[pair.first], component[pair.second])] += weight
        cannot = frozenset(
            roots
            for roots, weight in apart.items()
            if roots[0] != roots[1] and weight <= -TRUSTED and between.get(roots, 0.0) <= _TIE
        )
        disputed = {
            component[sample]
            for pair, (weight, _) in said.items()
            if edges[pair].mixed or (weight > 0.0) != (component[pair.first] == component[pair.second])
            for sample in pair
        }
        return cls(edges, component, between, cannot, rates, frozenset(disputed))

    def weigh(self, answer: Answer) -> float | None:
        """Log-odds of "same" that the answer carries, or None if its annotator is new."""
        rate = self.rates.get(answer.annotator)
        if rate is None:
            return None
        return _SIGN[answer.verdict] * log_odds(rate) * (ACCEPTED_GUESS if answer.origin is Origin.PREDICTION else 1.0)

    def extended(self, answer: Answer) -> SimilarityGraph | None:
        """The graph with one more answer at the end, or None where only working everything out anew can tell.

        Rates stay as they are. Told at once is what fits what is known: "unsure", "same" inside a component, "different"
        between two, and a "same" by which a sample that stands alone joins a component; what speaks for "same" only where
        no answer is disputed, since more evidence may turn a dispute.

        Args:
            answer: given later than all others.
        """
        weight = self.weigh(answer)
        if weight is None:
            return None
        edges = dict(self.edges)
        _add(edges, answer, weight, self.last_rank + 1)
        if weight == 0.0:
            return replace(self, edges=edges)
        component = dict(self.component)
        a, b = (component.setdefault(sample, sample) for sample in answer.pair)
        key = ascending(a, b)
        if key in self.between and key not in self.cannot:
            return None
        if a == b:
            # once errors have been seen, which "same" comes first tells which components have several samples
            return replace(self, edges=edges) if weight > 0.0 and not self.disputed else None
        if weight > 0.0:
            return self._joining(a, b, weight, edges, component) if self.disputed.isdisjoint(key) else None
        # more against a union that does not hold even without it
        total = self.between.get(key, 0.0) + weight
        cannot = self.cannot | {key} if total <= -TRUSTED else self.cannot
        return replace(self, edges=edges, component=component, between={**self.between, key: total}, cannot=cannot)

    def _joining(
        self, a: Root, b: Root, weight: float, edges: dict[Pair, Edge], component: dict[SampleId, Root]
    ) -> SimilarityGraph | None:
        """The same after a "same" that joins a sample standing alone to a component."""
        order = {root: n for n, root in enumerate(self.members)}
        first, alone = sorted((a, b), key=lambda root: order.get(root, len(order) + (root == max(a, b))))
        near = [key for key in self.between if alone in key]
        key = ascending(a, b)
        lonely = len(self.members.get(alone, (alone,))) == 1
        if weight < TRUSTED or not lonely or key in self.between or any(other not in self.cannot for other in near):
            return None
        component[alone] = first
        between, cannot = dict(self.between), set(self.cannot)
        for old in near:
            other = old[0] if old[1] == alone else old[1]
            new = ascending(first, other)
            if new in between and new not in cannot:
                return None
            between[new] = between.get(new, 0.0) + between.pop(old)
            cannot.discard(old)
            cannot.add(new)
        return replace(self, edges=edges, component=component, between=between, cannot=frozenset(cannot))

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
    def members(self) -> Mapping[Root, tuple[SampleId, ...]]:
        """Root to the samples of its component; roots, and the samples of each, in the order they were answered on."""
        found: dict[Root, list[SampleId]] = defaultdict(list)
        for sample, root in self.component.items():
            found[root].append(sample)
        return {root: tuple(samples) for root, samples in found.items()}


def _edges(ordered: list[Answer], rates: Mapping[str, float]) -> dict[Pair, Edge]:
    weigh = {
        (name, verdict, origin): sign * log_odds(rate) * (ACCEPTED_GUESS if origin is Origin.PREDICTION else 1.0)
        for name, rate in rates.items()
        for verdict, sign in _SIGN.items()
        for origin in Origin
    }
    found: dict[Pair, Edge] = {}
    for rank, answer in enumerate(ordered):
        _add(found, answer, weigh[answer.annotator, answer.verdict, answer.origin], rank)
    return found


def _add(edges: dict[Pair, Edge], answer: Answer, weight: float, rank: int) -> None:
    """Add a later answer to its pair's edge; a pair that people were only unsure about takes its place anew."""
    old = edges.get(answer.pair)
    if old is None or not (old.weight or old.mixed or weight == 0.0):
        held = edges.pop(answer.pair).annotations if old else ()
        edges[answer.pair] = Edge(weight, rank, (*held, answer.annotation))
    else:
        mixed = old.mixed or old.weight * weight < 0.0
        edges[answer.pair] = Edge(old.weight + weight, old.rank, (*old.annotations, answer.annotation), mixed)
