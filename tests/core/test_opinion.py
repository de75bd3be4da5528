"""The second opinion: a linear smoother, honest about what it is asked."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.kernel_approximation import Nystroem
from sklearn.metrics import pairwise_distances

from pal_backend.core.opinion import PROBES, RANK, SHARE, Smoother, gaussian_map
from tests.core.worlds import clusters

SPACE, LABELS = clusters(groups=3, each=40, spread=0.4)
BELIEFS = np.random.default_rng(0).dirichlet(np.ones(3), 120).astype(np.float32)


def test_a_row_is_told_by_all_others_alone() -> None:
    """Without its own belief: the fixed point of putting what is said of it in its place, and its belief tells nothing."""
    smoother = Smoother(gaussian_map(SPACE.features))
    found = smoother.without_itself(BELIEFS)
    hat = smoother._map @ smoother._inverse @ smoother._map.T
    for row in range(0, 120, 7):
        others = np.delete(np.arange(120), row)
        left_out = hat[row, others] @ BELIEFS[others] / (1.0 - hat[row, row])
        assert found[row] == pytest.approx(left_out, abs=1e-3)
        changed = BELIEFS.copy()
        changed[row] = [5.0, -3.0, 1.0]
        assert smoother.without_itself(changed)[row] == pytest.approx(found[row], abs=1e-3)


def test_leaving_a_row_out_matches_ridge_regression_without_it() -> None:
    """The shortcut equals the ridge fit to the rest of the samples, in the same map."""
    smoother = Smoother(gaussian_map(SPACE.features))
    found, mapped = smoother.without_itself(BELIEFS), smoother._map.astype(np.float64)
    ridge = np.linalg.inv(smoother._inverse.astype(np.float64)) - mapped.T @ mapped
    for row in (0, 50, 119):
        rest = np.delete(np.arange(120), row)
        fit = np.linalg.solve(mapped[rest].T @ mapped[rest] + ridge, mapped[rest].T @ BELIEFS[rest])
        assert found[row] == pytest.approx(mapped[row] @ fit, abs=5e-3)


def test_it_foretells_clusters() -> None:
    """With beliefs in the clusters, a sample given a wrong one is told right by the others."""
    space, _ = clusters(groups=3, each=40, spread=0.2)
    truth = np.eye(3, dtype=np.float32)[LABELS]
    wrong = truth.copy()
    wrong[::10] = np.roll(truth[::10], 1, axis=1)
    found = Smoother(gaussian_map(space.features)).without_itself(wrong)
    assert (found[::10].argmax(axis=1) == LABELS[::10]).mean() > 0.9


def test_memory_is_that_of_the_factors() -> None:
    """N x (M + 1) and (M + 1) x (M + 1), never N x N; and a pool of one or two samples is fine."""
    space, _ = clusters(groups=3, each=500)
    smoother = Smoother(gaussian_map(space.features))
    arrays = {id(value): value for value in vars(smoother).values() if isinstance(value, np.ndarray)}
    assert sum(array.size for array in arrays.values()) <= (1500 + RANK + 1) * (RANK + 1) + 2 * 1500
    for n in (1, 2):
        assert np.isfinite(Smoother(gaussian_map(space.features[:n])).without_itself(np.ones((n, 2), np.float32))).all()


def test_of_a_large_pool_a_sample_is_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody is told much the same as when all are learned from, and what is believed of the others makes no difference."""
    space, labels = clusters(groups=3, each=200, spread=0.3)
    mapped, beliefs = gaussian_map(space.features), np.eye(3, dtype=np.float32)[labels]
    by_all = Smoother(mapped).without_itself(beliefs)
    monkeypatch.setattr("pal_backend.core.opinion.TAUGHT", 300)
    smoother = Smoother(mapped)
    found, others = smoother.without_itself(beliefs), np.setdiff1d(np.arange(600), smoother.taught)
    assert len(smoother.taught) == 300 and np.bincount(labels[smoother.taught]).min() > 70
    assert np.abs(found - by_all).mean() < 0.05 and (found.argmax(axis=1) == by_all.argmax(axis=1)).mean() > 0.98
    changed = beliefs.copy()
    changed[others] = 1.0 - changed[others]
    assert smoother.without_itself(changed) == pytest.approx(found, abs=1e-5)
    rows = np.concatenate([smoother.taught, others[[0, 7]]])
    assert smoother.of_taught(beliefs, others[[0, 7]]) == pytest.approx(found[rows], abs=1e-5)


def test_the_strongest_directions_of_the_kernel_are_kept() -> None:
    """With more landmarks than directions, products come as near to the kernel as the best map of that rank from them."""
    space, _ = clusters(groups=30, each=60, spread=0.6)
    mapped = gaussian_map(space.features)
    assert mapped.shape == (1800, RANK) and mapped.dtype == np.float32
    squared = pairwise_distances(space.features, metric="sqeuclidean")
    probes = np.random.default_rng(0).choice(1800, PROBES, replace=False)
    width = np.partition(squared[probes], int(SHARE * 1800), axis=1)[:, int(SHARE * 1800)].mean()
    kernel = np.exp(-squared / width)
    best = np.linalg.eigvalsh(kernel)[:-RANK]
    missed = np.linalg.norm(kernel - mapped @ mapped.T)
    few = Nystroem(gamma=1.0 / width, n_components=RANK, random_state=0).fit_transform(space.features)
    assert np.linalg.norm(best) <= missed * 1.001
    assert missed < 0.8 * np.linalg.norm(kernel - few @ few.T)
