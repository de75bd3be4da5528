"""VICReg on a graph against lightly's, a dense formula, closed forms and symmetries."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pal_backend.core.learning.losses.vicreg import vicreg
from tests.core.learning.losses.dense import (
    Matrix,
    downhill,
    embeddings,
    entries,
    signed_graph,
    squared_distances,
    view_entries,
)


def by_formula(Z: Matrix, G: Matrix, U: Matrix, m: float) -> list[float]:
    """The four parts as the docstring states them, with dense matrices; statistics over the rows U."""
    K = Z.shape[1]
    d2 = squared_distances(Z)
    same, other = np.maximum(G, 0), np.maximum(-G, 0)
    C = np.cov(U, rowvar=False)
    return [
        (same * d2).sum() / same.sum() / K,
        np.maximum(0, 1 - np.sqrt(np.diag(C) + 1e-4)).mean(),
        ((C - np.diag(np.diag(C))) ** 2).sum() / K,
        (other * np.maximum(0, m - np.sqrt(d2)) ** 2).sum() / other.sum() / K,
    ]


def test_signed_graph_matches_reference_formula() -> None:
    """Each part is that of the dense formula, and the loss their weighted sum."""
    Z, G = 0.6 * embeddings(9, 4, 0), signed_graph(9, 1)
    weights = [2.0, 3.0, 5.0, 7.0]
    terms = vicreg(torch.tensor(Z), *entries(G), invariance=2, variance=3, covariance=5, repulsion=7, margin=1.5)
    parts = by_formula(Z, G, Z, 1.5)
    assert [part.item() for part in terms[1:]] == pytest.approx(parts, abs=1e-12)
    assert terms.loss.item() == pytest.approx(np.dot(weights, parts), abs=1e-12)
    assert min(parts) > 0


def test_parts_match_reference_of_lightly() -> None:
    """Invariance is lightly's of the two views; variance is its of all rows, covariance half of its sum over two branches."""
    peer = pytest.importorskip("lightly.loss", reason="lightly is installed by `make test`").VICRegLoss
    Z = 0.5 * torch.tensor(embeddings(20, 6, 2))
    terms = vicreg(Z, *view_entries(10))
    assert terms.invariance.item() == pytest.approx(peer(1, 0, 0)(*Z.chunk(2)).item(), abs=1e-12)
    assert terms.variance.item() == pytest.approx(peer(0, 1, 0)(Z, Z).item(), abs=1e-12)
    assert terms.covariance.item() == pytest.approx(peer(0, 0, 1)(Z, Z).item() / 2, abs=1e-12)


def test_gradient_matches_reference_of_lightly() -> None:
    """With its weights (covariance counted once) the gradient is that of lightly's loss, statistics over all rows."""
    peer = pytest.importorskip("lightly.loss", reason="lightly is installed by `make test`").VICRegLoss
    Z = (0.5 * torch.tensor(embeddings(20, 6, 3))).requires_grad_()
    ours = vicreg(Z, *view_entries(10)).loss
    theirs = peer(25, 0, 0)(*Z.chunk(2)) + peer(0, 25, 0.5)(Z, Z)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-10)
    torch.testing.assert_close(*(torch.autograd.grad(loss, Z)[0] for loss in (ours, theirs)), rtol=1e-9, atol=1e-11)


def test_gradient_matches_reference_differences() -> None:
    """With a signed graph and statistics of some rows the gradient is that of finite differences."""
    Z = (0.5 * torch.tensor(embeddings(7, 3, 4))).requires_grad_()
    G, uniform = entries(signed_graph(7, 5)), torch.tensor([0, 2, 3, 6])
    assert torch.autograd.gradcheck(lambda Z: vicreg(Z, *G, uniform=uniform).loss, Z)


def test_whitened_views_closed_form() -> None:
    """Equal views with covariance 4/3 I cost nothing, and a cannot-link between opposite corners nothing beyond m."""
    corners = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    G = np.zeros((4, 4))
    G[0, 3] = G[3, 0] = -1.0
    assert [part.item() for part in vicreg(torch.tensor(corners), *entries(G))] == [0.0] * 5
    near = vicreg(torch.tensor(corners), *entries(G), margin=math.sqrt(8) + 1)
    assert near.repulsion.item() == pytest.approx(0.5, abs=1e-12)  # one squared, over K = 2
    default = vicreg(torch.zeros(4, 2, dtype=torch.float64), *entries(G))
    assert default.repulsion.item() == pytest.approx((0.7 * 2) ** 2 / 2, abs=1e-12)


def test_collapsed_embeddings_have_a_finite_gradient_closed_form() -> None:
    """With all embeddings equal the variance is .99 and nothing is infinite, cannot-links included."""
    Z = torch.ones(6, 4, dtype=torch.float64, requires_grad=True)
    terms = vicreg(Z, *entries(signed_graph(6, 6)))
    terms.loss.backward()  # type: ignore[no-untyped-call]
    assert terms.variance.item() == pytest.approx(0.99, abs=1e-12)
    assert terms.invariance.item() == terms.covariance.item() == 0.0
    assert Z.grad is not None and Z.grad.isfinite().all()


def test_statistics_come_from_the_uniform_rows_alone() -> None:
    """Moving other rows changes neither variance nor covariance; a mask and its row numbers are the same."""
    Z, G = embeddings(9, 4, 7), signed_graph(9, 8)
    mask = torch.tensor([True, False, True, True, False, True, True, False, True])
    first = vicreg(torch.tensor(Z), *entries(G), uniform=mask)
    moved = Z + 3.0 * (~mask.numpy())[:, None]
    second = vicreg(torch.tensor(moved), *entries(G), uniform=mask.nonzero().squeeze(1))
    assert (first.variance, first.covariance) == (second.variance, second.covariance)
    parts = by_formula(Z, G, Z[mask.numpy()], 0.7 * math.sqrt(8))
    assert [part.item() for part in first[1:]] == pytest.approx(parts, abs=1e-12)
    assert not np.allclose(first.invariance, second.invariance)


def test_a_cannot_link_parts_its_ends_and_no_further_than_the_margin() -> None:
    """The step against the gradient moves a "different" pair apart, and a pair beyond the margin not at all."""
    Z = 0.1 * embeddings(4, 3, 9)
    Z[2:] *= 100
    G = np.zeros((4, 4))
    G[0, 1] = G[1, 0] = G[2, 3] = G[3, 2] = -0.5
    leaf = torch.tensor(Z, requires_grad=True)
    vicreg(leaf, *entries(G), variance=0, covariance=0).loss.backward()  # type: ignore[no-untyped-call]
    before, after = squared_distances(Z), squared_distances(downhill(Z, leaf.grad, 0.01))
    assert after[0, 1] > before[0, 1]
    assert after[2, 3] == before[2, 3]


def test_permutation_property() -> None:
    """Permuting nodes together with the graph leaves every part alone; so does a shift of all embeddings."""
    Z, G = embeddings(8, 5, 10), signed_graph(8, 11)
    order = np.random.default_rng(12).permutation(8)
    plain = [part.item() for part in vicreg(torch.tensor(Z), *entries(G))]
    permuted = vicreg(torch.tensor(Z[order] + 2.0), *entries(G[np.ix_(order, order)]))
    assert [part.item() for part in permuted] == pytest.approx(plain, abs=1e-10)


def test_entries_listed_twice_add_up_and_the_diagonal_is_ignored() -> None:
    """Halves of an entry count as the whole, one direction with twice the weight as both, and (i, i) as nothing."""
    Z, G = torch.tensor(embeddings(6, 3, 13)), signed_graph(6, 14)
    i, j, g = entries(G)
    own = torch.arange(6)
    plain = vicreg(Z, i, j, g)
    twice = vicreg(Z, torch.cat([i, i, own]), torch.cat([j, j, own]), torch.cat([g / 2, g / 2, torch.ones(6).double()]))
    once = vicreg(Z, *entries(2 * np.triu(G)))
    torch.testing.assert_close(tuple(twice), tuple(plain))
    torch.testing.assert_close(tuple(once), tuple(plain))


def test_too_few_uniform_rows_and_a_wrong_mask_are_refused() -> None:
    """A variance of one row, and a mask of another length, are errors that say what was found."""
    Z, G = torch.zeros(4, 2), entries(signed_graph(4, 15))
    with pytest.raises(ValueError, match="1 uniform rows; expected at least 2"):
        vicreg(Z, *G, uniform=torch.tensor([3]))
    with pytest.raises(ValueError, match=r"mask of shape \(3,\) does not fit 4 rows"):
        vicreg(Z, *G, uniform=torch.ones(3, dtype=torch.bool))
