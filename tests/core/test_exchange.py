"""Samples that two components exchange, several at once."""

from __future__ import annotations

import numpy as np

from pal_backend.core.exchange import exchanged
from pal_backend.core.extending import extended as extend
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.moves import moved
from pal_backend.core.vocabulary import Answer
from tests.core.test_contraction import edges
from tests.core.test_extended import RATES, SEVERAL, says
from tests.core.worlds import said

TORN = [("a", "b", 3.0), ("b", "c", 3.0), ("x", "y", 3.0), ("z", "w", 3.0), ("w", "v", 3.0)]
TORN += [("a", "x", 3.0), ("x", "z", 3.0), ("y", "w", 3.0)]
TORN += [("b", "z", -3.0), ("c", "w", -3.0), ("c", "v", -3.0)]
"""Classes "abc" and "xyzwv"; one wrong "same" between "a" and "x"."""
APART = dict.fromkeys("abcxy", "a") | dict.fromkeys("zwv", "z")
"""As joining may leave them: no single move gains, nor does a union."""


def test_two_go_where_neither_would_alone() -> None:
    """Both together lose one "same" and win two."""
    assert moved(edges(*TORN), APART, 1.0)[1] == frozenset()
    found = exchanged(edges(*TORN), APART, 2.5)
    assert found is not None
    assert found.component == dict.fromkeys("abc", "a") | dict.fromkeys("xyzwv", "x")
    assert found.went == set("xy") and found.touched == set("abcxyzwv")
    assert exchanged(edges(*TORN), found.component, 2.5) is None
    assert exchanged(edges(*TORN), APART, 3.1) is None  # gains less


def test_whether_two_are_one_is_no_matter_of_exchange() -> None:
    """However much speaks for it: unions have rules of their own."""
    two = dict.fromkeys("abc", "a") | dict.fromkeys("xy", "x")
    assert exchanged(edges(("a", "b", 3.0), ("b", "c", 3.0), ("x", "y", 3.0), ("a", "x", 2.9)), two, 1.0) is None


def sitting(seed: int) -> list[Answer]:
    """Seventy answers about a dozen samples, most of them against a hub of each class, a quarter of them wrong."""
    rng = np.random.default_rng(seed)
    found, hubs = list[Answer](), rng.choice(12, 3, replace=False)
    for n in range(70):
        a, b = int(rng.integers(12)), int(rng.choice(hubs))
        if a != b:
            same = (a % 3 == b % 3) != (rng.random() < 0.25)
            found.append(said(n, f"s{a:02}", f"s{b:02}", "same" if same else "different", "ann"))
    return found


def test_extended_as_anew_where_samples_were_exchanged() -> None:
    """Whatever is told at once leaves as few exchanges undone, or done, as all answers anew; none is left that gains."""
    dealt = 0
    for seed in range(40):
        answers, graph = sitting(seed), SimilarityGraph.under((), RATES, SEVERAL)
        for n, answer in enumerate(answers, 1):
            anew = SimilarityGraph.under(answers[:n], RATES, SEVERAL)
            graph = extend(graph, answer) or anew
            assert says(graph) == says(anew)
            if anew.dealt and not anew.halves:
                weights = {
                    pair: (edge.weight, edge.rank) for pair, edge in anew.edges.items() if edge.weight or edge.mixed
                }
                assert exchanged(weights, anew.component, SEVERAL) is None
                dealt += 1
    assert dealt
