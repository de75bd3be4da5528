"""SimCLR on a similarity graph."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn.functional import normalize

from pal_backend.core.learning.edges import entries

_KEPT_BYTES = 64 * 2**20
"""Similarities of all pairs are kept between the two walks over them up to so many bytes; above, worked out again."""


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
        i, j: rows and columns of the entries of G, int64, shape (E,). A symmetric graph lists both (i, j) and (j, i);
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

    >>> Z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> i = torch.arange(4)
    >>> round(simclr(Z, i, i ^ 1, torch.ones(4), temperature=1.0).item(), 4)
    0.5514
    """
    room = math.log(torch.finfo(Z.dtype).max) / 1.25  # what is left is for the sum over k
    if temperature * room < 1:
        raise ValueError(f"a temperature of {temperature:g} is too low for {Z.dtype}; expected at least {1 / room:.3g}")
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
    total: Tensor = _LogDenominators.apply(Zn / math.sqrt(temperature), anchors, more, block)
    spread = total / count
    return SimclrTerms(spread + attraction, attraction, spread)


class _LogDenominators(torch.autograd.Function):
    r"""Sum over anchors i of :math:`\log D_i`, where :math:`D_i = \sum_{k \ne i} a_{ik} E_{ik}`, :math:`E = e^{z_i \cdot z_k}`.

    E is symmetric, so half of it is enough, and so is its gradient
    :math:`\partial / \partial z_i = \sum_k E_{ik} (1 / D_i + 1 / D_k) z_k`, which is therefore worked out at once,
    square by square, instead of keeping R x R numbers for the backward pass. What the entries with
    :math:`a_{ik} \ne 1` add is a sparse sum.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, Zs: Tensor, anchors: Tensor, more: tuple[Tensor, Tensor, Tensor], block: int
    ) -> Tensor:
        i, k, extra = more
        E_more = extra * (Zs.index_select(0, i) * Zs.index_select(0, k)).sum(dim=1).exp()
        D = Zs.new_zeros(len(Zs)).index_add(0, i, E_more)
        kept: list[tuple[slice, slice, Tensor]] = []
        keep = ctx.needs_input_grad[0] and len(Zs) ** 2 * Zs.element_size() <= 2 * _KEPT_BYTES  # type: ignore[attr-defined]
        for rows, columns, E in _squares(Zs, block, fresh=keep):
            D[rows] += E.sum(dim=1)
            if rows != columns:
                D[columns] += E.sum(dim=0)
            if keep:
                kept.append((rows, columns, E))
        if ctx.needs_input_grad[0]:  # type: ignore[attr-defined]
            r = torch.where(anchors, D.reciprocal(), 0)
            gradient = torch.zeros_like(Zs)
            for rows, columns, E in kept or _squares(Zs, block, fresh=False):
                E.mul_(r[rows, None] + r[columns])
                gradient[rows].addmm_(E, Zs[columns])
                if rows != columns:
                    gradient[columns].addmm_(E.T, Zs[rows])
            C = (E_more * r[i])[:, None]
            gradient.index_add_(0, i, C * Zs.index_select(0, k)).index_add_(0, k, C * Zs.index_select(0, i))
            ctx.save_for_backward(gradient)
        return D[anchors].log().sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradient * gradients[0], None, None, None


def _squares(Zs: Tensor, block: int, *, fresh: bool) -> Iterator[tuple[slice, slice, Tensor]]:
    """Rows, columns and exp(Zs Zs^T) of each square on and above the diagonal; 0 on the diagonal itself.

    Unless ``fresh``, each overwrites the one before.
    """
    parts = [slice(first, min(first + block, len(Zs))) for first in range(0, len(Zs), block)]
    room = Zs.new_empty(0 if fresh else min(block, len(Zs)) ** 2)
    for number, rows in enumerate(parts):
        for columns in parts[number:]:
            shape = (rows.stop - rows.start, columns.stop - columns.start)
            E = Zs.new_empty(shape) if fresh else room[: shape[0] * shape[1]].view(shape)
            torch.mm(Zs[rows], Zs[columns].T, out=E).exp_()
            if rows == columns:
                E.fill_diagonal_(0)
            yield rows, columns, E
