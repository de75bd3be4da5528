"""Barlow Twins on a similarity graph."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from pal_backend.core.learning.edges import attractive, pairs
from pal_backend.core.learning.moments import uniform_numbers

_EPSILON = 1e-5
"""Keeps a constant column finite; that of batch normalisation."""
_BLOCK = 1024
"""Edges gathered at a time, and of more edges gathered anew on the way back: blocks stay in the cache, keeping all does not."""


class BarlowTerms(NamedTuple):
    """Scalars, shape (); each part before its weight."""

    loss: Tensor
    invariance: Tensor
    """How far the correlation of related samples is from 1, summed over the K dimensions."""
    redundancy: Tensor
    """The squared correlation of each dimension with every other one, summed."""


def barlow(
    Z: Tensor,
    i: Tensor,
    j: Tensor,
    weight: Tensor,
    *,
    uniform: Tensor | None = None,
    redundancy: float = 5e-3,
    repulsion: float = 1.0,
) -> BarlowTerms:
    r"""Cross-correlation of the embeddings of related samples, brought to the identity; G is a list of its entries.

    .. math::
        \sum_k (C_{kk} - 1)^2 + \lambda \sum_{k \ne l} C_{kl}^2, \quad
        C = \tilde Z^\top \hat G \tilde Z, \quad
        \hat G = \frac{G^+ - \kappa' G^-}{\sum G^+}, \quad
        \kappa' = \min\Bigl(\kappa, \frac{\sum G^+}{2 \sum G^-}\Bigr)

    with the columns of :math:`\tilde Z` brought to mean 0 and variance 1 over the uniform rows U, so that twins which are
    alike, of any number of samples, have :math:`C_{kk} = 1`. A "different" lowers C_kk along what tells its two samples
    alike; all of them together weigh at most half of what is "same", or C_kk = 1 could not be reached.

    Args:
        Z: embeddings, shape (R, K), any scale.
        i: rows of the entries of G, int64, shape (E,).
        j: their columns, int64, shape (E,). A symmetric graph lists both (i, j) and (j, i);
            what is listed twice, or mirrored, counts with the sum, the diagonal is ignored.
        weight: the entries, shape (E,), positive for "same", negative for "different".
        uniform: the rows U, bool (R,) or int64 (n,); None is all.
        redundancy: :math:`\lambda`.
        repulsion: :math:`\kappa`.

    Returns:
        The loss and its two parts, scalars, shape ().

    Raises:
        ValueError: fewer than two uniform rows, or a mask that does not fit.

    Source:
        Eq. 1 and 2 of Zbontar et al. 2021 (arXiv 2103.03230), with one symmetric C: with two views a sample, each brought
        to mean 0 and variance 1, theirs is this one plus :math:`\lambda \|(C - C^\top) / 2\|^2`. The graph is that of
        Cabannes et al. 2023 (arXiv 2303.15256).

    >>> Z = torch.tensor([[1.0, 1.0], [1.0, 1.0], [-1.0, -1.0], [-1.0, -1.0]])
    >>> i = torch.arange(4)
    >>> [round(part.item(), 4) for part in barlow(Z, i, i ^ 1, torch.ones(4))]
    [0.01, 0.0, 2.0]
    """
    rows = uniform_numbers(uniform, len(Z))
    n = len(Z if rows is None else rows)
    if n < 2:
        raise ValueError(f"a variance of {n} uniform rows; expected at least 2: make batches larger or mark more rows")
    i, j, g = pairs(i, j, weight.to(Z.dtype), len(Z))
    total = attractive(g)
    if (g < 0).any():
        apart = -g.clamp(max=0).sum()
        g = torch.where(g > 0, g, g * (0.5 * total / apart).clamp(max=repulsion))
    invariance, off = _Parts.apply(Z, rows, (i, j, g / total))
    return BarlowTerms(invariance + redundancy * off, invariance, off)


class _Parts(torch.autograd.Function):
    r"""The two parts of embeddings Z (R, K), from pairs i < j and their weights; standardised over ``rows``, None for all.

    Standardising is differentiated by hand together with the product: with S the gradient of C, that of :math:`\tilde z_i`
    is :math:`\sum_j \hat G_{ij} \tilde z_j S`, and what goes through the variance needs no more than the diagonal of C S.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, Z: Tensor, rows: Tensor | None, entries: tuple[Tensor, Tensor, Tensor]
    ) -> tuple[Tensor, ...]:
        U, half = Z if rows is None else Z.index_select(0, rows), Z.new_zeros(Z.shape[1], Z.shape[1])
        mean, lean = U.mean(dim=0), Z.new_zeros(Z.shape[1])
        # torch's own variance down the rows is thirty times as slow
        first, *others = [(block - mean).square_().sum(dim=0) for block in torch.split(U, _BLOCK)]
        scale = sum(others, first).div_(len(U)).add_(_EPSILON).rsqrt_()
        for start in range(0, len(entries[2]), _BLOCK):
            A, B = ends = _ends(Z, mean, entries, start)
            half.addmm_(A.T, B)
            lean.add_(A.sum(dim=0)).addmv_(B.T, entries[2][start : start + _BLOCK])
        C = (half + half.T).mul_(0.5 * scale).mul_(scale[:, None])
        kept = ends if 0 < len(entries[2]) <= _BLOCK else ()
        ctx.save_for_backward(Z, *entries, mean, scale, lean, C, *kept)
        ctx.rows, ctx.count = rows, len(U)  # type: ignore[attr-defined]
        diagonal = C.diagonal()
        return (diagonal - 1).square().sum(), torch.dot(C.view(-1), C.view(-1)) - torch.dot(diagonal, diagonal)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        Z, i, j, g, mean, scale, lean, C, *kept = ctx.saved_tensors  # type: ignore[attr-defined]
        rows, n = ctx.rows, ctx.count  # type: ignore[attr-defined]
        S = C * (2 * gradients[1])
        S.diagonal().copy_(C.diagonal().sub(1).mul_(2 * gradients[0]))
        stretch = (C * S).sum(dim=1) * scale.square() * (-2 / n)
        S.mul_(scale).mul_(scale[:, None])
        pull = (lean @ S) * (-1 / n) - mean * stretch
        dZ = torch.addcmul(pull, Z if rows is None else Z.index_select(0, rows), stretch)
        if rows is not None:
            dZ = torch.zeros_like(Z).index_add_(0, rows, dZ)
        for start in range(0, len(g), _BLOCK):
            A, B = kept or _ends(Z, mean, (i, j, g), start)
            block = slice(start, start + _BLOCK)
            found = B @ S
            dZ.index_add_(0, i[block], found.mul_(g[block, None])).index_add_(0, j[block], torch.mm(A, S, out=found))
        return dZ, None, None


def _ends(Z: Tensor, mean: Tensor, entries: tuple[Tensor, Tensor, Tensor], start: int) -> tuple[Tensor, Tensor]:
    """Of a block of entries the centred rows i times their weights, and the centred rows j."""
    i, j, g = (part[start : start + _BLOCK] for part in entries)
    return Z.index_select(0, i).sub_(mean).mul_(g[:, None]), Z.index_select(0, j).sub_(mean)
