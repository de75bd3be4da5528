"""SimCLR on a similarity graph."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize
from torch.utils.checkpoint import checkpoint


def simclr(
    Z: Tensor,
    i: Tensor,
    j: Tensor,
    weight: Tensor,
    *,
    temperature: float = 0.2,
    repulsion: float = 2.0,
    block: int = 1024,
) -> Tensor:
    r"""Contrastive loss of embeddings against a signed similarity graph G, given as a list of its entries.

    .. math::
        -\frac{1}{R^+} \sum_i \sum_{j \ne i} P_{ij}
        \log \frac{e^{s_{ij}/\tau}}{\sum_{k \ne i} a_{ik} e^{s_{ik}/\tau}}, \quad
        s_{ij} = \hat z_i \cdot \hat z_j, \quad
        P_{ij} = \frac{G^+_{ij}}{\sum_{k \ne i} G^+_{ik}}, \quad
        a_{ik} = 1 + \beta G^-_{ik}

    with :math:`G^+ = \max(G, 0)`, :math:`G^- = \max(-G, 0)`. The mean over positives stands outside the logarithm. Rows
    without a positive are skipped; :math:`R^+` counts the others. Without any positive the loss is 0.

    Args:
        Z: embeddings, shape (R, K), any scale; rows are brought to unit length.
        i, j: rows and columns of the entries of G, int64, shape (E,). A symmetric graph lists both (i, j) and (j, i);
            an entry listed twice counts with the sum, the diagonal is ignored.
        weight: the entries, shape (E,), positive for "same", negative for "different".
        temperature: :math:`\tau`.
        repulsion: :math:`\beta`, by how much a "different" of weight 1 counts more than an ordinary negative.
        block: similarities are computed for so many rows at a time and again in the backward pass: memory is
            O(block * R + R * K + E), never R x R.

    Returns:
        The loss, a scalar, shape ().

    Source:
        With the two views of a sample as edges it is NT-Xent, Eq. 1 of Chen et al. 2020 (arXiv 2002.05709); with a graph
        of equal labels it is Eq. 2 (L_out) of Khosla et al. 2020 (arXiv 2004.11362). A graph in place of views or labels
        is the idea of Cabannes et al. 2023 (arXiv 2303.15256).

    >>> Z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> i = torch.arange(4)
    >>> round(simclr(Z, i, i ^ 1, torch.ones(4), temperature=1.0).item(), 4)
    0.5514
    """
    i, j, g = _entries(i, j, weight, len(Z))
    positive = g > 0
    degree = Z.new_zeros(len(Z)).index_add(0, i[positive], g[positive].to(Z.dtype))
    rows = degree.nonzero().squeeze(1)
    if len(rows) == 0:
        return Z.sum() * 0.0
    Zn = normalize(Z, dim=1)
    P = g[positive] / degree[i[positive]]
    # index_select and not Zn[i]: the gradient of the latter adds up in any order when there are several threads.
    alike = (Zn.index_select(0, i[positive]) * Zn.index_select(0, j[positive])).sum(dim=1)
    attraction = (P * alike).sum() / temperature
    log_a = torch.log1p(-repulsion * g[~positive])
    repulsed = (i[~positive], j[~positive], log_a)
    total = Z.new_zeros(())
    for part in torch.split(rows, block):
        # Recomputed in the backward pass only when there are several blocks: one block would gain nothing.
        if len(rows) > block:
            total = total + checkpoint(_log_denominators, Zn, part, repulsed, temperature, use_reentrant=False)
        else:
            total = total + _log_denominators(Zn, part, repulsed, temperature)
    return (total - attraction) / len(rows)


def _log_denominators(Zn: Tensor, rows: Tensor, repulsed: tuple[Tensor, Tensor, Tensor], temperature: float) -> Tensor:
    """Sum over ``rows`` of log sum_{k != i} a_ik exp(s_ik / tau)."""
    logits = Zn.index_select(0, rows) @ Zn.T / temperature
    place = rows.new_full((len(Zn),), -1).index_copy(0, rows, torch.arange(len(rows), device=rows.device))
    i, k, log_a = repulsed
    here = place[i] >= 0
    logits = logits.index_put((place[i[here]], k[here]), log_a[here].to(logits.dtype), accumulate=True)
    own = torch.zeros_like(logits, dtype=torch.bool).scatter(1, rows[:, None], value=True)
    return logits.masked_fill(own, -torch.inf).logsumexp(dim=1).sum()


def _entries(i: Tensor, j: Tensor, weight: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Each entry once, without the diagonal and without zeros."""
    off = i != j
    keys, inverse = torch.unique(i[off] * size + j[off], return_inverse=True)
    g = weight.new_zeros(len(keys)).index_add(0, inverse, weight[off])
    keys, g = keys[g != 0], g[g != 0]
    return keys // size, keys % size, g
