"""SimCLR with soft targets against a dense formula, NT-Xent in the limit, and symmetries."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pal_backend.core.learning.losses.simclr import simclr
from pal_backend.core.learning.losses.xclr import xclr
from tests.core.learning.losses.dense import Matrix, embeddings, entries, signed_graph, view_entries


def by_formula(Z: Matrix, G: Matrix, tau: float, softness: float, beta: float) -> float:
    """As the docstring states it, with dense matrices."""
    unit = Z / np.linalg.norm(Z, axis=1, keepdims=True)
    s = unit @ unit.T
    off = ~np.eye(len(Z), dtype=bool)
    targets = np.exp(G / softness) * off
    targets /= targets.sum(axis=1, keepdims=True)
    D = ((1 + beta * np.maximum(-G, 0)) * np.exp(s / tau) * off).sum(axis=1)
    return float(-(targets * (s / tau - np.log(D)[:, None])).sum() / len(Z))


def test_signed_graph_matches_reference_formula() -> None:
    """Targets of every pair, those the list does not hold included, in blocks smaller than the batch."""
    Z, G = embeddings(9, 4, 0), np.clip(signed_graph(9, 1), -1, 1)
    terms = xclr(torch.tensor(Z), *entries(G), temperature=0.3, softness=0.2, repulsion=1.5, block=4)
    assert terms.loss.item() == pytest.approx(by_formula(Z, G, 0.3, 0.2, 1.5), abs=1e-10)
    assert terms.loss.item() == pytest.approx((terms.attraction + terms.repulsion).item(), abs=1e-12)


def test_hard_targets_are_those_of_simclr() -> None:
    """As the softness goes to 0 the other view alone is the target: NT-Xent."""
    Z = torch.tensor(embeddings(12, 5, 2))
    soft = xclr(Z, *view_entries(6), temperature=0.5, softness=0.02).loss.item()
    assert soft == pytest.approx(simclr(Z, *view_entries(6), temperature=0.5).item(), abs=1e-9)


def test_without_a_graph_every_other_row_is_a_target_closed_form() -> None:
    """G = 0 and all embeddings equal: uniform against uniform, ln(R - 1)."""
    nothing = torch.zeros(0, dtype=torch.int64)
    found = xclr(torch.ones(5, 3, dtype=torch.float64), nothing, nothing, torch.zeros(0)).loss
    assert found.item() == pytest.approx(np.log(4), abs=1e-12)


def test_gradient_matches_reference_differences() -> None:
    """With a signed graph the gradient is that of finite differences."""
    Z, G = torch.tensor(embeddings(7, 3, 4)).requires_grad_(), entries(np.clip(signed_graph(7, 5), -1, 1))
    assert torch.autograd.gradcheck(lambda Z: xclr(Z, *G, temperature=0.4).loss, Z)


def test_what_is_likelier_is_pulled_more() -> None:
    """The step against the gradient brings an anchor nearer to a likeness of .5 than to one of .2, and parts a "different"."""
    Z = torch.tensor(embeddings(5, 5, 6))
    Z = torch.nn.functional.normalize(Z, dim=1)
    Z[1:] -= Z[1:] @ Z[:1].T * Z[:1]  # all others at right angles to the anchor, and to each other
    Z[1:] = torch.linalg.qr(Z[1:].T)[0].T
    G = np.zeros((5, 5))
    for other, g in ((1, 0.5), (2, 0.2), (3, -1.0)):
        G[0, other] = G[other, 0] = g
    leaf = Z.clone().requires_grad_()
    xclr(leaf, *entries(G)).loss.backward()  # type: ignore[no-untyped-call]
    assert leaf.grad is not None
    nearer = -(leaf.grad[0] @ Z.T).numpy()
    assert nearer[1] > nearer[2] > nearer[4] > nearer[3]


def test_permutation_and_rotation_property() -> None:
    """Permuting nodes together with the graph, and turning all embeddings, leave the loss alone."""
    Z, G = embeddings(8, 5, 10), np.clip(signed_graph(8, 11), -1, 1)
    order = np.random.default_rng(12).permutation(8)
    turn = np.linalg.qr(np.random.default_rng(13).normal(size=(5, 5)))[0]
    plain = xclr(torch.tensor(Z), *entries(G)).loss.item()
    other = xclr(torch.tensor(Z[order] @ turn), *entries(G[np.ix_(order, order)])).loss.item()
    assert other == pytest.approx(plain, abs=1e-10)


def test_temperatures_that_overflow_and_single_rows_are_refused() -> None:
    """Both temperatures are checked; a single row has no target."""
    nothing = torch.zeros(0, dtype=torch.int64)
    for wrong in ({"temperature": 0.01}, {"softness": 0.01}):
        with pytest.raises(ValueError, match=r"temperature of 0.01 is too low for torch.float32"):
            xclr(torch.ones(4, 2), nothing, nothing, torch.zeros(0), **wrong)
    with pytest.raises(ValueError, match="among 1 rows; expected at least 2"):
        xclr(torch.ones(1, 2), nothing, nothing, torch.zeros(0))
