"""The similarity graph with one more answer, from the one without it: the same as of all answers anew, in less time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from pal_backend.core.contraction import PLAIN, Edges, Needed, ascending, part
from pal_backend.core.edges import NOTHING, Edge, add
from pal_backend.core.exchange import exchanged
from pal_backend.core.graph import TRUSTED, Root, Roots, SimilarityGraph, kept_apart, strayed
from pal_backend.core.strays import reunited
from pal_backend.core.vocabulary import Answer, Pair, SampleId


def extended(graph: SimilarityGraph, answer: Answer) -> SimilarityGraph | None:
    """The graph with one more answer at the end, under the same error rates; None where those are no longer fit: its
    annotator is new, or it may be the first that cannot be right if all others are; and None for a decision.

    What fits what is known is told at once: "unsure", "different" between two components, and a "same" by which a
    sample that stands alone joins a component. Else components are made anew.

    Args:
        answer: given later than all others.
    """
    people = None if graph.people is None else extended(graph.people, answer)
    if graph.people is not None and people is None:
        return None
    found = _extended(graph, answer)
    return None if found is None else replace(found, people=people)


def _extended(graph: SimilarityGraph, answer: Answer) -> SimilarityGraph | None:
    weight = graph.weigh(answer)
    if weight is None:
        return None
    edges = dict(graph.edges)
    add(edges, answer, weight, graph.last_rank + 1)
    if weight == 0.0:
        return replace(graph, edges=edges)
    a, b = (graph.component.get(sample, sample) for sample in answer.pair)
    # what would be joined but for answers against each other is looked at as a whole
    halves = graph.halves.intersection((a, b))
    moved = graph.moved.intersection(answer.pair) or graph.dealt.intersection((a, b))
    if a != b and weight < 0.0 and len(halves) < 2 and not moved:
        # more against a union that does not come about even without it
        parting = _parting(graph, answer.pair, ascending(a, b), edges)
        if not _reunites(parting, ascending(a, b)) and not _deals(parting, [ascending(a, b)]):
            return parting
    if not graph.established:
        if weight < 0.0 or ascending(a, b) in graph.between:
            return None
        if a == b:
            return replace(graph, edges=edges)
    joined = None if halves or moved else _joining(graph, answer.pair, weight, edges)
    return joined or graph.anew(edges, graph.rates, graph.established)


def _reunites(graph: SimilarityGraph, key: Roots) -> bool:
    """Whether two components, as they are here, are one but for some samples; only if they would be if nothing spoke
    against it.
    """
    if not graph.between.get(key, 0.0) - graph.against.get(key, 0.0) >= graph.established > 0.0:
        return False
    edges, inside = _among(graph.edges, graph.component, key)
    needed = Needed(TRUSTED, graph.established, strayed(graph.rates, graph.established))
    return reunited(edges, inside, needed.left) is not None


def _deals(graph: SimilarityGraph, keys: Iterable[Roots]) -> bool:
    """Whether two components of one of the pairs of roots exchange samples, as they are here."""
    if not graph.established:
        return False
    against = graph.against.get
    for key in keys:
        together = graph.between.get(key, 0.0) - against(key, 0.0)
        most = together - sum(against((root, root), 0.0) for root in key)
        if together > NOTHING and most >= graph.established - NOTHING:
            edges, inside = _among(graph.edges, graph.component, key)
            if graph.halves.intersection(key) or exchanged(edges, inside, graph.established) is not None:
                return True
    return False


def _among(
    edges: Mapping[Pair, Edge], component: Mapping[SampleId, Root], roots: Collection[Root]
) -> tuple[Edges, dict[SampleId, Root]]:
    """Weights and ranks of the edges among the samples of some components, and the component of each."""
    inside = {sample: root for sample, root in component.items() if root in roots}
    among = {
        pair: (edge.weight, edge.rank) for pair, edge in edges.items() if pair.first in inside and pair.second in inside
    }
    return among, inside


def _parting(graph: SimilarityGraph, pair: Pair, key: Roots, edges: Mapping[Pair, Edge]) -> SimilarityGraph:
    """The same after a "different" between two components."""
    before = graph.edges[pair].weight if pair in graph.edges else 0.0
    now = edges[pair].weight
    between, against = dict(graph.between), dict(graph.against)
    between[key] = between.get(key, 0.0) + now - before
    if now < 0.0:
        against[key] = against.get(key, 0.0) + now - min(before, 0.0)
    cannot = graph.cannot | {key} if kept_apart(key, between, against) else graph.cannot
    component = {**graph.component, **{sample: graph.component.get(sample, sample) for sample in pair}}
    return replace(graph, edges=edges, component=component, between=between, against=against, cannot=cannot)


def _joining(graph: SimilarityGraph, pair: Pair, weight: float, edges: Mapping[Pair, Edge]) -> SimilarityGraph | None:
    """The same after the first "same" about a sample that stands alone; None where it could change more than that.

    Nothing changes but that the sample joins, if by the turn of the new union, the last of its weight, all that is
    to join is no sample alone any longer: components of several samples are joined by other rules.
    """
    order = {root: n for n, root in enumerate(graph.sizes)}
    there, alone = sorted(pair, key=lambda sample: order.get(graph.component.get(sample, sample), len(order)))
    root, turn = graph.component.get(there, there), (PLAIN, -weight, edges[pair].rank)
    if weight < TRUSTED or alone in graph.since or graph.since.get(there, turn) > turn:
        return None
    if any(Pair.of(alone, sample) in edges for sample in graph.moved - {alone}):
        return None  # before it was moved it may have been where the sample is to join
    spare = dict(graph.spare)
    if root in spare:
        # one more sample may ask for more evidence of the unions that made the component
        spare[root] -= strayed(graph.rates, graph.established)
        if spare[root] < 0.0:
            return None
    near = [key for key in graph.between if alone in key]
    if any(root in key or graph.between[key] > graph.against.get(key, 0.0) + NOTHING for key in near):
        return None
    component = {**graph.component, there: root, alone: root}
    # where something is said against a component from within, one more sample may tell its sides apart
    if (root, root) in graph.against and part(_among(edges, component, (root,))[0], component, graph.established):
        return None
    between, against, cannot = dict(graph.between), dict(graph.against), set(graph.cannot)
    for old in near:
        new = ascending(root, old[0] if old[1] == alone else old[1])
        for sums in (between, against):
            sums[new] = sums.get(new, 0.0) + sums.pop(old, 0.0)
        cannot.discard(old)
        if kept_apart(new, between, against):
            cannot.add(new)
    joined = replace(
        graph,
        edges=edges,
        component=component,
        between=between,
        against=against,
        cannot=frozenset(cannot),
        since={there: turn, **graph.since, alone: turn},
        spare=spare,
    )
    keys = [key for key in between if root in key]
    return None if any(_reunites(joined, key) for key in keys) or _deals(joined, keys) else joined
