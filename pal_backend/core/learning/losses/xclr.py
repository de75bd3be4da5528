"""SimCLR with soft targets: how alike two samples are, instead of whether they are."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from pal_backend.core.learning.denominators import check_temperature, log_denominators
from pal_backend.core.learning.edges import entries


class XclrTerms(NamedTuple):
    """Scalars, shape (); ``loss = repulsion + attraction``, above the targets' own entropy."""

    loss: Tensor
    attraction: Tensor
    """Minus the mean similarity under the targets, over the temperature."""
    repulsion: Tensor
    """Mean logarithm of the denominator."""


def xclr(
    Z: Tensor,
    i: Tensor,
    j: Tensor,
    weight: Tensor,
    *,
    temperature: float = 0.1,
    softness: float = 0.1,
    repulsion: float = 2.0,
    block: int = 512,
) -> XclrTerms:
    r"""Cross-entropy between what is alike in the embeddings and in a signed similarity graph G, a list of its entries.

    .. math::
        -\frac{1}{R} \sum_i \sum_{j \ne i} P_{ij}
        \log \frac{e^{s_{ij}/\tau}}{\sum_{k \ne i} a_{ik} e^{s_{ik}/\tau}}, \quad
        P_{ij} = \frac{e^{G_{ij}/\tau_s}}{\sum_{k \ne i} e^{G_{ik}/\tau_s}}, \quad
        s_{ij} = \hat z_i \cdot \hat z_j, \quad
        a_{ik} = 1 + \beta G^-_{ik}

    G_ij is a likeness: 1 for two views of one sample, 0 where nothing is known, below 0 for "different", whose target is
    then smaller still. Pairs with G_ij = 0 have targets too; their sum is taken through the sum of all embeddings, so that
    no matrix of R x R numbers is made.

    Args:
        Z: embeddings, shape (R, K), any scale; rows are brought to unit length.
        i: rows of the entries of G, int64, shape (E,).
        j: their columns, int64, shape (E,). A symmetric graph lists both (i, j) and (j, i);
            an entry listed twice counts with the sum, the diagonal is ignored.
        weight: the entries, shape (E,), in [-1, 1].
        temperature: :math:`\tau`; in float32 above .0141.
        softness: :math:`\tau_s`; likewise. Near 0 the likest sample alone is the target.
        repulsion: :math:`\beta`.
        block: similarities are computed in squares of so many rows and columns.

    Returns:
        The loss and its two parts, scalars, shape ().

    Raises:
        ValueError: fewer than two rows, or a temperature at which an exponential leaves the range of Z's type.

    Source:
        Sobal et al. 2024 (arXiv 2407.18134), section 3, where G is the likeness of captions; a row's own entry has no
        target here. The graph is that of Cabannes et al. 2023 (arXiv 2303.15256).

    >>> Z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> i = torch.arange(4)
    >>> round(xclr(Z, i, i ^ 1, torch.ones(4), temperature=1.0).loss.item(), 4)
    0.5515
    """
    R = len(Z)
    if R < 2:
        raise ValueError(f"targets among {R} rows; expected at least 2: make batches larger")
    check_temperature(temperature, Z.dtype)
    check_temperature(softness, Z.dtype)
    i, j, g = entries(i, j, weight.to(Z.dtype), R)
    Zn = normalize(Z, dim=1)
    more = (g / softness).exp() - 1
    total = (R - 1) + Z.new_zeros(R).index_add(0, i, more)
    known = (more / total[i] * (Zn.index_select(0, i) * Zn.index_select(0, j)).sum(dim=1)).sum()
    others = ((Zn @ Zn.sum(dim=0) - Zn.square().sum(dim=1)) / total).sum()
    attraction = -(known + others) / (temperature * R)
    apart = g < 0
    everyone = torch.ones(R, dtype=torch.bool, device=Z.device)
    extra = (i[apart], j[apart], -repulsion * g[apart])
    spread = log_denominators(Zn / math.sqrt(temperature), everyone, extra, block) / R
    return XclrTerms(spread + attraction, attraction, spread)
