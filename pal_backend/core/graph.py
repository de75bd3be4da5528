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
from pal_backend.core.contraction import PLAIN, Edges, Needed, Turn, ascending, contract, part
from pal_backend.core.edges import NOTHING, Edge, add, weigh
from pal_backend.core.exchange import exchanged
from pal_backend.core.strays import reunited
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
        return cls._resolve(edges, rates, established)

    @classmethod
    def _resolve(cls, edges: Mapping[Pair, Edge], rates: Mapping[str, float], established: float) -> SimilarityGraph:
        # where nobody is sure there is no evidence, and so no place in the graph
        said = {pair: (edge.weight, edge.rank) for pair, edge in edges.items() if edge.weight or edge.mixed}
        found = contract(said, TRUSTED, established, _strayed(rates, established))
        component, between = found.component, found.between
        against: dict[Roots, float] = defaultdict(float)
        for (first, second), (weight, _) in said.items():
            if weight < 0.0:
                against[ascending(component[first], component[second])] += weight
        cannot = frozenset(key for key in against if _kept_apart(key, between, against))
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

    def extended(self, answer: Answer) -> SimilarityGraph | None:
        """The graph with one more answer at the end, under the same error rates; None where those are no longer fit: its
        annotator is new, or it may be the first that cannot be right if all others are; and None for a decision.

        What fits what is known is told at once: "unsure", "different" between two components, and a "same" by which a
        sample that stands alone joins a component. Else components are made anew.

        Args:
            answer: given later than all others.
        """
        people = None if self.people is None else self.people.extended(answer)
        if self.people is not None and people is None:
            return None
        found = self._extended(answer)
        return None if found is None else replace(found, people=people)

    def _extended(self, answer: Answer) -> SimilarityGraph | None:
        weight = self.weigh(answer)
        if weight is None:
            return None
        edges = dict(self.edges)
        add(edges, answer, weight, self.last_rank + 1)
        if weight == 0.0:
            return replace(self, edges=edges)
        a, b = (self.component.get(sample, sample) for sample in answer.pair)
        # what would be joined but for answers against each other is looked at as a whole
        halves = self.halves.intersection((a, b))
        moved = self.moved.intersection(answer.pair) or self.dealt.intersection((a, b))
        if a != b and weight < 0.0 and len(halves) < 2 and not moved:
            # more against a union that does not come about even without it
            parting = self._parting(answer.pair, ascending(a, b), edges)
            if not parting._reunites(ascending(a, b)) and not parting._deals([ascending(a, b)]):
                return parting
        if not self.established:
            if weight < 0.0 or ascending(a, b) in self.between:
                return None
            if a == b:
                return replace(self, edges=edges)
        joined = None if halves or moved else self._joining(answer.pair, weight, edges)
        return joined or self._resolve(edges, self.rates, self.established)

    def _reunites(self, key: Roots) -> bool:
        """Whether two components, as they are here, are one but for some samples; only if they would be if nothing spoke
        against it.
        """
        if not self.between.get(key, 0.0) - self.against.get(key, 0.0) >= self.established > 0.0:
            return False
        edges, inside = self._among(key)
        needed = Needed(TRUSTED, self.established, _strayed(self.rates, self.established))
        return reunited(edges, inside, needed.left) is not None

    def _deals(self, keys: Iterable[Roots]) -> bool:
        """Whether two components of one of the pairs of roots exchange samples, as they are here."""
        if not self.established:
            return False
        against = self.against.get
        for key in keys:
            together = self.between.get(key, 0.0) - against(key, 0.0)
            most = together - sum(against((root, root), 0.0) for root in key)
            if together > NOTHING and most >= self.established - NOTHING:
                edges, inside = self._among(key)
                if self.halves.intersection(key) or exchanged(edges, inside, self.established) is not None:
                    return True
        return False

    def _among(self, roots: Roots) -> tuple[Edges, dict[SampleId, Root]]:
        """Edges among the samples of two components, and the component of each."""
        inside = {sample: root for sample, root in self.component.items() if root in roots}
        edges = {
            pair: (edge.weight, edge.rank)
            for pair, edge in self.edges.items()
            if pair.first in inside and pair.second in inside
        }
        return edges, inside

    def _parting(self, pair: Pair, key: Roots, edges: Mapping[Pair, Edge]) -> SimilarityGraph:
        """The same after a "different" between two components."""
        before = self.edges[pair].weight if pair in self.edges else 0.0
        now = edges[pair].weight
        between, against = dict(self.between), dict(self.against)
        between[key] = between.get(key, 0.0) + now - before
        if now < 0.0:
            against[key] = against.get(key, 0.0) + now - min(before, 0.0)
        cannot = self.cannot | {key} if _kept_apart(key, between, against) else self.cannot
        component = {**self.component, **{sample: self.component.get(sample, sample) for sample in pair}}
        return replace(self, edges=edges, component=component, between=between, against=against, cannot=cannot)

    def _joining(self, pair: Pair, weight: float, edges: Mapping[Pair, Edge]) -> SimilarityGraph | None:
        """The same after the first "same" about a sample that stands alone; None where it could change more than that.

        Nothing changes but that the sample joins, if by the turn of the new union, the last of its weight, all that is
        to join is no sample alone any longer: components of several samples are joined by other rules.
        """
        order = {root: n for n, root in enumerate(self.sizes)}
        there, alone = sorted(pair, key=lambda sample: order.get(self.component.get(sample, sample), len(order)))
        root, turn = self.component.get(there, there), (PLAIN, -weight, edges[pair].rank)
        if weight < TRUSTED or alone in self.since or self.since.get(there, turn) > turn:
            return None
        if any(Pair.of(alone, sample) in edges for sample in self.moved - {alone}):
            return None  # before it was moved it may have been where the sample is to join
        spare = dict(self.spare)
        if root in spare:
            # one more sample may ask for more evidence of the unions that made the component
            spare[root] -= _strayed(self.rates, self.established)
            if spare[root] < 0.0:
                return None
        near = [key for key in self.between if alone in key]
        if any(root in key or self.between[key] > self.against.get(key, 0.0) + NOTHING for key in near):
            return None
        component = {**self.component, there: root, alone: root}
        # where something is said against a component from within, one more sample may tell its sides apart
        if (root, root) in self.against and part(_inside(edges, component, root), component, self.established):
            return None
        between, against, cannot = dict(self.between), dict(self.against), set(self.cannot)
        for old in near:
            new = ascending(root, old[0] if old[1] == alone else old[1])
            for sums in (between, against):
                sums[new] = sums.get(new, 0.0) + sums.pop(old, 0.0)
            cannot.discard(old)
            if _kept_apart(new, between, against):
                cannot.add(new)
        joined = replace(
            self,
            edges=edges,
            component=component,
            between=between,
            against=against,
            cannot=frozenset(cannot),
            since={there: turn, **self.since, alone: turn},
            spare=spare,
        )
        keys = [key for key in between if root in key]
        return None if any(map(joined._reunites, keys)) or joined._deals(keys) else joined

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


def _inside(edges: Mapping[Pair, Edge], component: Mapping[SampleId, Root], root: Root) -> Edges:
    """Weights and ranks of the edges within one component."""
    own = component.get
    return {
        pair: (edge.weight, edge.rank)
        for pair, edge in edges.items()
        if own(pair.first) == root and own(pair.second) == root
    }


def _strayed(rates: Mapping[str, float], established: float) -> float:
    """Evidence that errors about one sample bring on average, 0 until errors are seen: a share of a group's samples as large
    as the error rate may be said, wrongly, to be of another one, so that of two large groups two answers tell nothing.
    """
    if not established:
        return 0.0
    rate = sum(rates.values()) / max(len(rates), 1)
    return rate * log_odds(rate)


def _kept_apart(key: Roots, between: Mapping[Roots, float], against: Mapping[Roots, float]) -> bool:
    trusted = against.get(key, 0.0) <= -TRUSTED and between.get(key, 0.0) <= NOTHING
    return trusted and key[0] != key[1]
