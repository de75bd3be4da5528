"""The answered part of the similarity graph, as a value: what the answers, and nothing else, say.

Every pair with answers is an edge whose weight is the sum of its answers' log-odds ("same" counts up, "different"
down, "unsure" not at all). Samples are joined by *greedy additive edge contraction* (Keuper et al. 2015, "Efficient
decomposition of image and mesh graphs by lifted multicuts", Alg. 1): the two components with the most evidence for
"same" between them are joined first, and evidence between components adds up. A union is *trusted*, and done, when the
evidence between the two components, all pairs taken together, is at least :data:`TRUSTED`. So

* with no errors seen a single "same" joins;
* one "same" against one "different" joins nothing: the union is suspended, the "different" goes on holding;
* more evidence, or a withdrawal, changes the outcome, because the graph is always worked out from the whole set.

Ties are broken by the canonical order of the answers, so the graph is a function of the set.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pal_backend.core.annotators import error_rates, log_odds
from pal_backend.core.vocabulary import Answer, AnnotationKey, Origin, Pair, SampleId, Verdict, canonical

TRUSTED = log_odds(0.25)
"""Least log-odds of a trusted union: one answer of a person who errs at most one time in four."""
ACCEPTED_GUESS = 0.7
"""An answer that only accepts a guess shown beforehand weighs this much of one given freely."""
_TIE = 1e-9

Root = SampleId


@dataclass(frozen=True, slots=True)
class Edge:
    """All answers on one pair.

    ``weight`` is the log-odds of "same"; ``rank`` the place of its first answer in canonical order; ``mixed`` tells
    that people said both "same" and "different".
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
        component: sample to the root of its component, for every sample in an answer that is not "unsure".
        between: (root, root) in ascending order to the summed evidence between the two components.
        cannot: the pairs of roots that trusted answers keep apart.
        rates: annotator to error rate.
    """

    edges: Mapping[Pair, Edge]
    component: Mapping[SampleId, Root]
    between: Mapping[tuple[Root, Root], float]
    cannot: frozenset[tuple[Root, Root]]
    rates: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, answers: Iterable[Answer]) -> SimilarityGraph:
        """The graph of a set of answers, in whatever order they come.

        Twice round: error rates start at the prior; what the first graph overrules makes the rates of the second.
        """
        ordered = canonical(answers)
        tally: dict[str, list[float]] = {}
        for answer in ordered:
            tally.setdefault(answer.annotator, [0.0, 0.0])[1] += answer.verdict is not Verdict.UNSURE
        rates = error_rates({name: (0.0, total) for name, (_, total) in tally.items()})
        graph = cls._resolve(ordered, rates)
        for answer in ordered:
            tally[answer.annotator][0] += graph.overrules(answer)
        revised = error_rates({name: (wrong, total) for name, (wrong, total) in tally.items()})
        return graph if revised == rates else cls._resolve(ordered, revised)

    @classmethod
    def _resolve(cls, ordered: list[Answer], rates: Mapping[str, float]) -> SimilarityGraph:
        edges = _edges(ordered, rates)
        component, between = _contract(edges)
        apart: dict[tuple[Root, Root], float] = defaultdict(float)
        for pair, edge in edges.items():
            if edge.weight < 0.0:
                apart[_key(component[pair.first], component[pair.second])] += edge.weight
        cannot = frozenset(
            key
            for key, weight in apart.items()
            if key[0] != key[1] and weight <= -TRUSTED and between.get(key, 0.0) <= _TIE
        )
        return cls(edges, component, between, cannot, rates)

    def joined(self, a: SampleId, b: SampleId) -> bool:
        """Whether trusted "same" answers join the two."""
        root = self.component.get(a)
        return root is not None and root == self.component.get(b)

    def apart(self, a: SampleId, b: SampleId) -> bool:
        """Whether a trusted "different", or one together with "same" answers, keeps the two apart."""
        first, second = self.component.get(a), self.component.get(b)
        return first is not None and second is not None and _key(first, second) in self.cannot

    def overrules(self, answer: Answer) -> bool:
        """Whether the rest of the answers say the opposite of this one."""
        if answer.verdict is Verdict.SAME:
            return not self.joined(*answer.pair)
        return answer.verdict is Verdict.DIFFERENT and self.joined(*answer.pair)

    @cached_property
    def members(self) -> Mapping[Root, tuple[SampleId, ...]]:
        """Root to the samples of its component, the founder first (the sample that was answered on first)."""
        found: dict[Root, list[SampleId]] = defaultdict(list)
        for sample, root in self.component.items():
            found[root].append(sample)
        return {root: tuple(samples) for root, samples in found.items()}


def _key(a: Root, b: Root) -> tuple[Root, Root]:
    return (a, b) if a <= b else (b, a)


def _edges(ordered: list[Answer], rates: Mapping[str, float]) -> dict[Pair, Edge]:
    weights = {name: log_odds(rate) for name, rate in rates.items()}
    found: dict[Pair, Edge] = {}
    for rank, answer in enumerate(ordered):
        sign = {Verdict.SAME: 1.0, Verdict.DIFFERENT: -1.0, Verdict.UNSURE: 0.0}[answer.verdict]
        weight = sign * weights[answer.annotator] * (ACCEPTED_GUESS if answer.origin is Origin.PREDICTION else 1.0)
        old = found.get(answer.pair)
        if old is None:
            found[answer.pair] = Edge(weight, rank, (answer.annotation,))
        else:
            found[answer.pair] = Edge(
                old.weight + weight,
                old.rank,
                (*old.annotations, answer.annotation),
                old.mixed or old.weight * weight < 0.0,
            )
    return found


def _contract(edges: Mapping[Pair, Edge]) -> tuple[dict[SampleId, Root], dict[tuple[Root, Root], float]]:
    """Join components, most evidence first, until no trusted union is left; the root is the sample answered on first."""
    links: dict[SampleId, dict[SampleId, tuple[float, int]]] = {}
    parent: dict[SampleId, SampleId] = {}
    order: dict[SampleId, int] = {}
    heap: list[tuple[float, int, SampleId, SampleId]] = []
    for pair, edge in edges.items():
        if edge.weight == 0.0 and not edge.mixed:
            continue  # nobody is sure: no evidence, so no place in the graph either
        for sample in pair:
            if sample not in parent:
                parent[sample], order[sample], links[sample] = sample, len(order), {}
        links[pair.first][pair.second] = links[pair.second][pair.first] = (edge.weight, edge.rank)
        if edge.weight >= TRUSTED:
            heap.append((-edge.weight, edge.rank, *pair))
    heapq.heapify(heap)
    while heap:
        weight, rank, a, b = heapq.heappop(heap)
        if a not in links or links[a].get(b) != (-weight, rank):
            continue
        big, small = (a, b) if len(links[a]) >= len(links[b]) else (b, a)
        parent[small] = big
        for other, (more, other_rank) in links.pop(small).items():
            del links[other][small]
            if other == big:
                continue
            old = links[big].get(other, (0.0, other_rank))
            new = (old[0] + more, min(old[1], other_rank))
            links[big][other] = links[other][big] = new
            if new[0] >= TRUSTED:
                heapq.heappush(heap, (-new[0], new[1], *_key(big, other)))
    return _relabel(parent, order, links)


def _relabel(
    parent: dict[SampleId, SampleId],
    order: dict[SampleId, int],
    links: dict[SampleId, dict[SampleId, tuple[float, int]]],
) -> tuple[dict[SampleId, Root], dict[tuple[Root, Root], float]]:
    """Name each component by its earliest sample, whatever way it was joined."""
    earliest: dict[SampleId, Root] = {}
    component: dict[SampleId, Root] = {}
    for sample in order:
        top = sample
        while parent[top] != top:
            parent[top] = parent[parent[top]]
            top = parent[top]
        component[sample] = earliest.setdefault(top, sample)
    between = {
        _key(earliest[a], earliest[b]): weight for a, near in links.items() for b, (weight, _) in near.items() if a < b
    }
    return component, between
