"""The spectral losses against dense formulas, the eigenvalues of the graph, closed forms and symmetries."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pal_backend.core.learning.losses.spectral import SpectralTerms, scl, spectral, vicreg2
from tests.core.learning.losses.dense import (
    Matrix,
    downhill,
    embeddings,
    entries,
    laplacian,
    signed_graph,
    squared_distances,
)

HALVES = np.kron(np.eye(2), np.full((2, 2), 0.5))
"""Two samples of two views each, rows that add up to 1."""
WORKED = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])


def values(terms: SpectralTerms) -> list[float]:
    """Loss and parts as numbers."""
    return [part.item() for part in terms]


def positive(G: Matrix) -> float:
    """The sum of positive entries off the diagonal."""
    return float(np.maximum(G - np.diag(np.diag(G)), 0).sum())


def unscaled_vicreg2(Z: Matrix, G: Matrix, alpha: float) -> float:
    """|Z^T Z - I|^2 + alpha sum G_ij |z_i - z_j|^2, through the function whose sums are divided."""
    n = len(Z)
    return vicreg2(np.sqrt(n) * torch.tensor(Z), *entries(G), alpha=alpha * positive(G) / n).loss.item()


def test_sum_over_the_graph_matches_reference_laplacian() -> None:
    """Sum G_ij |z_i - z_j|^2 is 2 tr(Z^T L Z), of a signed graph too."""
    Z, G = embeddings(10, 4, 0), signed_graph(10, 1)
    attraction = vicreg2(torch.tensor(Z), *entries(G)).attraction.item() * positive(G)
    assert attraction == pytest.approx(2 * np.trace(Z.T @ laplacian(G) @ Z), abs=1e-6)
    assert attraction == pytest.approx((G * squared_distances(Z)).sum(), abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(
    R=st.integers(3, 12),
    K=st.integers(1, 14),
    alpha=st.floats(0, 3),
    scale=st.floats(0.01, 3),
    seed=st.integers(0, 999),
)
def test_squared_vicreg_is_a_factorisation_property(R: int, K: int, alpha: float, scale: float, seed: int) -> None:
    """|Z^T Z - I|^2 + alpha sum G|z_i - z_j|^2 = |Z Z^T - (I - alpha L)|^2 + K - |I - alpha L|^2 for any signed G."""
    Z, G = scale * embeddings(R, K, seed), signed_graph(R, seed + 1)
    G[0, 1] = G[1, 0] = 1.0
    target = np.eye(R) - alpha * laplacian(G)
    expected = ((Z @ Z.T - target) ** 2).sum() + K - (target**2).sum()
    assert unscaled_vicreg2(Z, G, alpha) == pytest.approx(expected, rel=1e-9, abs=1e-6)
    whole = spectral(torch.tensor(Z), *entries(target)).loss.item() + K - (target**2).sum()
    assert whole == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_two_samples_of_two_views_closed_form() -> None:
    """The worked example: squared VICReg and the distance to the graph are both 2."""
    assert unscaled_vicreg2(WORKED, HALVES, 1.0) == pytest.approx(2.0, abs=1e-12)
    assert spectral(torch.tensor(WORKED), *entries(HALVES)).loss.item() == pytest.approx(2.0, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_rows_that_add_up_to_one_make_both_losses_one_closed_form(seed: int) -> None:
    """With G 1 = 1 squared VICReg is the spectral contrastive loss plus K, 4 for four columns."""
    G = np.abs(signed_graph(8, seed))
    G = np.eye(8) - 0.1 * laplacian(G)  # rows add up to 1, symmetric
    Z = embeddings(8, 4, seed + 10)
    contrastive = spectral(torch.tensor(Z), *entries(G)).loss.item() - (G**2).sum()
    assert unscaled_vicreg2(Z, G, 1.0) - contrastive == pytest.approx(4.0, abs=1e-6)


def descended(G: Matrix, K: int, steps: int) -> torch.Tensor:
    """Where going down to G by steps against the gradient ends, from a random start."""
    Z = (0.1 * torch.tensor(embeddings(len(G), K, 3))).requires_grad_()
    for _ in range(steps):
        (gradient,) = torch.autograd.grad(spectral(Z, *entries(G)).loss, Z)
        Z = (Z - 0.2 / np.linalg.norm(G, 2) * gradient).detach().requires_grad_()
    return Z.detach()


CLASSES = np.kron(np.eye(3), np.ones((4, 4)))
PAIRS = np.kron(np.eye(6), np.full((2, 2), 0.5))


@pytest.mark.parametrize(
    ("G", "K", "value"), [(CLASSES, 3, 0.0), (CLASSES, 2, 16.0), (CLASSES, 1, 32.0), (PAIRS, 4, 2.0)]
)
def test_gradient_descent_reaches_the_eigenvalues_closed_form(G: Matrix, K: int, value: float) -> None:
    """Going down from a random start ends at |G|^2 minus the K largest eigenvalues squared."""
    Z = descended(G, K, 400)
    assert spectral(Z, *entries(G)).loss.item() == pytest.approx(value, abs=1e-6)


def test_gradient_descent_reaches_the_positive_eigenvalues_of_a_signed_graph() -> None:
    """With signs the least value leaves the negative eigenvalues over; Z is compared through Z Z^T, as it may be turned."""
    G = signed_graph(8, 4)
    eigenvalues, vectors = np.linalg.eigh(G)
    top, U = np.maximum(eigenvalues[-3:], 0), vectors[:, -3:]
    Z = descended(G, 3, 1000)
    assert spectral(Z, *entries(G)).loss.item() == pytest.approx((G**2).sum() - (top**2).sum(), abs=1e-6)
    np.testing.assert_allclose(Z @ Z.T, U * top @ U.T, atol=1e-4)


@pytest.mark.parametrize("K", [3, 12])
def test_scl_matches_reference_formula(K: int) -> None:
    """Both parts are those of dense matrices, with fewer columns than rows and with more."""
    Z, G = embeddings(7, K, 6), signed_graph(7, 8)
    products = Z @ Z.T
    attraction = -2 * (G * products).sum() / positive(G)
    repulsion = (products[~np.eye(7, dtype=bool)] ** 2).mean()
    assert values(scl(torch.tensor(Z), *entries(G))) == pytest.approx([attraction + repulsion, attraction, repulsion])


def test_squared_vicreg_matches_reference_formula() -> None:
    """Both parts are those of dense matrices, and the loss their sum with alpha."""
    Z, G = embeddings(7, 3, 8), signed_graph(7, 9)
    attraction = (G * squared_distances(Z)).sum() / positive(G)
    repulsion = ((Z.T @ Z / 7 - np.eye(3)) ** 2).sum()
    found = values(vicreg2(torch.tensor(Z), *entries(G), alpha=0.7))
    assert found == pytest.approx([repulsion + 0.7 * attraction, attraction, repulsion])


@pytest.mark.parametrize("loss", [vicreg2, scl])
def test_gradient_matches_reference_differences(loss: type) -> None:
    """The gradient is that of finite differences, statistics of some rows included."""
    Z, G = torch.tensor(embeddings(7, 3, 10), requires_grad=True), entries(signed_graph(7, 11))
    assert torch.autograd.gradcheck(lambda Z: loss(Z, *G, uniform=torch.tensor([0, 3, 4])).loss, Z)


@pytest.mark.parametrize("loss", [vicreg2, scl])
def test_statistics_come_from_the_uniform_rows_alone(loss: type) -> None:
    """The repulsion is that of the marked rows by themselves; a mask and its row numbers are the same."""
    Z, G = torch.tensor(embeddings(8, 3, 12)), entries(signed_graph(8, 13))
    mask = torch.arange(8) % 3 != 0
    marked = loss(Z, *G, uniform=mask)
    alone = loss(Z[mask], *entries(np.eye(5)))
    assert marked.repulsion.item() == pytest.approx(alone.repulsion.item(), abs=1e-12)
    assert marked.attraction == loss(Z, *G).attraction
    assert values(marked) == values(loss(Z, *G, uniform=mask.nonzero().squeeze(1)))


@pytest.mark.parametrize("loss", [vicreg2, scl])
def test_permutation_and_rotation_property(loss: type) -> None:
    """Permuting nodes together with the graph and rotating the space leave the loss alone."""
    Z, G = embeddings(8, 5, 14), signed_graph(8, 15)
    rng = np.random.default_rng(16)
    order, Q = rng.permutation(8), np.linalg.qr(rng.normal(size=(5, 5)))[0]
    plain = values(loss(torch.tensor(Z), *entries(G)))
    assert values(loss(torch.tensor(Z[order]), *entries(G[np.ix_(order, order)]))) == pytest.approx(plain, abs=1e-9)
    assert values(loss(torch.tensor(Z @ Q), *entries(G))) == pytest.approx(plain, abs=1e-9)


@pytest.mark.parametrize("loss", [vicreg2, scl])
def test_a_cannot_link_repels(loss: type) -> None:
    """The step against the gradient leaves a pair less alike when the graph says it is different."""
    Z, alike = embeddings(6, 4, 17), []
    for weight in (0.0, -1.0):
        G = np.zeros((6, 6))
        G[0, 1] = G[1, 0] = G[2, 3] = G[3, 2] = 1.0
        G[0, 2] = G[2, 0] = weight
        leaf = torch.tensor(Z, requires_grad=True)
        loss(leaf, *entries(G)).loss.backward()
        moved = downhill(Z, leaf.grad, 0.01)
        alike.append(squared_distances(moved)[0, 2] if loss is vicreg2 else -moved[0] @ moved[2])
    assert alike[1] > alike[0]


def test_a_signed_graph_does_not_run_away() -> None:
    """Going down with as many cannot-links as links ends at finite embeddings: the quartic part bounds the loss."""
    Z, G = torch.tensor(embeddings(10, 4, 18), requires_grad=True), entries(signed_graph(10, 19))
    for _ in range(300):
        (gradient,) = torch.autograd.grad(vicreg2(Z, *G).loss, Z)
        with torch.no_grad():
            Z -= 0.1 * gradient
    assert Z.abs().max() < 20
    assert gradient.abs().max() < 1e-3


@pytest.mark.parametrize("loss", [vicreg2, scl])
def test_collapsed_embeddings_and_empty_graphs_are_finite(loss: type) -> None:
    """Equal embeddings, zeros, and a graph without a positive entry give finite values and gradients."""
    for start in (0.0, 1.0):
        for G in (signed_graph(6, 20), -np.abs(signed_graph(6, 20)), np.zeros((6, 6))):
            Z = torch.full((6, 4), start, dtype=torch.float64, requires_grad=True)
            found = loss(Z, *entries(G))
            found.loss.backward()
            assert found.loss.isfinite()
            assert Z.grad is not None and Z.grad.isfinite().all()
            if not (G > 0).any():
                assert found.attraction == 0


def test_too_few_uniform_rows_are_refused() -> None:
    """A mean over no row, or over no pair of rows, is an error that says what was found."""
    Z, G = torch.zeros(4, 2), entries(signed_graph(4, 21))
    with pytest.raises(ValueError, match="1 uniform rows; expected at least 2"):
        scl(Z, *G, uniform=torch.tensor([3]))
    with pytest.raises(ValueError, match="0 uniform rows; expected at least 1"):
        vicreg2(Z, *G, uniform=torch.zeros(4, dtype=torch.bool))
