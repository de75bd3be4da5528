"""Losses whose optimum is the leading eigenvectors of the similarity graph."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pal_backend.core.learning.edges import attractive, entries, pairs
from pal_backend.core.learning.moments import gram, uniform_rows


class SpectralTerms(NamedTuple):
    """Scalars, shape (); each part before its weight."""

    loss: Tensor
    attraction: Tensor
    """The sum over the graph."""
    repulsion: Tensor
    """What is of fourth order in Z, and bounds the loss below."""


def vicreg2(
    Z: Tensor, i: Tensor, j: Tensor, weight: Tensor, *, uniform: Tensor | None = None, alpha: float = 1.0
) -> SpectralTerms:
    r"""Squared VICReg of embeddings against a signed similarity graph G, given as a list of its entries.

    .. math::
        \Bigl\| \tfrac{1}{n} \sum_{i \in U} z_i z_i^\top - I \Bigr\|_F^2
        + \frac{\alpha}{\sum G^+} \sum_{ij} G_{ij} \|z_i - z_j\|^2

    over the n uniform rows U. With all rows uniform it is :math:`\|Y Y^\top - (I - aL)\|_F^2 + K - \|I - aL\|_F^2` of
    :math:`Y = Z / \sqrt{n}`, :math:`a = \alpha n / \sum G^+`, :math:`L = \mathrm{diag}(G 1) - G`, so a "different" may
    enter with its sign: the loss stays bounded. With some rows outside U it is so only on average over batches.

    Args:
        Z: embeddings, shape (R, K); their scale matters.
        i: rows of the entries of G, int64, shape (E,).
        j: their columns, int64, shape (E,). A symmetric graph lists both (i, j) and (j, i);
            what is listed twice, or mirrored, counts with the sum, the diagonal is ignored.
        weight: the entries, shape (E,), positive for "same", negative for "different".
        uniform: the rows U, bool (R,) or int64 (n,); None is all.
        alpha: :math:`\alpha`.

    Returns:
        The loss and its two parts, scalars, shape (): repulsion is the first summand, attraction the sum without alpha.

    Raises:
        ValueError: a mask that does not fit, or no uniform row.

    Source:
        VICReg with squares in place of hinge and root, as in Cabannes et al. 2023 (arXiv 2303.15256) and Balestriero &
        LeCun 2022 (arXiv 2205.11508).

    >>> Z = 2.0 * torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> i = torch.arange(4)
    >>> vicreg2(Z, i, i ^ 1, torch.ones(4)).loss.item()
    2.0
    """
    U = _some(uniform_rows(Z, uniform), 1)
    i, j, g = pairs(i, j, weight.to(Z.dtype), len(Z))
    apart = Z.index_select(0, i) - Z.index_select(0, j)
    attraction = (g * apart.square().sum(dim=1)).sum() / attractive(g)
    C = gram(U) / len(U)
    repulsion = (C - torch.eye(len(C), dtype=C.dtype, device=C.device)).square().sum()
    return SpectralTerms(repulsion + alpha * attraction, attraction, repulsion)


def scl(Z: Tensor, i: Tensor, j: Tensor, weight: Tensor, *, uniform: Tensor | None = None) -> SpectralTerms:
    r"""Spectral contrastive loss of embeddings against a signed similarity graph G, given as a list of its entries.

    .. math::
        -\frac{2}{\sum G^+} \sum_{i \ne j} G_{ij} \, z_i \cdot z_j
        + \frac{1}{n (n - 1)} \sum_{i \ne j \in U} (z_i \cdot z_j)^2

    over the n uniform rows U. A "different" enters with its sign. G_ij = 0 means orthogonal, not unknown.

    Args:
        Z: embeddings, shape (R, K); their scale matters.
        i: rows of the entries of G, int64, shape (E,).
        j: their columns, int64, shape (E,). A symmetric graph lists both (i, j) and (j, i);
            what is listed twice, or mirrored, counts with the sum, the diagonal is ignored.
        weight: the entries, shape (E,), positive for "same", negative for "different".
        uniform: the rows U, bool (R,) or int64 (n,); None is all.

    Returns:
        The loss and its two summands, scalars, shape ().

    Raises:
        ValueError: a mask that does not fit, or fewer than two uniform rows.

    Source:
        Section 3.2 of HaoChen et al. 2021 (arXiv 2106.04156); the signed graph is that of Cabannes et al. 2023
        (arXiv 2303.15256).

    >>> Z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> i = torch.arange(4)
    >>> [round(part.item(), 4) for part in scl(Z, i, i ^ 1, torch.ones(4))]
    [-1.6667, -2.0, 0.3333]
    """
    U = _some(uniform_rows(Z, uniform), 2)
    i, j, g = pairs(i, j, weight.to(Z.dtype), len(Z))
    attraction = -2 * (g * _products(Z, i, j)).sum() / attractive(g)
    n = len(U)
    repulsion = (_quartic(U) - U.square().sum(dim=1).square().sum()) / (n * (n - 1))
    return SpectralTerms(attraction + repulsion, attraction, repulsion)


def spectral(Z: Tensor, i: Tensor, j: Tensor, weight: Tensor) -> SpectralTerms:
    r"""Distance of embeddings from a factor of the whole signed similarity graph G, **its diagonal included**.

    .. math::
        \|Z Z^\top - G\|_F^2 = -2 \sum_{ij} G_{ij} \, z_i \cdot z_j + \|Z^\top Z\|_F^2 + \sum_{ij} G_{ij}^2

    Its least value over Z of K columns is :math:`\|G\|_F^2 - \sum_{k \le K} \max(0, \lambda_k)^2` with the largest
    eigenvalues of G, at its eigenvectors times :math:`\sqrt{\lambda_k}`, turned in any way.

    Args:
        Z: embeddings of all samples, shape (R, K).
        i: rows of the entries of G, int64, shape (E,).
        j: their columns, int64, shape (E,); an entry listed twice counts with the sum.
        weight: the entries, shape (E,).

    Returns:
        The loss and its first two summands, scalars, shape ().

    Source:
        Cabannes et al. 2023 (arXiv 2303.15256); the optimum is the theorem of Eckart & Young 1936.

    >>> Z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> i, own = torch.arange(4), torch.arange(4)
    >>> spectral(Z, torch.cat([i, own]), torch.cat([i ^ 1, own]), torch.full((8,), 0.5)).loss.item()
    2.0
    """
    i, j, g = entries(i, j, weight.to(Z.dtype), len(Z), diagonal=True)
    attraction = -2 * (g * _products(Z, i, j)).sum()
    repulsion = _quartic(Z)
    return SpectralTerms(attraction + repulsion + g.square().sum(), attraction, repulsion)


def _products(Z: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """z_i . z_j of each entry, (E,)."""
    return (Z.index_select(0, i) * Z.index_select(0, j)).sum(dim=1)


def _quartic(U: Tensor) -> Tensor:
    """Sum over all rows of (z_i . z_j)^2, through the smaller of the two Gram matrices, which have the same norm."""
    n, K = U.shape
    return gram(U if n >= K else U.T).square().sum()


def _some(U: Tensor, least: int) -> Tensor:
    """U itself if it has enough rows."""
    if len(U) < least:
        raise ValueError(f"{len(U)} uniform rows; expected at least {least}: make batches larger or mark more rows")
    return U
