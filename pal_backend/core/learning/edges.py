"""Lists of the entries of a similarity graph, and sums over them."""

from __future__ import annotations

import torch
from torch import Tensor


def entries(
    i: Tensor, j: Tensor, weight: Tensor, size: int, *, diagonal: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Each entry of a matrix of ``size`` rows once, in order of row and column, without zeros.

    Args:
        i, j: rows and columns, int64 (E,).
        weight: values, (E,); those of an entry listed twice are added up.
        size: of the matrix.
        diagonal: keep the diagonal.

    >>> entries(torch.tensor([1, 0, 1, 1]), torch.tensor([0, 1, 0, 1]), torch.tensor([1.0, 2.0, 3.0, 4.0]), 2)
    (tensor([0, 1]), tensor([1, 0]), tensor([2., 4.]))
    """
    if not diagonal:
        weight = weight.where(i != j, 0)
    keys, place = torch.unique(i * size + j, return_inverse=True)
    g = weight.new_zeros(len(keys)).index_add(0, place, weight)
    kept = g != 0
    keys, g = keys[kept], g[kept]
    return keys // size, keys % size, g


def pairs(i: Tensor, j: Tensor, weight: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """As :func:`entries`, with (i, j) and (j, i) added up under i < j: half the work where their order does not matter.

    >>> pairs(torch.tensor([1, 0, 1]), torch.tensor([0, 1, 1]), torch.tensor([1.0, 2.0, 4.0]), 2)
    (tensor([0]), tensor([1]), tensor([3.]))
    """
    half = len(i) // 2
    first, second = i[:half], j[:half]
    # Views alone are listed in order, and mirrored: there is nothing to sort.
    if torch.equal(first, j[half:]) and torch.equal(second, i[half:]) and _ordered(first, second):
        g = weight[:half] + weight[half:]
        if g.all():
            return first, second, g
    return entries(torch.minimum(i, j), torch.maximum(i, j), weight, size)


def _ordered(i: Tensor, j: Tensor) -> bool:
    """Whether all entries are above the diagonal, one in a row at most, from the top down."""
    return bool((i < j).all()) and bool((i[1:] > i[:-1]).all())


def attractive(g: Tensor) -> Tensor:
    r"""The sum of positive entries, :math:`\sum G^+`, shape (); infinite if there is none: what is divided by it is 0.

    >>> attractive(torch.tensor([2.0, -5.0, 1.0])), attractive(torch.tensor([-5.0]))
    (tensor(3.), tensor(inf))
    """
    total = g.clamp(min=0).sum()
    return torch.where(total > 0, total, torch.inf)
