"""BYOL on a similarity graph."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import normalize, relu

from pal_backend.core.learning.edges import attractive, entries


class ByolTerms(NamedTuple):
    """Scalars, shape (); each part before its weight."""

    loss: Tensor
    attraction: Tensor
    """Mean of 2 - 2 cos over related pairs: 0 where predictions are right, 2 where they know nothing."""
    repulsion: Tensor
    """How far predictions of what is different lie within the margin."""


def byol(
    Q: Tensor,
    keys: Tensor,
    i: Tensor,
    j: Tensor,
    weight: Tensor,
    *,
    repulsion: float = 1.0,
    margin: float = 0.3,
) -> ByolTerms:
    r"""From each row, foretell what a second encoder makes of the related ones; G is a list of its entries.

    .. math::
        \frac{1}{R^+} \sum_i \sum_{j \ne i} P_{ij} (2 - 2 c_{ij})
        + \frac{\kappa}{\sum G^-} \sum_{i \ne j} G^-_{ij} \max(0, c_{ij} - m), \quad
        c_{ij} = \hat q_i \cdot \hat k_j, \quad
        P_{ij} = \frac{G^+_{ij}}{\sum_{k \ne i} G^+_{ik}}

    Rows without a positive are skipped; :math:`R^+` counts the others. No gradient goes to the keys. The first part cannot
    say that two samples differ; without the second such an answer would be lost.

    Args:
        Q: predictions, shape (R, K), any scale.
        keys: what the second encoder makes of the same rows, shape (R, K), any scale.
        i: rows of the entries of G, int64, shape (E,).
        j: their columns, int64, shape (E,). A symmetric graph lists both (i, j) and (j, i);
            an entry listed twice counts with the sum, the diagonal is ignored.
        weight: the entries, shape (E,), positive for "same", negative for "different".
        repulsion: :math:`\kappa`.
        margin: m, a cosine.

    Returns:
        The loss and its two parts, scalars, shape ().

    Raises:
        ValueError: predictions and keys are of different shapes.

    Source:
        Eq. 2 of Grill et al. 2020 (arXiv 2006.07733), both directions at once and their mean instead of their sum. The
        graph is that of Cabannes et al. 2023 (arXiv 2303.15256); with a graph of neighbours it is GPS-SSL's BYOL (Feizi et
        al. 2024, arXiv 2401.01990, section 3). The hinge is ours.

    >>> import torch
    >>> Q = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> i = torch.tensor([0, 1, 2, 3, 0, 2])
    >>> j = torch.tensor([1, 0, 3, 2, 2, 0])
    >>> [part.item() for part in byol(Q, Q.roll(1, 0), i, j, torch.tensor([1.0, 1, 1, 1, -1, -1]), margin=0.25)]
    [1.75, 1.0, 0.75]
    """
    if Q.shape != keys.shape:
        raise ValueError(f"predictions {tuple(Q.shape)} do not fit keys {tuple(keys.shape)}; expected the same rows")
    i, j, g = entries(i, j, weight.to(Q.dtype), len(Q))
    positive = g > 0
    degree = Q.new_zeros(len(Q)).index_add(0, i[positive], g[positive])
    count = (degree > 0).sum().clamp(min=1)
    Qn, Kn = normalize(Q, dim=1), normalize(keys.detach(), dim=1)
    # index_select and not Qn[i]: the gradient of the latter adds up in any order when there are several threads.
    c = (Qn.index_select(0, i) * Kn.index_select(0, j)).sum(dim=1)
    attraction = (g[positive] / degree[i[positive]] * (2 - 2 * c[positive])).sum() / count
    apart = -g[~positive]
    hinge = (apart * relu(c[~positive] - margin)).sum() / attractive(apart)
    return ByolTerms(attraction + repulsion * hinge, attraction, hinge)
