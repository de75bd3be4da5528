"""The answered graph, against the oracle of closure with withdrawals, and its properties."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pal_backend.core.contradictions import contradictions
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.vocabulary import Answer, Origin, Pair
from tests.core.worlds import said

ORACLE = [
    said(1, "1", "2", "same"),
    said(2, "2", "3", "same"),
    said(3, "3", "4", "different"),
    said(4, "4", "5", "same"),
]
LATER = said(5, "1", "5", "same")


def parts(graph: SimilarityGraph) -> set[frozenset[str]]:
    """The components as sets."""
    return {frozenset(samples) for samples in graph.members.values()}


def kept_apart(graph: SimilarityGraph) -> set[frozenset[frozenset[str]]]:
    """The cannot-links as sets of two components."""
    return {frozenset(frozenset(graph.members[root]) for root in roots) for roots in graph.cannot}


def outcome(graph: SimilarityGraph) -> tuple[object, ...]:
    """Everything a graph says."""
    return graph.component, graph.cannot, graph.rates, graph.edges, [c.sentence for c in contradictions(graph)]


def test_closure_oracle() -> None:
    """ML(1,2), ML(2,3), CL(3,4), ML(4,5) give {1,2,3} and {4,5}, six implied cannot-links, nothing left to ask."""
    graph = SimilarityGraph.of(ORACLE)
    assert parts(graph) == {frozenset("123"), frozenset("45")}
    assert sum(graph.apart(a, b) for a in "123" for b in "45") == 6
    pairs = [(a, b) for a in "12345" for b in "12345" if a < b]
    assert all(graph.settled(a, b) for a, b in pairs)
    assert contradictions(graph) == []


def test_contradicting_same_is_flagged_and_changes_nothing() -> None:
    """Adding ML(1,5) leaves components and cannot-links as they were, and is reported with the answer it meets."""
    before, after = SimilarityGraph.of(ORACLE), SimilarityGraph.of([*ORACLE, LATER])
    assert (after.component, after.cannot) == (before.component, before.cannot)
    [found] = contradictions(after)
    assert found.pairs == (Pair("1", "5"), Pair("3", "4"))
    assert found.annotations == (ORACLE[2].annotation, LATER.annotation)
    assert "1 and 5" in found.sentence


def test_withdrawal_restores() -> None:
    """Without ML(2,3) there are {1,2}, {3} and {4,5}, and the only cannot-link is {3} x {4,5}."""
    graph = SimilarityGraph.of([ORACLE[0], *ORACLE[2:]])
    assert parts(graph) == {frozenset("12"), frozenset("3"), frozenset("45")}
    assert kept_apart(graph) == {frozenset([frozenset("3"), frozenset("45")])}


def test_withdrawing_the_conflict_lets_the_suspended_union_through() -> None:
    """With ML(1,5) there, withdrawing ML(2,3) leaves nothing against it: 1, 2, 4 and 5 are one."""
    graph = SimilarityGraph.of([ORACLE[0], *ORACLE[2:], LATER])
    assert parts(graph) == {frozenset("1245"), frozenset("3")}
    assert contradictions(graph) == []


@pytest.mark.parametrize("seed", range(10))
def test_oracle_in_any_order(seed: int) -> None:
    """Permuted answers give the same graph."""
    mixed = [*ORACLE, LATER]
    random.Random(seed).shuffle(mixed)
    assert outcome(SimilarityGraph.of(mixed)) == outcome(SimilarityGraph.of([*ORACLE, LATER]))


def test_one_wrong_same_never_merges_two_groups() -> None:
    """Two groups, known to differ by one answer, stay two whichever pair of them one "same" is about."""
    base = [said(1, "a", "b", "same"), said(2, "a", "c", "same"), said(3, "x", "y", "same"), said(4, "x", "z", "same")]
    base.append(said(5, "a", "x", "different"))
    for n, (left, right) in enumerate([("a", "y"), ("b", "z"), ("c", "x")]):
        graph = SimilarityGraph.of([*base, said(10 + n, left, right, "same")])
        assert parts(graph) == {frozenset("abc"), frozenset("xyz")}
        assert graph.apart("a", "x")


def test_once_errors_were_seen_two_groups_need_two_answers() -> None:
    """Without errors one "same" joins two pairs; after a contradiction elsewhere it takes two."""
    base = [said(1, "a", "b", "same"), said(2, "x", "y", "same"), said(3, "a", "x", "same")]
    assert parts(SimilarityGraph.of(base)) == {frozenset("abxy")}
    seen = [*base, said(4, "p", "q", "same"), said(5, "p", "q", "different"), said(6, "p", "q", "same")]
    assert SimilarityGraph.of(seen).joined("a", "x") is False
    assert SimilarityGraph.of([*seen, said(7, "b", "y", "same")]).joined("a", "x")


def test_more_evidence_wins() -> None:
    """Two answers for "same" outweigh one "different", which is then what is reported."""
    graph = SimilarityGraph.of([said(1, "a", "b", "different"), said(2, "a", "b", "same"), said(3, "a", "b", "same")])
    assert graph.joined("a", "b")
    assert [c.pairs for c in contradictions(graph)] == [(Pair("a", "b"),)]


def test_different_inside_a_component_is_reported_with_the_weakest_link() -> None:
    """A chain a-b-c, twice confirmed at a-b, and "different" on a-c: the weak link b-c is named."""
    answers = [
        said(1, "a", "b", "same"),
        said(2, "a", "b", "same"),
        said(3, "b", "c", "same"),
        said(4, "b", "c", "same"),
    ]
    answers += [said(5, "a", "b", "same"), said(6, "a", "c", "different")]
    graph = SimilarityGraph.of(answers)
    assert graph.joined("a", "c")
    assert [c.pairs for c in contradictions(graph)] == [(Pair("a", "c"), Pair("b", "c"))]


def test_one_answer_each_way_leaves_a_pair_open() -> None:
    """Same and different on one pair cancel: neither joined nor apart, and reported."""
    graph = SimilarityGraph.of([said(1, "a", "b", "same"), said(2, "a", "b", "different")])
    assert not graph.settled("a", "b")
    assert len(contradictions(graph)) == 1


def test_unsure_is_no_evidence() -> None:
    """An unsure pair counts as asked, but its samples have no place in the graph."""
    graph = SimilarityGraph.of([said(1, "a", "b", "unsure")])
    assert Pair("a", "b") in graph.edges
    assert graph.component == {}


def test_an_unreliable_annotator_alone_is_not_trusted() -> None:
    """One "same" of somebody whom others overrule most of the time joins nothing; two such do."""
    answers = []
    for n in range(12):
        pair = (f"l{n}", f"r{n}")
        answers += [said(10 * n, *pair, "same", "bob"), said(10 * n + 1, *pair, "same", "cid")]
        answers.append(said(10 * n + 2, *pair, "different" if n < 9 else "same", "eve"))
    graph = SimilarityGraph.of([*answers, said(900, "a", "b", "same", "eve")])
    assert graph.rates["eve"] > 0.25 > graph.rates["bob"]
    assert not graph.joined("a", "b")
    assert SimilarityGraph.of([*answers, said(900, "a", "b", "same", "bob")]).joined("a", "b")


def test_an_accepted_guess_weighs_less() -> None:
    """A verdict that only accepts the prefilled guess loses against a free one."""
    accepted = said(1, "a", "b", "same", origin=Origin.PREDICTION)
    graph = SimilarityGraph.of([accepted, said(2, "a", "b", "different")])
    assert graph.edges[Pair("a", "b")].weight < 0.0


answer_sets = st.lists(
    st.tuples(
        st.sampled_from("abcdefg"),
        st.sampled_from("abcdefg"),
        st.sampled_from(["same", "different", "unsure"]),
        st.sampled_from(["ann", "bob"]),
    ),
    max_size=25,
).map(lambda rows: [said(n, a, b, verdict, who) for n, (a, b, verdict, who) in enumerate(rows) if a != b])


@given(answer_sets, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_graph_is_a_function_of_the_set_property(answers: list[Answer], rnd: random.Random) -> None:
    """Any order gives the same graph, and no cannot-link ever lies inside a component."""
    mixed = list(answers)
    rnd.shuffle(mixed)
    graph = SimilarityGraph.of(answers)
    assert outcome(SimilarityGraph.of(mixed)) == outcome(graph)
    assert all(a != b for a, b in graph.cannot)
    assert all(graph.component[root] == root for roots in graph.cannot for root in roots)


@given(answer_sets)
@settings(max_examples=100, deadline=None)
def test_every_disagreement_is_reported_property(answers: list[Answer]) -> None:
    """No contradiction is reported exactly where every answer agrees with the graph."""
    graph = SimilarityGraph.of(answers)
    against = [
        a
        for a in answers
        if (a.verdict == "different" and graph.joined(*a.pair)) or (a.verdict == "same" and graph.apart(*a.pair))
    ]
    if against:
        assert contradictions(graph)
    named = {pair for found in contradictions(graph) for pair in found.pairs}
    assert {a.pair for a in against} <= named
