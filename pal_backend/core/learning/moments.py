"""Second moments of embeddings over the rows that speak for the pool."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx


def uniform_rows(Z: Tensor, uniform: Tensor | None) -> Tensor:
    """The rows of Z (R, K) that ``uniform`` marks, bool (R,) or row numbers int64 (n,); all of them if it is None.

    Raises:
        ValueError: a mask of another length than Z.
    """
    rows = uniform_numbers(uniform, len(Z))
    return Z if rows is None else Z.index_select(0, rows)


def uniform_numbers(uniform: Tensor | None, size: int) -> Tensor | None:
    """The numbers, int64 (n,), of the rows of ``size`` that are marked, as for :func:`uniform_rows`.

    Raises:
        ValueError: a mask of another length.
    """
    if uniform is None or uniform.dtype != torch.bool:
        return uniform
    if uniform.shape != (size,):
        raise ValueError(f"a mask of shape {tuple(uniform.shape)} does not fit {size} rows; give one bool per row")
    return uniform.nonzero().squeeze(1)


def gram(X: Tensor) -> Tensor:
    r"""The Gram matrix :math:`X^\top X` of the columns of X, shape (R, K) to (K, K).

    Its gradient takes one product, where that of ``X.T @ X`` takes two because it does not know that both are the same X.

    >>> gram(torch.tensor([[1.0, 2.0], [0.0, 1.0]]))
    tensor([[1., 2.],
            [2., 5.]])
    """
    product: Tensor = _Gram.apply(X)
    return product


class _Gram(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, X: Tensor) -> Tensor:
        ctx.save_for_backward(X)
        return X.T @ X

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> Tensor:
        X: Tensor = ctx.saved_tensors[0]  # type: ignore[attr-defined]
        C = gradients[0]
        return X @ (C + C.T)
