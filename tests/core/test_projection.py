"""A map keeps what is near together, always the same way."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors

from pal_backend.core.places import LARGEST
from pal_backend.core.projection import LEAST, project

DIGITS = (load_digits().data[:400] / 16).astype(np.float32)
LABELS = load_digits().target[:400]


def test_neighbours_stay_neighbours() -> None:
    """On the map nine in ten of the nearest ten are of the same digit, as among the features; the map fills its range."""
    found = project(DIGITS, seed=0)
    assert found.method == "t-SNE" and found.rows.tolist() == list(range(400))
    assert found.xy.dtype == np.uint16 and (np.ptp(found.xy, axis=0).max(), found.xy.min()) == (LARGEST, 0)
    near = NearestNeighbors(n_neighbors=11).fit(found.xy).kneighbors(return_distance=False)
    assert (LABELS[near] == LABELS[:, None]).mean() > 0.85


def test_the_same_features_lie_the_same_way() -> None:
    """Whoever makes the map again makes the same one."""
    first, second = project(DIGITS[:60], seed=3), project(DIGITS[:60], seed=3)
    assert np.array_equal(first.xy, second.xy)


def test_of_a_larger_pool_a_uniform_sample_is_drawn() -> None:
    """By the seed, each row at most once, in order."""
    rows = project(DIGITS, seed=1, most=40).rows
    assert len(rows) == 40 and (np.diff(rows) > 0).all()
    assert not np.array_equal(rows, project(DIGITS, seed=2, most=40).rows)
    assert np.array_equal(rows, project(DIGITS, seed=1, most=40).rows)


@pytest.mark.parametrize("samples", [0, 1, 2, LEAST - 1, LEAST])
@pytest.mark.parametrize("columns", [1, 3])
def test_few_samples_have_a_map_too(samples: int, columns: int) -> None:
    """Too few for neighbours: the strongest components."""
    found = project(np.random.default_rng(0).normal(size=(samples, columns)).astype(np.float32), seed=0)
    assert found.xy.shape == (samples, 2)


def test_samples_that_are_all_alike_lie_on_one_place() -> None:
    """No direction is stronger than another."""
    assert len(np.unique(project(np.ones((30, 4), np.float32), seed=0).xy, axis=0)) == 1
