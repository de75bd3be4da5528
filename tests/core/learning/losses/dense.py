"""Small dense worlds for losses: a matrix and its list of entries, random embeddings, random signed graphs."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Matrix = NDArray[np.float64]
Entries = tuple[Tensor, Tensor, Tensor]


def entries(G: Matrix) -> Entries:
    """The entries of a dense matrix that are not zero."""
    i, j = np.nonzero(G)
    return torch.tensor(i), torch.tensor(j), torch.tensor(G[i, j])


def signed_graph(R: int, seed: int) -> Matrix:
    """A random symmetric signed graph in which about half of the entries are zero."""
    rng = np.random.default_rng(seed)
    G = rng.normal(size=(R, R)) * (rng.random((R, R)) < 0.5)
    return np.asarray(np.triu(G, 1) + np.triu(G, 1).T)


def embeddings(R: int, K: int, seed: int) -> Matrix:
    """Random embeddings."""
    return np.random.default_rng(seed).normal(size=(R, K))


def laplacian(G: Matrix) -> Matrix:
    """diag(G 1) - G."""
    return np.diag(G.sum(axis=1)) - G


def squared_distances(Z: Matrix) -> Matrix:
    """|z_i - z_j|^2 of all pairs."""
    return np.asarray(((Z[:, None] - Z[None]) ** 2).sum(axis=2))


def view_entries(samples: int) -> Entries:
    """The entries that join row b and row samples + b, two views of one sample."""
    i = torch.arange(2 * samples)
    return i, (i + samples) % (2 * samples), torch.ones(2 * samples, dtype=torch.float64)


def downhill(Z: Matrix, gradient: Tensor | None, step: float) -> Matrix:
    """Embeddings after a step against the gradient."""
    assert gradient is not None
    return np.asarray(Z - step * gradient.numpy())
