"""Keys that a second encoder made earlier, with the samples they are of, so that related samples are no negatives."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pal_backend.core.learning.graph import Ints, TrainingGraph


class Queue(nn.Module):
    """The last M keys of each view, the oldest overwritten first; empty at the beginning, for batches of any size.

    Args:
        views: of each sample; each has its own keys, of the same samples.
        length: M.
        width: K.
    """

    def __init__(self, views: int, length: int, width: int) -> None:
        super().__init__()
        self.keys: Tensor
        self.samples: Tensor
        self.next: Tensor
        self.register_buffer("keys", torch.zeros(views, length, width))
        self.register_buffer("samples", torch.full((length,), -1, dtype=torch.int64))
        self.register_buffer("next", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def put(self, keys: Tensor, samples: Tensor) -> None:
        """Add the keys, (views, B, K), of B samples, int64 (B,); of more than M the last ones stay."""
        length = len(self.samples)
        if not length:
            return
        keys, samples = keys[:, -length:], samples[-length:]
        places = (self.next + torch.arange(len(samples), device=samples.device)) % length
        self.keys[:, places] = keys.to(self.keys.dtype)
        self.samples[places] = samples
        self.next.copy_((self.next + len(samples)) % length)


def negatives(graph: TrainingGraph, nodes: Ints, samples: Ints, repulsion: float) -> NDArray[np.float32]:
    """How much each key counts as a negative of each sample, float32 (B, M).

    0 for another view of the same sample, for one of the same component, for a prior neighbour, for a pair answered "same",
    and where there is no key; 1 + repulsion * h where answers say "different" with confidence h; else 1. What components
    say overrides a single answer, and an answer the prior.

    Args:
        graph: the whole.
        nodes: rows of the batch, int64 (B,).
        samples: row of the sample that each key is of, int64 (M,); -1 for none.
        repulsion: by how much a sure "different" counts more.
    """
    there = samples >= 0
    held = np.where(there, samples, 0)
    said = graph.said[nodes][:, held].toarray()  # the same key twice is two columns
    a = np.where(said > 0, 0.0, 1.0 - repulsion * said)
    apart = rivals(graph, nodes)[:, graph.components[held]] * (graph.components[held] >= 0)
    a = np.where(apart > 0, 1.0 + repulsion * apart, a)
    own = graph.components[nodes]
    same = (own[:, None] == graph.components[held][None, :]) & (own >= 0)[:, None]
    a[same | (nodes[:, None] == held[None, :]) | ~there[None, :]] = 0.0
    return a.astype(np.float32)


def rivals(graph: TrainingGraph, nodes: Ints) -> NDArray[np.float32]:
    """How sure it is that the component of each sample differs from every component, float32 (B, C); 0: not known.

    C is at least 1, so that every number, -1 of a sample in no component included, finds a column.
    """
    own, inverse = np.unique(graph.components[nodes], return_inverse=True)
    found = np.zeros((len(own), max(1, len(graph.sizes))), np.float32)
    place = np.full(len(graph.sizes) + 1, -1, np.int64)
    place[own] = np.arange(len(own))
    place[-1] = -1  # samples in no component
    keys = graph.cannot_keys
    ends = keys >> 32, keys & 0xFFFFFFFF
    for here, there in (ends, ends[::-1]):
        inside = place[here] >= 0
        found[place[here[inside]], there[inside]] = graph.apart[inside]
    return found[inverse]
