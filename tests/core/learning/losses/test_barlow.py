"""Barlow Twins on a graph against lightly's, a dense formula, closed forms and symmetries."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pal_backend.core.learning.losses.barlow import barlow
from tests.core.learning.losses.dense import Matrix, embeddings, entries, signed_graph, view_entries


def by_formula(Z: Matrix, G: Matrix, U: Matrix, repulsion: float) -> list[float]:
    """The two parts as the docstring states them, with dense matrices; statistics over the rows U."""
    X = (Z - U.mean(axis=0)) / np.sqrt(U.var(axis=0) + 1e-5)
    same, other = np.maximum(G, 0), np.maximum(-G, 0)
    weight = min(repulsion, same.sum() / (2 * other.sum())) if other.any() else 0.0
    C = X.T @ ((same - weight * other) / same.sum()) @ X
    return [float(((np.diag(C) - 1) ** 2).sum()), float((C**2).sum() - (np.diag(C) ** 2).sum())]


def standardised_views(samples: int, K: int, seed: int) -> torch.Tensor:
    """Two correlated views of each sample, each view's columns with mean 0 and variance 1."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(samples, K))
    second = first + 0.5 * rng.normal(size=(samples, K))
    return torch.tensor(np.concatenate([(view - view.mean(0)) / view.std(0) for view in (first, second)]))


@pytest.mark.parametrize("repulsion", [0.2, 50.0])
def test_signed_graph_matches_reference_formula(repulsion: float) -> None:
    """Each part is that of the dense formula, with the weight asked for and where it is held back."""
    Z, G = embeddings(9, 4, 0), signed_graph(9, 1)
    terms = barlow(torch.tensor(Z), *entries(G), redundancy=0.3, repulsion=repulsion)
    parts = by_formula(Z, G, Z, repulsion)
    assert [part.item() for part in terms[1:]] == pytest.approx(parts, abs=1e-10)
    assert terms.loss.item() == pytest.approx(parts[0] + 0.3 * parts[1], abs=1e-10)


def test_two_views_match_reference_of_lightly() -> None:
    """With C of one view with the other, ours has (C + C^T) / 2: lightly's is ours plus lambda |(C - C^T) / 2|^2."""
    peer = pytest.importorskip("lightly.loss", reason="lightly is installed by `make test`").BarlowTwinsLoss
    Z = standardised_views(30, 5, 2)
    first, second = Z.chunk(2)
    C = first.T @ second / 30
    skew = ((C - C.T) / 2).square().sum().item()
    assert skew > 0.05
    ours = barlow(Z, *view_entries(30), redundancy=0.7)
    assert peer(0.7)(first, second).item() == pytest.approx(ours.loss.item() + 0.7 * skew, abs=2e-4)  # eps of both
    twice = torch.cat([Z, second, first])  # each view once as first, once as second: C is symmetric
    both = peer(0.7)(twice[:60], twice[60:]).item()
    assert barlow(twice, *view_entries(60), redundancy=0.7).loss.item() == pytest.approx(both, abs=1e-10)


def test_equal_white_views_cost_nothing_closed_form() -> None:
    """Two equal views with covariance I: C is the identity, up to what keeps a constant column finite."""
    corners = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    assert barlow(torch.cat([corners, corners]), *view_entries(4)).loss.item() == pytest.approx(0, abs=1e-9)


def test_gradient_matches_reference_differences() -> None:
    """With a signed graph, and statistics of all or some rows, the gradient of each part is that of finite differences."""
    Z, G = torch.tensor(embeddings(7, 3, 4)).requires_grad_(), entries(signed_graph(7, 5))
    assert torch.autograd.gradcheck(lambda Z: barlow(Z, *G)[1:], Z)
    assert torch.autograd.gradcheck(lambda Z: barlow(Z, *G, uniform=torch.tensor([0, 2, 3, 6]))[1:], Z)


def test_statistics_come_from_the_uniform_rows_alone() -> None:
    """A mask and its row numbers are the same, and the parts those of the dense formula with these statistics."""
    Z, G = embeddings(9, 4, 7), signed_graph(9, 8)
    mask = torch.tensor([True, False, True, True, False, True, True, False, True])
    first = barlow(torch.tensor(Z), *entries(G), uniform=mask)
    second = barlow(torch.tensor(Z), *entries(G), uniform=mask.nonzero().squeeze(1))
    assert [part.item() for part in first] == [part.item() for part in second]
    assert [part.item() for part in first[1:]] == pytest.approx(by_formula(Z, G, Z[mask.numpy()], 1.0), abs=1e-10)


def test_scale_and_place_property() -> None:
    """Scaling and shifting columns, and permuting rows together with the graph, change nothing."""
    Z, G = embeddings(8, 5, 10), signed_graph(8, 11)
    order = np.random.default_rng(12).permutation(8)
    plain = [part.item() for part in barlow(torch.tensor(Z), *entries(G))]
    moved = barlow(torch.tensor(3 * Z[order] + np.arange(5)), *entries(G[np.ix_(order, order)]))
    assert [part.item() for part in moved] == pytest.approx(plain, rel=1e-4)


def test_a_cannot_link_parts_its_ends_and_never_makes_the_aim_unreachable() -> None:
    """The step against the gradient lowers the agreement of a "different" pair; however heavy, it weighs half at most."""
    Z = torch.tensor(embeddings(6, 3, 13), requires_grad=True)
    G = np.zeros((6, 6))
    for a, b, g in ((0, 1, 1.0), (2, 3, 1.0), (4, 5, -0.9)):
        G[a, b] = G[b, a] = g
    agreement = []
    for each in (G, np.maximum(G, 0)):
        after = Z - 0.01 * torch.autograd.grad(barlow(Z, *entries(each)).loss, Z)[0]
        X = (after - after.mean(dim=0)) / after.std(dim=0)
        agreement.append((X[4] @ X[5]).item())
    assert agreement[0] < agreement[1]
    heavy = barlow(Z, *entries(np.where(G < 0, -1e6, G)))
    half = barlow(Z, *entries(np.where(G < 0, -1.0, G)), repulsion=1e6)
    assert heavy.loss.item() == pytest.approx(half.loss.item(), rel=1e-9)


def test_collapsed_embeddings_and_graphs_without_positives_are_finite() -> None:
    """All rows equal, or nothing "same": the invariance is K, and the gradient a number."""
    Z = torch.ones(6, 4, dtype=torch.float64, requires_grad=True)
    terms = barlow(Z, *entries(signed_graph(6, 6)))
    terms.loss.backward()  # type: ignore[no-untyped-call]
    assert terms.invariance.item() == pytest.approx(4.0)
    assert Z.grad is not None and Z.grad.isfinite().all()
    nothing = barlow(torch.tensor(embeddings(6, 4, 1)), *entries(-np.ones((6, 6))))
    assert [part.item() for part in nothing[1:]] == [4.0, 0.0]


def test_too_few_uniform_rows_and_a_wrong_mask_are_refused() -> None:
    """A variance of one row, and a mask of another length, are errors that say what was found."""
    Z, G = torch.zeros(4, 2), entries(signed_graph(4, 15))
    with pytest.raises(ValueError, match="1 uniform rows; expected at least 2"):
        barlow(Z, *G, uniform=torch.tensor([3]))
    with pytest.raises(ValueError, match=r"mask of shape \(3,\) does not fit 4 rows"):
        barlow(Z, *G, uniform=torch.ones(3, dtype=torch.bool))
