"""Components that answers join but for some samples that errors put into them."""

from __future__ import annotations

import itertools

import pytest

from pal_backend.core.contraction import contract
from pal_backend.core.edges import DECIDED
from pal_backend.core.extending import extended as extend
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.strays import reunited
from pal_backend.core.vocabulary import Answer
from tests.core.test_contraction import edges
from tests.core.test_extended import says
from tests.core.worlds import said

HALVES = [("a", other, 3.0) for other in "bcdes"] + [("b", "s", 3.0)]
HALVES += [("w", other, 3.0) for other in "xyz"]
"""One class in two components, and "s" of another, which two errors put with "a" and "b"."""
COMPARED = [(one, other, weight) for one in "wxyz" for other, weight in (("a", 3.0), ("s", -3.0))]
"""Each of the second component is the same as "a" and differs from "s", so that between the two nothing is left."""
ALL = dict.fromkeys("abcdes", "a") | dict.fromkeys("wxyz", "w")


def spare(evidence: float, few: int) -> float:
    """A union takes about two answers."""
    return evidence - 4.0 - 0.1 * few


def test_two_components_are_one_but_for_a_stray() -> None:
    """To leave "s" behind gives up two answers for it and is rid of four against."""
    found = reunited(edges(*HALVES, *COMPARED), ALL, spare)
    assert found is not None and found.strays == {"s"}
    assert found.component == dict.fromkeys("abcdewxyz", "a") | {"s": "s"}
    assert found.spare == {"a": pytest.approx(spare(12.0 - 6.0, 4))}
    assert reunited(edges(*HALVES, *COMPARED[:-2]), ALL, spare) is None  # three against it are too few


def test_a_stray_takes_along_who_only_it_held() -> None:
    """Nothing else ties "t" to the rest."""
    rows = [*HALVES, *COMPARED, ("s", "t", 3.0), ("c", "s", -3.0), ("d", "s", -3.0)]
    found = reunited(edges(*rows), ALL | {"t": "a"}, spare)
    assert found is not None and found.strays == {"s", "t"}
    assert found.component["t"] == "t" and found.component["w"] == "a"


def test_two_classes_stay_two() -> None:
    """The example of a class that differs from all of another holds its own together: it is no stray, and two errors
    between the others join nothing.
    """
    one = [("a", other, 3.0) for other in "bcde"]
    another = [("w", other, 3.0) for other in "xyz"]
    between = [("a", other, -3.0) for other in "wxyz"] + [("b", "x", 3.0), ("c", "y", 3.0)]
    together = dict.fromkeys("abcde", "a") | dict.fromkeys("wxyz", "w")
    assert reunited(edges(*one, *another, *between), together, spare) is None


def test_what_a_lead_parted_stays_parted() -> None:
    """Though the one sample of which it was decided could be left behind."""
    more = [(one, "c", 3.0) for one in "wxyz"]
    assert reunited(edges(*HALVES, *COMPARED, *more, ("b", "w", -DECIDED / 10.0)), ALL, spare) is not None
    assert reunited(edges(*HALVES, *COMPARED, *more, ("b", "w", -DECIDED)), ALL, spare) is None


def given() -> list[Answer]:
    """:data:`HALVES` and :data:`COMPARED`, said by one person, one after another."""
    rows = [*HALVES, *COMPARED]
    return [said(n, a, b, "same" if weight > 0.0 else "different") for n, (a, b, weight) in enumerate(rows)]


def test_the_graph_reunites_what_a_stray_kept_apart() -> None:
    """From answers alone, in any order; and the stray is free to be of another group."""
    right = [said(100 + n, f"p{n}", f"q{n}", "same") for n in range(40)]
    graph = SimilarityGraph.of([*right, *given()])
    assert graph.joined("b", "z") and not graph.joined("a", "s") and "s" in graph.moved
    assert SimilarityGraph.of([*given()[::-1], *right[::-1]]).component == graph.component
    found = contract(edges(*HALVES, *COMPARED), 1.0, 0.0)
    assert not found.moved  # nobody is thought to err


@pytest.mark.parametrize("verdict", ["same", "different"])
def test_extended_equals_all_anew_where_components_were_reunited(verdict: str) -> None:
    """After each answer that could come next."""
    answers = [*given(), said(50, "s", "u", "same"), said(51, "b", "u", "different")]
    graph = SimilarityGraph.under(answers, {"ann": 0.05}, 4.0)
    assert graph.joined("a", "w") and graph.joined("s", "u")
    for pair in itertools.combinations("abcswxyzuv", 2):
        late = said(60, *pair, verdict)
        anew = SimilarityGraph.under([*answers, late], {"ann": 0.05}, 4.0)
        extended = extend(graph, late)
        assert extended is not None and says(extended) == says(anew)
