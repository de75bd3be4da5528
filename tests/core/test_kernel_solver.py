"""The solver's kernel form: beside the linear form, and how far a small change turns its span."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from pal_backend.core.kernel_solver import KernelSolver, laplacian_kernel, sensitivity
from pal_backend.core.solver import Solver

RNG = np.random.default_rng(0)
POINTS = RNG.standard_normal((30, 2))
KERNEL = laplacian_kernel(POINTS, POINTS, 0.5)
DRAWN = np.triu(RNG.choice([-1.0, 0.0, 1.0], (30, 30), p=[0.1, 0.8, 0.1]), 1)
GRAPH = DRAWN + DRAWN.T + np.eye(30)


def test_kernel_matches_reference() -> None:
    """exp(-distance / width), point by point: not the squared distance."""
    expected = [[np.exp(-np.linalg.norm(a - b) / 0.5) for b in POINTS] for a in POINTS]
    assert pytest.approx(np.asarray(expected)) == KERNEL


def test_it_is_the_linear_form_in_the_kernels_space() -> None:
    """With X = K^{1/2}, scaled by the eigenvalues' roots, ZZ^T is that of the linear solver."""
    s, v = np.linalg.eigh(KERNEL)
    root = v @ np.diag(np.sqrt(s)) @ v.T
    linear = Solver(root, sparse.csr_array(GRAPH), dimension=4, ridge=0.01, centred=False).solve()
    found = KernelSolver(KERNEL, dimension=4, ridge=0.01).solve(GRAPH)
    assert found.values == pytest.approx(linear.values, abs=1e-6)
    z, scaled = linear.embed(root), found.embedding * np.sqrt(found.values)
    assert z @ z.T == pytest.approx(scaled @ scaled.T, abs=1e-6)


def test_samples_themselves_are_carried_to_their_embedding() -> None:
    """phi(x_i) = z_i: the map takes the samples where the solution put them."""
    found = KernelSolver(KERNEL, dimension=4).solve(GRAPH)
    assert found.embed(KERNEL) == pytest.approx(found.embedding, abs=1e-6)


def test_permutation_property() -> None:
    """Samples in another order: the same projector, row by row."""
    order = RNG.permutation(30)
    z = KernelSolver(KERNEL, dimension=4).solve(GRAPH).embedding
    moved = KernelSolver(KERNEL[np.ix_(order, order)], dimension=4).solve(GRAPH[np.ix_(order, order)]).embedding
    assert moved @ moved.T == pytest.approx((z @ z.T)[np.ix_(order, order)], abs=1e-9)


def test_a_point_that_occurs_twice_is_no_harm() -> None:
    """A singular kernel matrix gives a finite embedding in which the twins are together."""
    points = np.concatenate([POINTS, POINTS[:1]])
    graph = np.eye(31)
    graph[:30, :30] = GRAPH
    graph[30], graph[:, 30] = graph[0], graph[:, 0]
    solver = KernelSolver(laplacian_kernel(points, points, 0.5), dimension=4)
    found = solver.solve(graph)
    placed = found.embed(laplacian_kernel(points, points, 0.5))
    assert np.isfinite(placed).all()
    assert placed[0] == pytest.approx(placed[30], abs=1e-9)


def test_more_dimensions_than_samples() -> None:
    """There are as many columns as samples, no more; and a kernel that is not square is refused."""
    assert KernelSolver(np.eye(3), dimension=5).solve(np.eye(3)).embedding.shape == (3, 3)
    with pytest.raises(ValueError, match="kernel of shape"):
        KernelSolver(np.ones((3, 2)), dimension=1)


def test_sensitivity_matches_finite_difference() -> None:
    """What the projector moves for a weight of 1e-5 on a pair, to a relative error below 1e-4."""
    step, kept = 1e-5, 4
    matrix = np.random.default_rng(1).standard_normal((12, 12))
    matrix = (matrix + matrix.T) / 2.0
    values, vectors = np.linalg.eigh(matrix)
    pairs = np.asarray([(i, j) for i in range(12) for j in range(i + 1, 12)])
    found = sensitivity(values[::-1], vectors[:, ::-1], kept, pairs)

    def projector(m: np.ndarray) -> np.ndarray:
        u = np.linalg.eigh(m)[1][:, -kept:]
        return np.asarray(u @ u.T)

    for (i, j), told in zip(pairs, found, strict=True):
        moved = np.zeros((12, 12))
        moved[i, j] = moved[j, i] = step
        # both sides, so that terms of second order fall out
        difference = (projector(matrix + moved) - projector(matrix - moved)) / (2.0 * step)
        assert told == pytest.approx((difference**2).sum(), rel=1e-4)
