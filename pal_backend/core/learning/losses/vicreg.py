"""VICReg on a similarity graph."""

from __future__ import annotations

import math
from typing import NamedTuple

from torch import Tensor
from torch.linalg import vector_norm
from torch.nn.functional import relu

from pal_backend.core.learning.edges import attractive, pairs
from pal_backend.core.learning.moments import gram, uniform_rows

_EPSILON = 1e-4
"""Keeps the slope of the square root finite where a column is constant."""


class VicregTerms(NamedTuple):
    """Scalars, shape (); each part before its weight."""

    loss: Tensor
    invariance: Tensor
    variance: Tensor
    covariance: Tensor
    repulsion: Tensor


def vicreg(
    Z: Tensor,
    i: Tensor,
    j: Tensor,
    weight: Tensor,
    *,
    uniform: Tensor | None = None,
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
    repulsion: float = 1.0,
    margin: float | None = None,
) -> VicregTerms:
    r"""Variance, invariance and covariance of embeddings against a signed similarity graph G, a list of its entries.

    .. math::
        \frac{\lambda}{K \sum G^+} \sum_{ij} G^+_{ij} \|z_i - z_j\|^2
        + \frac{\mu}{K} \sum_k \max\bigl(0, 1 - \sqrt{C_{kk} + 10^{-4}}\bigr)
        + \frac{\nu}{K} \sum_{k \ne l} C_{kl}^2
        + \frac{\kappa}{K \sum G^-} \sum_{ij} G^-_{ij} \max(0, m - \|z_i - z_j\|)^2

    with :math:`C = \frac{1}{n - 1} \sum_{i \in U} (z_i - \bar z)(z_i - \bar z)^\top` over the n uniform rows U. The hinge
    ends the push of a "different" at m: without it the loss had no lower bound, since the variance has a floor but no
    ceiling. Two embeddings that are equal have no direction to part in; the variance parts them first.

    Args:
        Z: embeddings, shape (R, K); their scale matters.
        i: rows of the entries of G, int64, shape (E,).
        j: their columns, int64, shape (E,). A symmetric graph lists both (i, j) and (j, i);
            what is listed twice, or mirrored, counts with the sum, the diagonal is ignored.
        weight: the entries, shape (E,), positive for "same", negative for "different".
        uniform: the rows that C is taken over, bool (R,) or int64 (n,); None is all.
        invariance: :math:`\lambda`.
        variance: :math:`\mu`.
        covariance: :math:`\nu`.
        repulsion: :math:`\kappa`. With 5 % of cannot-links in a batch 1 gives an entry of -1 the pull of an entry of 1.
        margin: m; None is :math:`0.7 \sqrt{2K}`, seven tenths of the distance of two independent rows of variance 1.

    Returns:
        The loss and its four parts, scalars, shape ().

    Raises:
        ValueError: fewer than two uniform rows, or a mask that does not fit.

    Source:
        Eq. 1-6 of Bardes et al. 2022 (arXiv 2105.04906), over all rows at once instead of the mean over two branches; the
        graph is that of Cabannes et al. 2023 (arXiv 2303.15256). The hinge is the second term of Eq. 4 of Hadsell et al.
        2006 (Dimensionality reduction by learning an invariant mapping).

    >>> import torch
    >>> Z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    >>> terms = vicreg(Z, torch.tensor([0, 1]), torch.tensor([1, 0]), torch.ones(2))
    >>> [round(part.item(), 4) for part in terms]
    [50.0, 2.0, 0.0, 0.0, 0.0]
    """
    U = uniform_rows(Z, uniform)
    n, K = U.shape
    if n < 2:
        raise ValueError(f"a variance of {n} uniform rows; expected at least 2: make batches larger or mark more rows")
    i, j, g = pairs(i, j, weight.to(Z.dtype), len(Z))
    same, other = g > 0, g < 0
    apart = Z.index_select(0, i[same]) - Z.index_select(0, j[same])
    s = (g[same] * apart.square().sum(dim=1)).sum() / (K * attractive(g))
    C = gram(U - U.mean(dim=0)) / (n - 1)
    v = relu(1 - (C.diagonal() + _EPSILON).sqrt()).mean()
    c = (C - C.diagonal().diag()).square().sum() / K
    m = 0.7 * math.sqrt(2 * K) if margin is None else margin
    # The norm's own gradient at 0 is 0; that of a square root of a sum would not be a number.
    distance = vector_norm(Z.index_select(0, i[other]) - Z.index_select(0, j[other]), dim=1)
    r = (-g[other] * relu(m - distance).square()).sum() / (K * attractive(-g))
    return VicregTerms(invariance * s + variance * v + covariance * c + repulsion * r, s, v, c, r)
