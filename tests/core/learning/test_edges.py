"""Lists of entries against dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pal_backend.core.learning.edges import attractive, entries, pairs


@settings(deadline=None)
@given(size=st.integers(1, 6), count=st.integers(0, 30), seed=st.integers(0, 999), diagonal=st.booleans())
def test_entries_are_the_dense_matrix_property(size: int, count: int, seed: int, diagonal: bool) -> None:
    """Added up in a dense matrix, any list gives each entry that is not zero once, in order."""
    rng = np.random.default_rng(seed)
    i, j, g = rng.integers(0, size, count), rng.integers(0, size, count), rng.integers(-2, 3, count).astype(float)
    G = np.zeros((size, size))
    np.add.at(G, (i, j), g)
    kept = G if diagonal else G * ~np.eye(size, dtype=bool)
    rows, columns, values = entries(torch.tensor(i), torch.tensor(j), torch.tensor(g), size, diagonal=diagonal)
    np.testing.assert_array_equal(np.array([rows, columns]).reshape(2, -1), np.nonzero(kept))
    np.testing.assert_array_equal(values, kept[np.nonzero(kept)])
    folded = np.triu(kept + kept.T, 1)
    rows, columns, values = pairs(torch.tensor(i), torch.tensor(j), torch.tensor(g), size)
    np.testing.assert_array_equal(np.array([rows, columns]).reshape(2, -1), np.nonzero(folded))
    np.testing.assert_array_equal(values, folded[np.nonzero(folded)])


@pytest.mark.parametrize("change", ["none", "weights", "zero", "turned", "order", "twice", "diagonal"])
def test_edges_of_views_alone_are_told_without_sorting_as_with_it(change: str) -> None:
    """A list that is in order and mirrored, as views give it, and lists that only look like one."""
    i, j, g = torch.arange(5), torch.arange(5) + 5, torch.ones(10)
    if change == "weights":
        g = torch.arange(1.0, 11.0)
    elif change == "zero":
        g[2], g[7] = 3.0, -3.0
    elif change == "turned":
        i, j = j, i
    elif change == "order":
        i = i.flip(0)
    elif change == "twice":
        i, j = torch.tensor([0, 1, 1, 2, 3]), torch.tensor([5, 6, 6, 7, 8])
    elif change == "diagonal":
        j = i
    i, j = torch.cat([i, j]), torch.cat([j, i])
    expected = entries(torch.minimum(i, j), torch.maximum(i, j), g, 10)
    assert [part.tolist() for part in pairs(i, j, g, 10)] == [part.tolist() for part in expected]


def test_a_sum_over_no_positive_entry_is_nothing() -> None:
    """It adds up what is positive, and where nothing is, whatever is divided by it is 0."""
    assert attractive(torch.tensor([2.0, -5.0, 1.0])) == 3.0
    assert 7.0 / attractive(torch.tensor([-1.0])) == 0.0
    assert 7.0 / attractive(torch.tensor([])) == 0.0
