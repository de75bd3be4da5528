"""SimCLR on a similarity graph."""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import normalize

from pal_backend.core.learning.denominators import check_temperature, log_denominators
from pal_backend.core.learning.edges import entries


class SimclrTerms(NamedTuple):
    """Scalars, shape (); ``loss = repulsion + attraction``."""

    loss: Tensor
    attraction: Tensor
    """Minus the mean similarity of positives, over the temperature."""
    repulsion: Tensor
    """Mean logarithm of the denominator."""


def simclr(
    Z: Tensor,
    i: Tensor,
    j: Tensor,
    weight: Tensor,
    *,
    temperature: float = 0.2,
    repulsion: float = 2.0,
    block: int = 512,
) -> Tensor:
    """The ``loss`` of :func:`simclr_terms`, shape ()."""
    return simclr_terms(Z, i, j, weight, temperature=temperature, repulsion=repulsion, block=block).loss


def simclr_terms(
    Z: Tensor,
    i: Tensor,
    j: Tensor,
    weight: Tensor,
    *,
    temperature: float = 0.2,
    repulsion: float = 2.0,
    block: int = 512,
) -> SimclrTerms:
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
        i: rows of the entries of G, int64, shape (E,).
        j: their columns, int64, shape (E,). A symmetric graph lists both (i, j) and (j, i);
            an entry listed twice counts with the sum, the diagonal is ignored.
        weight: the entries, shape (E,), positive for "same", negative for "different".
        temperature: :math:`\tau`; in float32 above .0141.
        repulsion: :math:`\beta`, by how much a "different" of weight 1 counts more than an ordinary negative.
        block: similarities are computed in squares of so many rows and columns. Memory is O(block^2 + R * K + E), and at
            most 64 MiB on top.

    Returns:
        The loss and its two parts, scalars, shape ().

    Raises:
        ValueError: a temperature at which exp(1 / tau) leaves the range of Z's type.

    Source:
        With the two views of a sample as edges it is NT-Xent, Eq. 1 of Chen et al. 2020 (arXiv 2002.05709); with a graph
        of equal labels it is Eq. 2 (L_out) of Khosla et al. 2020 (arXiv 2004.11362). A graph in place of views or labels
        is the idea of Cabannes et al. 2023 (arXiv 2303.15256).

    >>> import torch
    >>> Z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> i = torch.arange(4)
    >>> round(simclr(Z, i, i ^ 1, torch.ones(4), temperature=1.0).item(), 4)
    0.5514
    """
    check_temperature(temperature, Z.dtype)
    i, j, g = entries(i, j, weight.to(Z.dtype), len(Z))
    positive = g > 0
    degree = Z.new_zeros(len(Z)).index_add(0, i[positive], g[positive])
    anchors = degree > 0
    count = anchors.sum().clamp(min=1).to(Z.dtype)
    Zn = normalize(Z, dim=1)
    P = g[positive] / degree[i[positive]]
    # index_select and not Zn[i]: the gradient of the latter adds up in any order when there are several threads.
    alike = (Zn.index_select(0, i[positive]) * Zn.index_select(0, j[positive])).sum(dim=1)
    attraction = -(P * alike).sum() / (temperature * count)
    more = (i[~positive], j[~positive], -repulsion * g[~positive])
    spread = log_denominators(Zn / math.sqrt(temperature), anchors, more, block) / count
    return SimclrTerms(spread + attraction, attraction, spread)
