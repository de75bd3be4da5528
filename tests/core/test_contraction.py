import pytest

from pal_backend.core.contraction import PLAIN, contract, part
from pal_backend.core.vocabulary import Pair


def edges(*rows: tuple[str, str, float]) -> dict[Pair, tuple[float, int]]:
    """Weighted edges, ranked as they stand."""
    return {Pair.of(a, b): (weight, rank) for rank, (a, b, weight) in enumerate(rows)}


def test_evidence_adds_up_between_components() -> None:
    """Two edges too weak alone join two components together."""
    component, between, *_ = contract(edges(("a", "b", 2.0), ("a", "c", 0.6), ("b", "c", 0.6)), 1.0, 0.0)
    assert set(component.values()) == {"a"} and between == {}


def test_most_evidence_first() -> None:
    """The stronger of two unions that exclude each other is done, whatever the order."""
    component, between, *_ = contract(edges(("a", "b", 2.0), ("b", "c", 3.0), ("a", "c", -4.0)), 1.0, 0.0)
    assert component["b"] == component["c"] != component["a"]
    assert between == {("a", "b"): -2.0}


def test_ties_go_to_the_older_answer() -> None:
    """Of two equal unions the one of lower rank is done."""
    component, *_ = contract(edges(("a", "b", 2.0), ("b", "c", 2.0), ("a", "c", -3.0)), 1.0, 0.0)
    assert component["a"] == component["b"] != component["c"]


def test_established_components_need_more() -> None:
    """Components of several samples wait for the higher threshold; with more evidence they are joined."""
    rows = [("a", "b", 2.0), ("x", "y", 2.0), ("a", "x", 2.0)]
    component, between, *_ = contract(edges(*rows), 1.0, 3.0)
    assert component["a"] != component["x"] and between == {("a", "x"): 2.0}
    component, *_ = contract(edges(*rows, ("b", "y", 2.0)), 1.0, 3.0)
    assert len(set(component.values())) == 1


def test_since_tells_when_a_sample_had_company() -> None:
    """By the turn of the union that joined it, or the latest before; a sample alone has none."""
    found = contract(edges(("a", "b", 2.0), ("a", "c", 1.5), ("b", "c", 1.5), ("c", "d", -3.0)), 1.0, 0.0)
    assert found.since == dict.fromkeys("abc", (PLAIN, -2.0, 0))


def test_larger_components_need_more_still() -> None:
    """Evidence that errors about the smaller one's samples would bring joins nothing, however the two are named."""
    pair = [("a", "b", 9.0), ("x", "y", 9.0), ("a", "x", 3.5)]
    several = [*pair, ("b", "c", 9.0), ("y", "z", 9.0)]
    assert len(set(contract(edges(*pair), 1.0, 3.0, 0.2).component.values())) == 1  # 3 + .2 * 2 is wanted
    assert len(set(contract(edges(*several), 1.0, 3.0, 0.2).component.values())) == 2  # 3 + .2 * 3
    assert len(set(contract(edges(*several, ("c", "y", 0.2)), 1.0, 3.0, 0.2).component.values())) == 1
    one_sided = [("a", "b", 9.0), ("b", "c", 9.0), ("c", "d", 9.0), ("x", "y", 9.0), ("a", "x", 3.5)]
    assert len(set(contract(edges(*one_sided), 1.0, 3.0, 0.2).component.values())) == 1  # the smaller one counts


def test_samples_alone_come_before_unions_of_several() -> None:
    """Samples of "a" that speak for some of the others while the rest is still to come: once errors were seen, two groups are
    judged when both are whole. Before, the strongest union is done first.
    """
    rows = [("a", "s", 3.0), ("a", "b", 3.0), ("x", "y", 3.0), ("s", "x", 3.0), ("b", "y", 3.0)]
    rows += [("y", "z", 3.0), ("a", "z", -3.0), ("b", "z", -3.0), ("s", "z", -3.0)]
    assert contract(edges(*rows), 1.0, 4.0).component["x"] == "x"
    assert contract(edges(*rows), 1.0, 0.0).component["x"] == "a"
    assert contract(edges(*rows, ("b", "x", 9.0)), 1.0, 4.0).component["x"] == "a"


def test_spare_tells_by_how_much_several_were_joined() -> None:
    """The tightest union of the component counts; one of single samples alone has none."""
    rows = [("a", "b", 3.0), ("x", "y", 3.0), ("a", "x", 3.0), ("b", "y", 3.0), ("p", "q", 3.0), ("p", "r", 3.0)]
    assert contract(edges(*rows), 1.0, 4.0, 0.5).spare == pytest.approx({"a": 6.0 - 4.0 - 2 * 0.5})


def test_what_nothing_speaks_against_comes_first() -> None:
    """Two samples that errors put to "a" speak for "x", "a" itself against it: "x" joins its own group, whose evidence is no
    less but younger.
    """
    rows = [("a", "s", 3.0), ("a", "t", 3.0), ("a", "x", -3.0), ("s", "x", 3.0), ("x", "y", 3.0), ("x", "z", 3.0)]
    rows += [("a", "y", -3.0), ("a", "z", -3.0), ("t", "x", 3.0)]
    component = contract(edges(*rows), 1.0, 4.0).component
    assert component["s"] == component["t"] == "a" and component["y"] == component["z"] == "x"


def joined_by_one() -> list[tuple[str, str, float]]:
    """Two classes of four and a sample "r" of the second, which an error that was made twice ties to the first."""
    rows = [("a", other, 5.0) for other in "bcd"] + [("a", "r", 4.0)]
    rows += [("r", other, 3.5) for other in "vwxy"] + [("v", other, 3.0) for other in "wxy"]
    return [*rows, ("b", "v", -3.0), ("c", "v", -3.0), ("d", "w", -3.0)]


def test_what_one_sample_holds_together_is_parted() -> None:
    """Three "different" between two sides and one error that joins them: each side is a component, named after its first
    sample, and what was said between them stands between them. Without errors seen nothing is parted.
    """
    found = contract(edges(*joined_by_one()), 1.0, 4.0)
    sides = {root: {s for s, r in found.component.items() if r == root} for root in found.halves}
    assert sides == {"a": {"a", "b", "c", "d"}, "r": {"r", "v", "w", "x", "y"}}
    assert found.between == {("a", "r"): 4.0 - 3 * 3.0}
    assert list(found.component)[:2] == ["a", "b"]
    assert len(set(contract(edges(*joined_by_one()), 1.0, 0.0).component.values())) == 1


def test_sides_that_do_not_speak_against_each_other_stay() -> None:
    """One "different" in the midst of a group, or as much for as against: nothing is parted."""
    ring = [("a", "b", 3.0), ("b", "c", 3.0), ("c", "d", 3.0), ("d", "a", 3.0)]
    assert contract(edges(*ring, ("a", "c", -5.0)), 1.0, 4.0).halves == frozenset()
    even = [*joined_by_one(), ("d", "y", 6.0)]
    assert contract(edges(*even), 1.0, 4.0).halves == frozenset()


def test_a_pair_said_as_much_for_as_against_has_no_sides() -> None:
    """Each half is looked at in turn; of a sample in one, of which only such a pair is left, nothing can be said."""
    hubs = [("h", "p", -9.0), ("k", "p", 4.0), ("k", "q", 4.0), ("h", "q", -9.0), ("x", "h", 4.0), ("y", "h", 4.0)]
    component = dict.fromkeys("hkpqxyzw", "h")
    found = part(edges(*hubs, ("x", "y", -9.0), ("z", "w", 0.0), ("k", "z", -5.0), ("k", "w", -5.0)), component, 4.0)
    assert found["p"] == found["q"] == found["k"] != found["h"]
    assert part(edges(("a", "b", -9.0)), dict.fromkeys("ab", "a"), 4.0) == {"a": "a", "b": "b"}


def test_a_pair_that_tells_nothing_does_not_make_a_late_answer_early() -> None:
    """Said both "same" and "different" at first, "a" and "s" tell nothing of a "same" about "a" and "t" that comes last: by
    then "a" is one of several.
    """
    rows = [("a", "s", 0.0), ("s", "t", 6.0), ("a", "b", 3.0), ("a", "c", 3.0), ("s", "u", 3.0), ("a", "t", 3.0)]
    component = contract(edges(*rows), 1.0, 4.0).component
    assert component["a"] == component["b"] == component["c"] != component["s"] == component["t"] == component["u"]
