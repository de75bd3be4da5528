"""Branches of the trees over a group's members."""

from __future__ import annotations

import numpy as np

from pal_backend.core.asking.sides import Sides, by_answers, by_nearness

CHAIN = np.zeros((5, 5))
for _first, _second, _weight in ((0, 1, 3.0), (1, 2, 3.0), (2, 3, 3.0), (0, 2, 1.0)):
    CHAIN[_first, _second] = CHAIN[_second, _first] = _weight
"""Member 4 is tied to nobody."""


def parts(sides: Sides) -> set[frozenset[frozenset[int]]]:
    """Both parts of all sides."""
    found = set()
    for n in range(len(sides.start)):
        inside = sides.member(n)
        found.add(frozenset([frozenset(sides.order[inside].tolist()), frozenset(sides.order[~inside].tolist())]))
    return found


def test_one_side_for_each_answer_of_the_tree() -> None:
    """Every "same" of the strongest tree is cut once; who is tied by none is left out."""
    sides = by_answers(CHAIN)
    assert sorted(sides.order.tolist()) == [0, 1, 2, 3]
    assert parts(sides) == {frozenset([frozenset(some), frozenset({0, 1, 2, 3} - some)]) for some in ({0}, {0, 1}, {3})}


def test_branches_of_what_is_near() -> None:
    """Of two pairs and one apart: each pair, and the pairs together."""
    near = np.full((5, 5), 0.1)
    near[np.ix_([0, 3, 1, 4], [0, 3, 1, 4])] = 0.5
    near[0, 3] = near[3, 0] = near[1, 4] = near[4, 1] = 0.9
    np.fill_diagonal(near, 1.0)
    expected = [{0, 3}, {1, 4}, {0, 1, 3, 4}]
    assert parts(by_nearness(near)) == {
        frozenset([frozenset(some), frozenset({0, 1, 2, 3, 4} - some)]) for some in expected
    }


def test_sums_over_sides_are_those_over_their_members() -> None:
    """Of values and across a symmetric matrix, for all sides at once."""
    rng = np.random.default_rng(0)
    near = rng.random((9, 9))
    near = (near + near.T) / 2.0
    sides, values = by_nearness(near), rng.random((2, 9))
    matrix = near[np.ix_(sides.order, sides.order)]
    for n in range(len(sides.start)):
        inside = sides.member(n)
        assert np.allclose(sides.sums(values)[:, n], values[:, inside].sum(axis=1))
        assert np.isclose(sides.across(matrix)[n], matrix[inside][:, ~inside].sum())
