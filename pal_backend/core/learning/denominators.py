"""The denominators of contrastive losses over all pairs of a batch, without a matrix of R x R numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

_KEPT_BYTES = 64 * 2**20
"""Similarities of all pairs are kept between the two walks over them up to so many bytes; above, worked out again."""


def check_temperature(temperature: float, dtype: torch.dtype) -> None:
    """Similarities are at most 1, so that no maximum need be subtracted, unless exp(1 / temperature) is too large.

    Raises:
        ValueError: it leaves the range of the type.
    """
    room = math.log(torch.finfo(dtype).max) / 1.25  # what is left is for the sum over k
    if temperature * room < 1:
        raise ValueError(f"a temperature of {temperature:g} is too low for {dtype}; expected at least {1 / room:.3g}")


def log_denominators(Zs: Tensor, anchors: Tensor, more: tuple[Tensor, Tensor, Tensor], block: int) -> Tensor:
    r"""Sum over anchors i of :math:`\log \sum_{k \ne i} a_{ik} e^{z_i \cdot z_k}`, shape (). Its gradient can be taken once.

    Args:
        Zs: scaled embeddings, shape (R, K).
        anchors: which rows count, bool (R,).
        more: rows, columns and :math:`a_{ik} - 1` of the symmetric list of entries where a is not 1.
        block: similarities are computed in squares of so many rows and columns.
    """
    total: Tensor = _LogDenominators.apply(Zs, anchors, more, block)
    return total


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
