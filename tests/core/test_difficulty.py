"""What a PCA leaves out."""

from __future__ import annotations

import numpy as np
import pytest

from pal_backend.core.difficulty import KEPT, reconstruction_error


def test_it_matches_a_plain_singular_value_decomposition() -> None:
    """Against the squared distance to the span of the first right singular vectors of the centred features."""
    x = (np.random.default_rng(0).normal(size=(80, 6)) * [5, 4, 1, 0.5, 0.2, 0.1]).astype(np.float32)
    centred = (x - x.mean(axis=0)).astype(np.float64)
    _, s, v = np.linalg.svd(centred, full_matrices=False)
    count = int(np.searchsorted(np.cumsum(s**2) / (s**2).sum(), KEPT, side="right")) + 1
    expected = ((centred - centred @ v[:count].T @ v[:count]) ** 2).sum(axis=1)
    assert reconstruction_error(x) == pytest.approx(expected, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("x", [np.ones((5, 3)), np.ones((1, 3)), np.arange(8.0)[:, None]])
def test_nothing_to_tell_is_zero(x: np.ndarray) -> None:
    """Equal samples, one sample, one feature: no sample is harder than another."""
    found = reconstruction_error(x.astype(np.float32))
    assert found.shape == (len(x),) and found == pytest.approx(np.zeros(len(x)), abs=1e-6)
