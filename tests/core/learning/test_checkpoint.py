"""A training under way as a file."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save
from scipy import sparse

from pal_backend.core.learning.checkpoint import (
    Checkpoint,
    CheckpointError,
    optimiser_tensors,
    pack_prior,
    restore_optimiser,
    unpack_prior,
)

KEPT = Checkpoint(
    {"model.a": torch.arange(3.0)}, {"epoch": 2, "sums": {"loss": 0.1 + 0.2}, "plan": {"state": 2**127 + 1}}, "d"
)


def test_a_checkpoint_comes_back_as_it_was() -> None:
    """Tensors to the bit, floats to the bit, whole numbers of any size."""
    found = Checkpoint.from_bytes(KEPT.to_bytes(), "d")
    assert torch.equal(found.tensors["model.a"], KEPT.tensors["model.a"])
    assert found.place == KEPT.place


def test_one_of_another_training_is_refused() -> None:
    """Its digest is another."""
    with pytest.raises(CheckpointError, match="another training"):
        Checkpoint.from_bytes(KEPT.to_bytes(), "e")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 40,
        save({"a": torch.zeros(1)}),
        save({"a": torch.zeros(1)}, {"about": "[]"}),
        save({"a": torch.zeros(1)}, {"about": "no json"}),
        save({"a": torch.zeros(1)}, {"about": json.dumps({"format": "pal-checkpoint-1", "digest": "d", "place": 7})}),
    ],
)
def test_what_is_no_checkpoint_is_refused(data: bytes) -> None:
    """Whatever the file holds instead."""
    with pytest.raises(CheckpointError):
        Checkpoint.from_bytes(data, "d")


def test_an_optimiser_goes_on_as_if_it_had_never_stopped() -> None:
    """Two steps, and one step with a copy taken between, end at the same weights."""

    def stepped(count: int) -> tuple[torch.nn.Parameter, torch.optim.Optimizer]:
        weight = torch.nn.Parameter(torch.ones(3))
        optimiser = torch.optim.AdamW([weight], lr=0.1)
        for _ in range(count):
            weight.grad = weight.detach() * torch.tensor([1.0, 2.0, 3.0])
            optimiser.step()
        return weight, optimiser

    whole, _ = stepped(2)
    half, taken = stepped(1)
    fresh = torch.nn.Parameter(half.detach().clone())
    other = torch.optim.AdamW([fresh], lr=0.1)
    restore_optimiser(other, optimiser_tensors(taken))
    fresh.grad = fresh.detach() * torch.tensor([1.0, 2.0, 3.0])
    other.step()
    assert torch.equal(fresh, whole)


def test_prior_neighbours_come_back_as_they_were() -> None:
    """Same entries, same type."""
    prior = sparse.csr_array(np.array([[0, 0.5, 0], [0.5, 0, 1], [0, 1, 0]], np.float32))
    found = unpack_prior(pack_prior(prior), 3)
    np.testing.assert_array_equal(found.toarray(), prior.toarray())
    assert found.dtype == np.float32


def test_damaged_prior_neighbours_are_refused() -> None:
    """No safetensors file, another size, or an index that points outside, where scipy would read anything."""
    prior = sparse.csr_array(np.eye(3, k=1, dtype=np.float32))
    outside = pack_prior(prior)
    prior.indices[0] = 99
    for data, size in ((b"", 3), (outside, 4), (pack_prior(prior), 3), (save({"prior.data": torch.zeros(1)}), 3)):
        with pytest.raises(ValueError, match="prior neighbours are damaged"):
            unpack_prior(data, size)
