"""Samples that answers, taken together, put elsewhere than joining did."""

from __future__ import annotations

from pal_backend.core.contraction import contract
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.moves import moved
from tests.core.test_contraction import edges
from tests.core.worlds import said

MISPLACED = [("a", "s", 3.0), ("a", "b", 3.0), ("a", "c", 3.0), ("x", "y", 3.0), ("x", "z", 3.0)]
"""Two classes of three, and "s" of the second, which an error put to the first."""
TOGETHER = dict.fromkeys("asbc", "a") | dict.fromkeys("xyz", "x")


def test_a_sample_goes_where_answers_put_it() -> None:
    """Two "same" there outweigh the one here; one, or as much as is here, does not."""
    both = [*MISPLACED, ("s", "x", 3.0), ("s", "y", 3.0)]
    component, went = moved(edges(*both), TOGETHER, 1.0)
    assert component == dict.fromkeys("abc", "a") | dict.fromkeys("sxyz", "s") and went == {"s"}
    for rows in (MISPLACED, [*MISPLACED, ("s", "x", 3.0)], [*MISPLACED, ("s", "x", 3.9)]):
        assert moved(edges(*rows), TOGETHER, 1.0) == (TOGETHER, frozenset())


def test_a_sample_that_belongs_nowhere_is_alone() -> None:
    """More against than for its component, and nothing for another."""
    component, went = moved(edges(*MISPLACED, ("s", "b", -3.0), ("s", "c", -3.0)), TOGETHER, 1.0)
    assert component["s"] == "s" and went == {"s"}
    assert list(component.values()).count("s") == 1


def test_who_was_held_by_it_goes_along_or_is_on_its_own() -> None:
    """What only the moved sample tied to the component is not left there without a "same"."""
    there = [("s", "x", 3.0), ("s", "y", 3.0), ("s", "z", 3.0)]
    component, went = moved(edges(*MISPLACED, ("s", "t", 3.0), *there), TOGETHER | {"t": "a"}, 1.0)
    assert component["s"] == component["t"] == component["x"] and went == {"s", "t"}
    rows = [*MISPLACED, ("s", "t", 3.0), ("t", "u", 3.0), *there, ("x", "t", -3.0)]
    component, went = moved(edges(*rows), TOGETHER | dict.fromkeys("tu", "a"), 1.0)
    assert component["t"] == component["u"] == "t" and component["s"] == "s" and went == {"s", "t", "u"}


def test_one_misplaced_sample_does_not_join_two_groups() -> None:
    """What all "same" about "s" give would join all it was put with to where it belongs; moved first, it takes nobody along."""
    rows = [*MISPLACED, *((("s", other, 3.0)) for other in "xyz"), ("b", "x", -3.0)]
    found = contract(edges(*rows), 1.0, 4.0)
    assert len({found.component[sample] for sample in "sxyz"}) == 1 != len({found.component[s] for s in "ax"})
    assert found.moved == {"s"} and found.component["a"] == found.component["b"] == found.component["c"]
    assert contract(edges(*rows), 1.0, 0.0).moved == frozenset()  # nobody is thought to err


def test_the_graph_moves_a_misplaced_sample() -> None:
    """By answers, one after another: the group that an error put "s" in is not joined to its own."""
    pairs = [("a", "s", "same"), ("a", "b", "same"), ("a", "c", "same"), ("x", "y", "same"), ("x", "z", "same")]
    pairs += [("b", "x", "different"), ("c", "y", "different"), *((("s", other, "same")) for other in "xyz")]
    answers = [said(n, *pair) for n, pair in enumerate(pairs)]
    graph = SimilarityGraph.of(answers)
    assert graph.joined("s", "x") and graph.joined("a", "b") and not graph.joined("a", "x")
    assert graph.moved == {"s"}
