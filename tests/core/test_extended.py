"""The graph with one more answer equals the graph of all answers, wherever it is told at once."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pal_backend.core.extending import extended as extend
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.vocabulary import Answer, Origin
from tests.core.worlds import said

RATES = {"ann": 0.05, "bob": 0.15, "eve": 0.3}
"""What ann says counts twice what eve says, who alone is not trusted."""
SEVERAL = 3.3
"""Evidence that joins two components of several samples, once errors were seen."""

_samples = st.integers(0, 8)
_how = st.sampled_from(["right"] * 7 + ["wrong", "unsure"])
_origin = st.sampled_from([Origin.MANUAL, Origin.MANUAL, Origin.PREDICTION])
drawn = st.lists(st.tuples(_samples, _samples, _how, st.sampled_from(sorted(RATES)), _origin), max_size=40)


def spoken(rows: list[tuple[int, int, str, str, Origin]]) -> list[Answer]:
    """Answers about nine samples of three classes."""
    found = []
    for a, b, how, person, origin in rows:
        if a != b:
            truth = (a % 3 == b % 3) == (how != "wrong")
            verdict = "unsure" if how == "unsure" else "same" if truth else "different"
            found.append(said(len(found), "abcdefghi"[a], "abcdefghi"[b], verdict, person, origin=origin))
    return found


def says(graph: SimilarityGraph) -> tuple[object, ...]:
    """All that a graph says; names and order of the components too."""
    sums = [{key: round(weight, 6) + 0.0 for key, weight in some.items() if abs(weight) > 1e-9 and key[0] != key[1]}
            for some in (graph.between, graph.against)]  # fmt: skip
    return list(graph.component.items()), graph.cannot, sums, list(graph.edges), graph.members


@given(drawn, st.sampled_from([[], ["eve"], ["bob", "eve"]]), st.sampled_from([0.0, 2.0, SEVERAL]))
@settings(max_examples=300, deadline=None)
def test_extended_equals_all_anew_property(
    rows: list[tuple[int, int, str, str, Origin]], absent: list[str], established: float
) -> None:
    """Answer by answer, from the graph extended so far, as from all answers under the same error rates; it is not told
    only for the first answer that cannot be right if all others are.
    """
    answers = [answer for answer in spoken(rows) if answer.annotator not in absent]
    graph = SimilarityGraph.under((), RATES, established)
    for n, answer in enumerate(answers):
        extended = extend(graph, answer)
        if extended is None:
            assert not graph.established
        graph = extended or SimilarityGraph.under(answers[: n + 1], RATES, SEVERAL)
        anew = SimilarityGraph.under(answers[: n + 1], RATES, graph.established)
        assert says(graph) == says(anew)
        assert {pair: edge.annotations for pair, edge in graph.edges.items()} == {
            pair: edge.annotations for pair, edge in anew.edges.items()
        }


@given(drawn)
@settings(max_examples=100, deadline=None)
def test_extended_equals_the_graph_of_the_set_property(rows: list[tuple[int, int, str, str, Origin]]) -> None:
    """Without errors the graph extended answer by answer is that of all answers, whatever their annotators' rates."""
    answers = list(spoken([(a, b, "right", who, origin) for a, b, _, who, origin in rows]))
    graph = SimilarityGraph.of(())
    for n, answer in enumerate(answers):
        anew = SimilarityGraph.of(answers[: n + 1])
        graph = extend(graph, answer) or anew
        assert (list(graph.component.items()), graph.cannot) == (list(anew.component.items()), anew.cannot)


def joined_by_one() -> list[Answer]:
    """Two classes of four, "abcd" and "uvwx", and "r" of the second, which errors made by two people tie to the first."""
    pairs = [("a", other, "same", "ann ann") for other in "bcd"] + [("a", "r", "same", "ann bob")]
    pairs += [("r", other, "same", "bob bob") for other in "uvwx"] + [("u", other, "same", "ann") for other in "vwx"]
    pairs += [(a, b, "different", "ann") for a, b in ("bu", "cu", "dv")]
    rows = [(a, b, verdict, who) for a, b, verdict, people in pairs for who in people.split()]
    return [said(n, *row) for n, row in enumerate(rows)]


@pytest.mark.parametrize("person", ["ann", "eve"])
@pytest.mark.parametrize("verdict", ["same", "different"])
def test_extended_equals_all_anew_where_a_component_was_parted(verdict: str, person: str) -> None:
    """After each answer that could come next: what it changes within a half, between the halves, and to others."""
    answers = [*joined_by_one(), said(50, "y", "z", "same"), said(51, "a", "y", "different")]
    graph = SimilarityGraph.under(answers, RATES, SEVERAL)
    assert graph.halves == {"a", "r"}
    for pair in itertools.combinations("abcdruvwxyz", 2):
        late = said(60, *pair, verdict, person)
        extended = extend(graph, late)
        assert extended is not None
        anew = SimilarityGraph.under([*answers, late], RATES, SEVERAL)
        assert says(extended) == says(anew) and extended.halves == anew.halves


def test_what_fits_is_told_at_once() -> None:
    """In a run of right answers of one person nothing but the first, and a union of two components, takes more."""
    answers = [said(n, "a", other, "same") for n, other in enumerate("bc")]
    answers += [said(10 + n, "d", other, "different") for n, other in enumerate("abc")]
    answers += [said(20, "d", "e", "same"), said(21, "b", "c", "same"), said(22, "f", "a", "unsure")]
    graph = SimilarityGraph.of(answers[:1])
    for answer in answers[1:]:
        extended = extend(graph, answer)
        assert extended is not None
        graph = extended
    assert graph.members == {"a": ("a", "b", "c"), "d": ("d", "e")}
    assert graph.cannot == {("a", "d")} and graph.between["a", "d"] == pytest.approx(
        -3 * graph.weigh(said(9, "a", "b", "same"))
    )


@pytest.mark.parametrize(
    "late",
    [
        said(50, "a", "b", "different"),  # against what was said of the pair
        said(50, "b", "c", "different"),  # inside a component
        said(50, "a", "d", "same"),  # between two kept apart
        said(50, "a", "z", "same", "somebody new"),
    ],
)
def test_what_changes_the_error_rates_is_not_told(late: Answer) -> None:
    """None: the first contradiction, and newcomers, whose error rate is not known."""
    answers = [said(1, "a", "b", "same"), said(2, "a", "c", "same"), said(3, "a", "d", "different")]
    graph = SimilarityGraph.of([*answers, said(4, "f", "g", "same")])
    assert extend(graph, late) is None


def test_error_rates_stay_as_they_were() -> None:
    """Also after answers that contradict each other, once the first contradiction is known."""
    answers = [said(1, "a", "b", "same"), said(2, "a", "c", "same"), said(3, "b", "c", "different")]
    graph = SimilarityGraph.of(answers)
    assert graph.established
    extended = extend(graph, said(5, "a", "b", "different"))
    assert extended is not None
    assert extended.rates == graph.rates and extended.established == graph.established
    assert not extended.joined("a", "b")


def test_a_pair_that_was_unsure_first_takes_its_place_anew() -> None:
    """Names go by the first answers that say something."""
    answers = [said(1, "a", "b", "unsure"), said(2, "b", "c", "same"), said(3, "a", "b", "same", origin=Origin.MANUAL)]
    assert set(SimilarityGraph.of(answers).component.values()) == {"b"}
    assert [len(edge.annotations) for edge in SimilarityGraph.of(answers).edges.values()] == [1, 2]
