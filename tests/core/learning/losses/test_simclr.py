"""SimCLR on a graph against independent references, closed forms and symmetries."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy, normalize

from pal_backend.core.learning.losses.simclr import simclr, simclr_terms
from tests.core.learning.losses.dense import embeddings, entries, signed_graph, view_entries


def by_formula(Z: NDArray[np.float64], G: NDArray[np.float64], tau: float, beta: float = 0.0) -> float:
    """The loss as its docstring states it, with dense matrices and loops."""
    Zn = Z / np.linalg.norm(Z, axis=1, keepdims=True)
    s = Zn @ Zn.T / tau
    R = len(Z)
    rows = []
    for i in range(R):
        positive = {j: G[i, j] for j in range(R) if j != i and G[i, j] > 0}
        if not positive:
            continue
        below = sum((1 + beta * max(-G[i, k], 0.0)) * math.exp(s[i, k]) for k in range(R) if k != i)
        total = sum(positive.values())
        rows.append(-sum(g / total * math.log(math.exp(s[i, j]) / below) for j, g in positive.items()))
    return float(np.mean(rows)) if rows else 0.0


@pytest.mark.parametrize(("tau", "value"), [(1.0, 0.5514447139), (0.2, 0.0133859017)])
def test_two_orthogonal_pairs_of_views_closed_form(tau: float, value: float) -> None:
    """Two samples of two equal views each, orthogonal to each other, give the value worked out by hand."""
    Z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
    i = torch.arange(4)
    loss = simclr(Z, i, i ^ 1, torch.ones(4, dtype=torch.float64), temperature=tau)
    assert loss.item() == pytest.approx(value, abs=1e-9)


def test_simplex_optimum_closed_form() -> None:
    """Three classes of four at the corners of a simplex with the graph of equal labels give 1.1000860937."""
    corners = np.eye(3) - 1 / 3
    y = np.repeat(np.arange(3), 4)
    G = (y[:, None] == y[None, :]).astype(float) - np.eye(12)
    loss = simclr(torch.tensor(corners[y]), *entries(G / G.sum(axis=1, keepdims=True)), temperature=0.2)
    assert loss.item() == pytest.approx(1.1000860937, abs=1e-9)


def test_views_graph_matches_reference_nt_xent() -> None:
    """With the two views of each sample as edges it is NT-Xent, written as a cross-entropy over the other rows."""
    Z = torch.tensor(embeddings(10, 6, 0))
    Zn = normalize(Z, dim=1)
    logits = (Zn @ Zn.T / 0.3).masked_fill(torch.eye(10, dtype=torch.bool), -torch.inf)
    partner = (torch.arange(10) + 5) % 10
    loss = simclr(Z, torch.arange(10), partner, torch.ones(10, dtype=torch.float64), temperature=0.3)
    assert loss.item() == pytest.approx(cross_entropy(logits, partner).item(), abs=1e-12)


def test_label_graph_matches_reference_supcon_out_and_bounds_supcon_in() -> None:
    """With equal labels as edges it is SupCon's mean outside the log, at least the mean inside plus ln of the positives."""
    Z, y = embeddings(12, 5, 1), np.repeat(np.arange(3), 4)
    same = (y[:, None] == y[None, :]) & ~np.eye(12, dtype=bool)
    Zn = Z / np.linalg.norm(Z, axis=1, keepdims=True)
    e = np.exp(Zn @ Zn.T / 0.2) * ~np.eye(12, dtype=bool)
    p = e / e.sum(axis=1, keepdims=True)
    outside = np.mean([-np.log(p[i][same[i]]).mean() for i in range(12)])
    inside = np.mean([-np.log(p[i][same[i]].sum()) for i in range(12)])
    loss = simclr(torch.tensor(Z), *entries(same.astype(float)), temperature=0.2).item()
    assert loss == pytest.approx(outside, abs=1e-9)
    assert loss >= inside + math.log(3)


@pytest.mark.parametrize("block", [1, 3, 1024])
def test_signed_graph_matches_reference_formula_in_any_blocks(block: int) -> None:
    """A signed graph gives the formula's value, cannot-links in the denominator included, however rows are split."""
    Z, G = embeddings(9, 4, 2), signed_graph(9, 3)
    loss = simclr(torch.tensor(Z), *entries(G), temperature=0.5, repulsion=2.0, block=block)
    assert loss.item() == pytest.approx(by_formula(Z, G, 0.5, beta=2.0), abs=1e-9)


def test_gradient_does_not_depend_on_the_blocks() -> None:
    """Recomputing blocks in the backward pass gives the gradient of one block."""
    gradients = []
    for block in (4, 1024):
        Z = torch.tensor(embeddings(11, 4, 4), requires_grad=True)
        simclr(Z, *entries(signed_graph(11, 5)), temperature=0.3, block=block).backward()  # type: ignore[no-untyped-call]
        assert Z.grad is not None
        gradients.append(Z.grad)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-10, atol=1e-12)


def test_permutation_and_rotation_property() -> None:
    """Permuting nodes together with the graph, rotating the space and rescaling rows all leave the loss alone."""
    Z, G = embeddings(8, 5, 6), signed_graph(8, 7)
    rng = np.random.default_rng(8)
    order = rng.permutation(8)
    Q = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    plain = simclr(torch.tensor(Z), *entries(G)).item()
    assert simclr(torch.tensor(Z[order]), *entries(G[np.ix_(order, order)])).item() == pytest.approx(plain, abs=1e-10)
    assert simclr(torch.tensor(Z @ Q), *entries(G)).item() == pytest.approx(plain, abs=1e-10)
    scaled = Z * rng.uniform(0.1, 9.0, size=(8, 1))
    assert simclr(torch.tensor(scaled), *entries(G)).item() == pytest.approx(plain, abs=1e-10)


def test_scaling_the_positive_weights_changes_nothing_property() -> None:
    """Only the proportions of a row's positive weights count."""
    Z, G = torch.tensor(embeddings(8, 5, 9)), np.abs(signed_graph(8, 10))
    assert simclr(Z, *entries(3.0 * G)).item() == pytest.approx(simclr(Z, *entries(G)).item(), abs=1e-10)


def test_entries_listed_twice_add_up_and_the_diagonal_is_ignored() -> None:
    """Halves of an entry count as the whole, and entries (i, i) as nothing."""
    Z, (i, j, g) = torch.tensor(embeddings(6, 3, 11)), entries(signed_graph(6, 12))
    own = torch.arange(6)
    twice = simclr(Z, torch.cat([i, i, own]), torch.cat([j, j, own]), torch.cat([g / 2, g / 2, torch.ones(6).double()]))
    assert twice.item() == pytest.approx(simclr(Z, i, j, g).item(), abs=1e-12)


def test_rows_without_a_positive_are_skipped() -> None:
    """A row that has only cannot-links or nothing adds no term, and a graph without positives gives 0 with a gradient."""
    Z, G = embeddings(5, 3, 13), np.zeros((5, 5))
    G[0, 1] = G[1, 0] = 1.0
    G[2, 3] = G[3, 2] = -1.0
    loss = simclr(torch.tensor(Z), *entries(G), temperature=0.2, repulsion=2.0)
    assert loss.item() == pytest.approx(by_formula(Z, G, 0.2, beta=2.0), abs=1e-9)
    leaf = torch.tensor(Z, requires_grad=True)
    nothing = simclr(leaf, *entries(np.minimum(G, 0.0)))
    nothing.backward()  # type: ignore[no-untyped-call]
    assert nothing.item() == 0.0
    assert leaf.grad is not None
    assert not leaf.grad.any()


def test_a_cannot_link_pushes_harder_than_an_ordinary_negative() -> None:
    """The step against the gradient moves a pair further apart when the graph says they are different."""
    Z = embeddings(6, 4, 14)
    G = np.zeros((6, 6))
    G[0, 1] = G[1, 0] = G[2, 3] = G[3, 2] = 1.0
    similarities = []
    for weight in (0.0, -1.0):
        G[0, 2] = G[2, 0] = weight
        leaf = torch.tensor(Z, requires_grad=True)
        simclr(leaf, *entries(G), repulsion=4.0).backward()  # type: ignore[no-untyped-call]
        assert leaf.grad is not None
        moved = normalize(leaf.detach() - 0.05 * leaf.grad, dim=1)
        similarities.append(float(moved[0] @ moved[2]))
    assert similarities[1] < similarities[0]


def test_matches_reference_nt_xent_of_lightly_with_gradient() -> None:
    """On two views of twelve samples value and gradient are those of lightly's NTXentLoss."""
    found = []
    for ours in (True, False):
        Z = torch.tensor(embeddings(24, 6, 15), requires_grad=True)
        peer = pytest.importorskip("lightly.loss", reason="lightly is installed by `make test`").NTXentLoss(0.2)
        loss = simclr(Z, *view_entries(12), temperature=0.2) if ours else peer(*Z.chunk(2))
        loss.backward()
        assert Z.grad is not None
        found.append((loss.detach(), Z.grad))
    torch.testing.assert_close(found[0], found[1], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("block", [2, 512])
def test_gradient_matches_reference_differences(block: int) -> None:
    """The gradient that is worked out in the forward pass is that of finite differences, cannot-links included."""
    Z = torch.tensor(embeddings(7, 3, 16), requires_grad=True)
    G = entries(signed_graph(7, 17))
    assert torch.autograd.gradcheck(lambda Z: simclr(Z, *G, temperature=0.4, block=block), Z)


def test_similarities_worked_out_again_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Value and gradient do not depend on whether similarities are kept between the two walks."""
    found = []
    for limit in (0, 2**20):
        monkeypatch.setattr("pal_backend.core.learning.denominators._KEPT_BYTES", limit)
        Z = torch.tensor(embeddings(11, 4, 18), requires_grad=True)
        loss = simclr(Z, *entries(signed_graph(11, 19)), block=4)
        loss.backward()  # type: ignore[no-untyped-call]
        found.append((loss.detach(), Z.grad))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_parts_add_up_and_uniform_similarities_closed_form() -> None:
    """The loss is its two parts; with all embeddings equal they are -1/tau and 1/tau + ln(R - 1), with a finite gradient."""
    Z = torch.ones(6, 3, dtype=torch.float64, requires_grad=True)
    terms = simclr_terms(Z, *view_entries(3), temperature=0.5)
    terms.loss.backward()  # type: ignore[no-untyped-call]
    assert [part.item() for part in terms] == pytest.approx([math.log(5), -2.0, 2.0 + math.log(5)], abs=1e-12)
    assert Z.grad is not None and Z.grad.isfinite().all()


@pytest.mark.parametrize("temperature", [0.0, -1.0, 0.01])
def test_a_temperature_out_of_range_is_refused(temperature: float) -> None:
    """What would overflow in the type of the embeddings is an error that names the bound."""
    with pytest.raises(ValueError, match=r"expected at least 0\.0141"):
        simclr(torch.randn(4, 2), *view_entries(2), temperature=temperature)


def test_the_lowest_temperature_stays_finite_in_float32() -> None:
    """At the bound, rows far apart and rows that are equal give the values of float64."""
    Z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.01]])
    single = simclr(Z, *view_entries(2), temperature=0.0142)
    assert single.item() == pytest.approx(simclr(Z.double(), *view_entries(2), temperature=0.0142).item(), rel=1e-5)
