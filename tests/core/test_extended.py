"""The graph with one more answer equals the graph of all answers, wherever it is told at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.vocabulary import Answer, Origin
from tests.core.worlds import said

_samples = st.integers(0, 8)
_how = st.sampled_from(["right"] * 7 + ["wrong", "unsure"])
drawn = st.lists(st.tuples(_samples, _samples, _how, st.integers(0, 2)), max_size=35)


def spoken(rows: list[tuple[int, int, str, int]], *, wrong: bool) -> list[Answer]:
    """Answers about nine samples of three classes; with errors by one person, without by three."""
    found = []
    for a, b, how, person in rows:
        if a != b:
            truth = (a % 3 == b % 3) == (how != "wrong" or not wrong)
            verdict = "unsure" if how == "unsure" else "same" if truth else "different"
            found.append(said(len(found), "abcdefghi"[a], "abcdefghi"[b], verdict, "ann" if wrong else "abc"[person]))
    return found


def says(graph: SimilarityGraph) -> tuple[object, ...]:
    """All that does not hang on the error rates; names and order of the components too."""
    signs = {key: int(np.sign(np.round(weight, 9))) for key, weight in graph.between.items()}
    return list(graph.component.items()), graph.cannot, signs, graph.disputed, list(graph.edges)


@given(drawn, st.booleans())
@settings(max_examples=300, deadline=None)
def test_extended_equals_all_anew_property(rows: list[tuple[int, int, str, int]], wrong: bool) -> None:
    """Answer by answer, from the graph extended so far; where it is not told, from all answers."""
    answers = spoken(rows, wrong=wrong)
    graph = SimilarityGraph.of(())
    for n, answer in enumerate(answers):
        anew = SimilarityGraph.of(answers[: n + 1])
        graph = graph.extended(answer) or anew
        assert says(graph) == says(anew)
        assert {pair: edge.annotations for pair, edge in graph.edges.items()} == {
            pair: edge.annotations for pair, edge in anew.edges.items()
        }


def test_what_fits_is_told_at_once() -> None:
    """In a run of right answers of one person nothing but the first, and a union of two components, takes more."""
    answers = [said(n, "a", other, "same") for n, other in enumerate("bc")]
    answers += [said(10 + n, "d", other, "different") for n, other in enumerate("abc")]
    answers += [said(20, "d", "e", "same"), said(21, "b", "c", "same"), said(22, "f", "a", "unsure")]
    graph = SimilarityGraph.of(answers[:1])
    for answer in answers[1:]:
        extended = graph.extended(answer)
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
        said(50, "a", "f", "same"),  # joins two of several samples
        said(50, "a", "z", "same", "somebody new"),
    ],
)
def test_what_changes_more_is_not_told(late: Answer) -> None:
    """None: contradictions, unions of two components, and newcomers, whose error rate is not known."""
    answers = [said(1, "a", "b", "same"), said(2, "a", "c", "same"), said(3, "a", "d", "different")]
    graph = SimilarityGraph.of([*answers, said(4, "f", "g", "same")])
    assert graph.extended(late) is None


def test_disputed_components_wait() -> None:
    """While answers contradict each other about a component, nothing about it is told; about others it is."""
    graph = SimilarityGraph.of(
        [
            said(1, "a", "b", "same"),
            said(2, "a", "c", "same"),
            said(3, "b", "c", "different"),
            said(4, "x", "y", "same"),
        ]
    )
    assert graph.disputed
    assert graph.extended(said(5, "a", "z", "different")) is None
    assert graph.extended(said(5, "x", "z", "different")) is not None


def test_a_pair_that_was_unsure_first_takes_its_place_anew() -> None:
    """Names go by the first answers that say something."""
    answers = [said(1, "a", "b", "unsure"), said(2, "b", "c", "same"), said(3, "a", "b", "same", origin=Origin.MANUAL)]
    assert set(SimilarityGraph.of(answers).component.values()) == {"b"}
    assert [len(edge.annotations) for edge in SimilarityGraph.of(answers).edges.values()] == [1, 2]
