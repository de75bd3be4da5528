"""A training under way as one safetensors file: weights, optimiser, random states and place. Nothing in it is executed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from scipy import sparse
from torch import Tensor

FORMAT = "pal-checkpoint-1"


class CheckpointError(ValueError):
    """A checkpoint that cannot be used: it is damaged, or belongs to another training."""


@dataclass(frozen=True)
class Checkpoint:
    """What is needed to go on as if nothing had happened.

    Args:
        tensors: by name: "model.*", "optimiser.<parameter>.<slot>", "noise" (state of the torch generator), and
            "prior.*" where the prior neighbours were taken anew.
        place: plain JSON: epoch, batch, step, random state of the batches, losses so far.
        digest: of what is trained on and how; a checkpoint goes on only under the same.
    """

    tensors: dict[str, Tensor]
    place: dict[str, Any]
    digest: str

    def to_bytes(self) -> bytes:
        """As a safetensors file."""
        about = {"format": FORMAT, "digest": self.digest, "place": self.place}
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.tensors.items()}
        return save(tensors, {"about": json.dumps(about)})

    @classmethod
    def from_bytes(cls, data: bytes, digest: str) -> Checkpoint:
        """Read a file back.

        Raises:
            CheckpointError: it is damaged, or belongs to another training.
        """
        try:
            tensors = load(data)
            about = _about(data)
            if about["format"] != FORMAT or about["digest"] != digest:
                raise CheckpointError("this checkpoint belongs to another training; start anew without it")
            return cls(tensors, dict(about["place"]), digest)
        except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as problem:
            raise CheckpointError(f"this checkpoint is damaged ({problem!s:.80}); start anew without it") from None


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of an optimiser whose slots are all tensors, such as AdamW's."""
    state = optimiser.state_dict()["state"]
    return {f"optimiser.{number}.{slot}": value for number, slots in state.items() for slot, value in slots.items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what :func:`optimiser_tensors` took."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimiser."):
            _, number, slot = name.split(".", 2)
            state.setdefault(int(number), {})[slot] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def prior_tensors(prior: sparse.csr_array) -> dict[str, Tensor]:
    """Prior neighbours, float32 (N, N), as tensors under "prior."."""
    return {
        "prior.data": torch.from_numpy(prior.data.astype(np.float32)),
        "prior.indices": torch.from_numpy(prior.indices.astype(np.int64)),
        "prior.indptr": torch.from_numpy(prior.indptr.astype(np.int64)),
    }


def prior_of(tensors: dict[str, Tensor], size: int) -> sparse.csr_array:
    """Inverse of :func:`prior_tensors`, for ``size`` samples.

    Raises:
        ValueError, KeyError: they are no such matrix.
    """
    parts = tuple(tensors[f"prior.{part}"].numpy() for part in ("data", "indices", "indptr"))
    prior = sparse.csr_array(parts, shape=(size, size))
    prior.check_format(full_check=True)  # scipy reads wherever a wrong index points
    return prior


def pack_prior(prior: sparse.csr_array) -> bytes:
    """Prior neighbours as a safetensors file."""
    return save(prior_tensors(prior))


def unpack_prior(data: bytes, size: int) -> sparse.csr_array:
    """Inverse of :func:`pack_prior`.

    Raises:
        ValueError: it is damaged, or of another size.
    """
    try:
        return prior_of(load(data), size)
    except (SafetensorError, KeyError, ValueError, TypeError) as problem:
        raise ValueError(f"these prior neighbours are damaged ({problem!s:.80}); work them out anew") from None


def _about(data: bytes) -> Any:
    """The JSON in the header. safetensors reads metadata from files only, so the header is read here: its length in 8
    bytes, then JSON.
    """
    length = int.from_bytes(data[:8], "little")
    return json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["about"])
