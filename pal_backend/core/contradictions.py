"""Which answers cannot all be right, in words for a person."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping

from pal_backend.core.edges import Edge
from pal_backend.core.graph import Contradiction, Root, SimilarityGraph
from pal_backend.core.vocabulary import AnnotationKey, Pair, SampleId


def contradictions(graph: SimilarityGraph) -> list[Contradiction]:
    """Every conflict in the answers, oldest first.

    Three kinds: people differ on one pair; a "different" inside a component, reported with the weakest "same" on the
    path that joins the two; a "same" across components kept apart, reported with the weakest "different" between them. On a
    pair that a lead decided people no longer differ.
    """
    same: dict[SampleId, list[SampleId]] = defaultdict(list)
    apart: dict[tuple[Root, Root], list[Pair]] = defaultdict(list)
    for pair, edge in graph.edges.items():
        if edge.weight > 0.0 and graph.joined(*pair):
            same[pair.first].append(pair.second)
            same[pair.second].append(pair.first)
        elif edge.weight < 0.0:
            apart[_roots(graph, pair)].append(pair)
    found = []
    for pair, edge in graph.edges.items():
        if edge.mixed and not edge.decided:
            found.append(
                _report(graph, [pair], f"People differ on whether {pair.first} and {pair.second} are the same.")
            )
        elif edge.weight < 0.0 and graph.joined(*pair):
            weakest = _weakest(graph.edges, _path(same, pair))
            words = (
                f"{pair.first} and {pair.second} were called different, but other answers join them; "
                f"the weakest of those is on {weakest.first} and {weakest.second}."
            )
            found.append(_report(graph, [pair, weakest], words))
        elif edge.weight > 0.0 and graph.apart(*pair):
            weakest = _weakest(graph.edges, apart[_roots(graph, pair)])
            words = (
                f"{pair.first} and {pair.second} were called the same, but other answers keep their groups apart; "
                f"the weakest of those is on {weakest.first} and {weakest.second}. They stay apart until more answers decide."
            )
            found.append(_report(graph, [pair, weakest], words))
    return found


def _roots(graph: SimilarityGraph, pair: Pair) -> tuple[Root, Root]:
    a, b = graph.component[pair.first], graph.component[pair.second]
    return (a, b) if a <= b else (b, a)


def _weakest(edges: Mapping[Pair, Edge], pairs: list[Pair]) -> Pair:
    return min(pairs, key=lambda pair: (abs(edges[pair].weight), -edges[pair].rank))


def _path(same: Mapping[SampleId, list[SampleId]], pair: Pair) -> list[Pair]:
    """The pairs of a shortest chain of "same" answers between the two; contraction joins along such edges only."""
    before: dict[SampleId, SampleId] = {pair.first: pair.first}
    queue = deque([pair.first])
    while queue and pair.second not in before:
        at = queue.popleft()
        for near in same[at]:
            if near not in before:
                before[near] = at
                queue.append(near)
    chain, at = [], pair.second
    while before[at] != at:
        chain.append(Pair.of(at, before[at]))
        at = before[at]
    return chain


def _report(graph: SimilarityGraph, pairs: list[Pair], sentence: str) -> Contradiction:
    annotations: list[AnnotationKey] = sorted({key for pair in pairs for key in graph.edges[pair].annotations})
    return Contradiction(tuple(pairs), tuple(annotations), sentence)
