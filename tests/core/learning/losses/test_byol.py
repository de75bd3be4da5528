"""BYOL on a graph against lightly's, a dense formula and symmetries."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pal_backend.core.learning.losses.byol import byol
from tests.core.learning.losses.dense import Matrix, embeddings, entries, signed_graph, view_entries


def cosines(Q: Matrix, keys: Matrix) -> Matrix:
    """Of every row with every key."""
    return np.asarray(
        (Q / np.linalg.norm(Q, axis=1, keepdims=True)) @ (keys / np.linalg.norm(keys, axis=1, keepdims=True)).T
    )


def test_signed_graph_matches_reference_formula() -> None:
    """Each part is that of the dense formula, rows without a positive left out."""
    Q, keys, G = embeddings(9, 4, 0), embeddings(9, 4, 1), signed_graph(9, 2)
    G[3] = G[:, 3] = -np.abs(G[3])
    terms = byol(torch.tensor(Q), torch.tensor(keys), *entries(G), repulsion=3.0, margin=0.1)
    c, same, other = cosines(Q, keys), np.maximum(G, 0), np.maximum(-G, 0)
    rows = same.sum(axis=1) > 0
    assert not rows[3]
    attraction = (same[rows] / same[rows].sum(axis=1, keepdims=True) * (2 - 2 * c[rows])).sum() / rows.sum()
    hinge = (other * np.maximum(0, c - 0.1)).sum() / other.sum()
    assert [part.item() for part in terms[1:]] == pytest.approx([attraction, hinge], abs=1e-12)
    assert terms.loss.item() == pytest.approx(attraction + 3 * hinge, abs=1e-12)


def test_two_views_match_reference_of_lightly() -> None:
    """With two views a sample: twice lightly's mean over both directions of 1 - cos, value and gradient."""
    peer = pytest.importorskip("lightly.loss", reason="lightly is installed by `make test`").NegativeCosineSimilarity()
    Q, keys = torch.tensor(embeddings(20, 6, 3)).requires_grad_(), torch.tensor(embeddings(20, 6, 4))
    ours = byol(Q, keys, *view_entries(10)).loss
    theirs = 2 + peer(Q[:10], keys[10:]) + peer(Q[10:], keys[:10])
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-12)
    torch.testing.assert_close(*(torch.autograd.grad(loss, Q)[0] for loss in (ours, theirs)))


def test_no_gradient_goes_to_the_keys() -> None:
    """They are the second encoder's; that of the predictions is that of finite differences."""
    Q, keys = (torch.tensor(embeddings(7, 3, seed)).requires_grad_() for seed in (5, 6))
    G = entries(signed_graph(7, 7))
    assert torch.autograd.gradcheck(lambda Q: byol(Q, keys, *G, margin=0.05).loss, Q)
    byol(Q, keys, *G).loss.backward()  # type: ignore[no-untyped-call]
    assert Q.grad is not None and keys.grad is None


def test_a_cannot_link_counts_within_the_margin_and_not_beyond() -> None:
    """A "different" whose cosine is above the margin is pushed away; without positives nothing else acts."""
    Q = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    G = np.array([[0, -1, -1], [-1, 0, 0], [-1, 0, 0]], float)
    terms = byol(Q, torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]), *entries(G))
    terms.loss.backward()  # type: ignore[no-untyped-call]
    assert terms.attraction.item() == 0.0 and terms.repulsion.item() > 0.3
    assert Q.grad is not None
    assert Q.grad[0, 1].item() > 0  # away from (.9, .1), which is turned that way
    assert Q.grad[2].tolist() == [0.0, 0.0]  # at a right angle to the first key


def test_permutation_and_scale_property() -> None:
    """Permuting rows together with the graph, and scaling them, changes nothing."""
    Q, keys, G = embeddings(8, 5, 10), embeddings(8, 5, 11), signed_graph(8, 12)
    order = np.random.default_rng(13).permutation(8)
    plain = byol(torch.tensor(Q), torch.tensor(keys), *entries(G)).loss.item()
    other = byol(torch.tensor(7 * Q[order]), torch.tensor(keys[order]), *entries(G[np.ix_(order, order)])).loss.item()
    assert other == pytest.approx(plain, abs=1e-12)


def test_keys_of_other_rows_are_refused() -> None:
    """The message says both shapes."""
    with pytest.raises(ValueError, match=r"predictions \(4, 2\) do not fit keys \(3, 2\)"):
        byol(torch.ones(4, 2), torch.ones(3, 2), *entries(signed_graph(3, 1)))
