"""MoBYv2AL's losses against cross-entropy and dense formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from pal_backend.core.learning.losses.moby import by_groups, moby
from tests.core.learning.losses.dense import embeddings, entries

OWN = torch.arange(6)
ONES = torch.ones(6, dtype=torch.float64)


def test_without_a_graph_it_is_cross_entropy_over_the_queue() -> None:
    """InfoNCE as MoCo writes it: the positive first, the queue behind it, value and gradient."""
    Q, keys, queue = (torch.tensor(embeddings(n, 4, seed)) for seed, n in enumerate((6, 6, 11)))
    Q.requires_grad_()
    ours = moby(Q, keys, OWN, OWN, ONES, queue=queue, negatives=torch.ones(6, 11), temperature=0.3).loss
    q, k, others = (normalize(each, dim=1) for each in (Q, keys, queue))
    logits = torch.cat([(q * k).sum(dim=1, keepdim=True), q @ others.T], dim=1) / 0.3
    theirs = cross_entropy(logits, torch.zeros(6, dtype=torch.int64))
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-12)
    torch.testing.assert_close(*(torch.autograd.grad(loss, Q)[0] for loss in (ours, theirs)))


def test_graph_and_weights_match_reference_formula() -> None:
    """Related keys share a row's weight, "different" ones are no positives, and each key of the queue has its own weight."""
    rng = np.random.default_rng(3)
    Q, keys, queue = (
        normalize(torch.tensor(embeddings(n, 4, seed)), dim=1).numpy() for seed, n in enumerate((6, 6, 9))
    )
    G, a = rng.normal(size=(6, 6)), rng.random((6, 9)) * 2
    G[2] = -1.0
    parts, P = np.exp(Q @ keys.T / 0.5), np.maximum(G, 0)
    rows = P.sum(axis=1) > 0
    N = (a * np.exp(Q @ queue.T / 0.5)).sum(axis=1, keepdims=True)
    expected = (P[rows] / P[rows].sum(axis=1, keepdims=True) * -np.log(parts / (parts + N))[rows]).sum() / rows.sum()
    tensors = (torch.tensor(each) for each in (Q, keys))
    found = moby(*tensors, *entries(G), queue=torch.tensor(queue), negatives=torch.tensor(a), temperature=0.5)
    assert found.loss.item() == pytest.approx(expected, abs=1e-12)


def test_keys_with_weight_0_are_no_negatives_and_an_empty_queue_costs_nothing() -> None:
    """Whatever such keys are, loss and gradient are the same; without any negative both are 0."""
    Q, keys = (torch.tensor(embeddings(6, 4, seed)).requires_grad_() for seed in (4, 5))
    a = torch.tensor([[1.0, 0.0]]).expand(6, 2)
    losses = [
        moby(Q, keys, OWN, OWN, ONES, queue=torch.tensor([[1.0, 2, 3, 4], other]).double(), negatives=a).loss
        for other in ([0.0, 0, 0, 0], [9.0, -1, 2, 2])
    ]
    assert losses[0].item() == losses[1].item() > 0
    alone = moby(Q, keys, OWN, OWN, ONES, queue=torch.zeros(0, 4).double(), negatives=torch.zeros(6, 0)).loss
    alone.backward()  # type: ignore[no-untyped-call]
    assert alone.item() == 0.0
    assert Q.grad is not None and not Q.grad.any()
    assert keys.grad is None


def test_gradient_matches_reference_differences() -> None:
    """That of the predictions."""
    Q, keys, queue = (torch.tensor(embeddings(n, 3, seed)) for seed, n in enumerate((6, 6, 5)))
    assert torch.autograd.gradcheck(
        lambda Q: moby(Q, keys, OWN, OWN, ONES, queue=queue, negatives=torch.ones(6, 5)).loss, Q.requires_grad_()
    )


def test_groups_all_apart_are_classes() -> None:
    """Where every group is kept apart from every other, it is the cross-entropy of the labelled samples."""
    logits, groups = torch.tensor(embeddings(7, 3, 6)), torch.tensor([0, 2, -1, 1, 1, -1, 0])
    rivals = torch.nn.functional.one_hot(groups.clamp(min=0), 3) == 0
    labelled = groups >= 0
    expected = cross_entropy(logits[labelled], groups[labelled])
    assert by_groups(logits, groups, rivals).loss.item() == pytest.approx(expected.item(), abs=1e-12)


def test_unlabelled_samples_give_none() -> None:
    """No loss, and a gradient of exactly 0, whatever their logits; likewise where nothing is known to be different."""
    for groups, rivals in ((torch.full((4,), -1), torch.ones(4, 3)), (torch.arange(4) % 3, torch.zeros(4, 3))):
        logits = torch.tensor(embeddings(4, 3, 7)).requires_grad_()
        terms = by_groups(logits, groups, rivals.bool())
        terms.loss.backward()  # type: ignore[no-untyped-call]
        assert terms.loss.item() == 0.0
        assert logits.grad is not None and not logits.grad.any()


def test_groups_that_may_be_one_do_not_compete() -> None:
    """The logit of a group that is not known to be another changes nothing."""
    rivals = torch.tensor([[False, True, False]])
    found = [by_groups(torch.tensor([[1.0, 2.0, x]]), torch.tensor([0]), rivals).loss.item() for x in (0.0, 50.0)]
    assert found[0] == found[1] == pytest.approx(np.log(1 + np.e), abs=1e-6)
