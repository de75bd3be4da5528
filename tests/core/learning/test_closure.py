"""How sure answers are of what they imply."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from pal_backend.core.learning.closure import closure, confidences


@given(st.integers(0, 10_000))
def test_confidence_is_the_widest_path_between_two_samples(seed: int) -> None:
    """Equal to what Floyd and Warshall's recursion with min and max gives, on random graphs of several components."""
    rng = np.random.default_rng(seed)
    n = 14
    pairs = np.array([(i, j) for i in range(n) for j in range(i) if rng.random() < 0.12], np.int64).reshape(-1, 2)
    signed = rng.uniform(0.05, 1.0, len(pairs)).astype(np.float32)
    widest = np.zeros((n, n), np.float32)
    widest[pairs[:, 0], pairs[:, 1]] = widest[pairs[:, 1], pairs[:, 0]] = signed
    _, components = connected_components(widest > 0)
    for k in range(n):
        widest = np.maximum(widest, np.minimum(widest[:, [k]], widest[[k], :]))
    found = closure(components.astype(np.int64), pairs, signed)
    rows = rng.permutation(n)[:9]
    rows = rows[np.argsort(found.place[rows])]
    got = confidences(found, rows)
    np.fill_diagonal(widest, 0)
    np.testing.assert_array_equal(got, widest[np.ix_(rows, rows)])


def test_a_different_inside_a_component_is_no_path() -> None:
    """Only "same" answers join; a sample in no component has no place."""
    found = closure(np.array([0, 0, 0, -1]), np.array([[0, 1], [1, 2], [0, 2]]), np.array([0.9, 0.5, -0.9], np.float32))
    assert found.place[3] == -1
    rows = np.argsort(found.place)[1:]
    got = confidences(found, rows)
    assert got[rows == 0, rows == 2] == np.float32(0.5)


def test_what_is_joined_over_samples_outside_is_sure() -> None:
    """Two samples of a component without a known path have full confidence, samples of two components none."""
    found = closure(np.array([0, 0, 1]), np.empty((0, 2), np.int64), np.empty(0, np.float32))
    rows = np.argsort(found.place)
    np.testing.assert_array_equal(confidences(found, rows), [[0, 1, 0], [1, 0, 0], [0, 0, 0]])
