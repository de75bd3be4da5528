"""MoBYv2AL's two losses: contrast with a queue of keys that know their samples, and classification by the groups found."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from pal_backend.core.learning.denominators import check_temperature
from pal_backend.core.learning.edges import entries


class MobyTerms(NamedTuple):
    """Scalars, shape ()."""

    loss: Tensor
    alike: Tensor
    """Mean cosine of predictions and the keys of related samples."""


class GroupTerms(NamedTuple):
    """Scalars, shape ()."""

    loss: Tensor
    right: Tensor
    """Share of the samples with a group whose group has the highest logit among its rivals'."""


def moby(
    Q: Tensor,
    keys: Tensor,
    i: Tensor,
    j: Tensor,
    weight: Tensor,
    *,
    queue: Tensor,
    negatives: Tensor,
    temperature: float = 0.2,
) -> MobyTerms:
    r"""Contrast of one view's predictions with the other view's keys, against a queue of earlier keys; G is a list of entries.

    .. math::
        -\frac{1}{R^+} \sum_i \sum_j P_{ij}
        \log \frac{e^{q_i \cdot k_j/\tau}}{e^{q_i \cdot k_j/\tau} + \sum_m a_{im} e^{q_i \cdot k'_m/\tau}}, \quad
        P_{ij} = \frac{G^+_{ij}}{\sum_k G^+_{ik}}

    with all vectors brought to unit length. :math:`a_{im}` is 0 for the key of a related sample, 1 for another one, above 1
    for one that is known to be different. Rows without a positive are skipped; :math:`R^+` counts the others. No gradient
    goes to the keys.

    Args:
        Q: predictions from one view of R samples, shape (R, K), any scale.
        keys: what the second encoder makes of the other view of the same samples, shape (R, K), any scale.
        i: rows of the entries of G, int64, shape (E,), **the diagonal included**: it joins the two views of a sample. An
            entry listed twice counts with the sum.
        j: their columns, int64, shape (E,).
        weight: the entries, shape (E,); negative ones speak through ``negatives``.
        queue: earlier keys of the other view, shape (M, K), any scale.
        negatives: :math:`a`, shape (R, M), at least 0.
        temperature: :math:`\tau`; in float32 above .0141.

    Returns:
        The loss, and how well it does, scalars, shape ().

    Raises:
        ValueError: a temperature at which exp(1 / tau) leaves the range of Q's type.

    Source:
        Caramalau et al. 2022 (arXiv 2301.01531), section 3: one of the two summands of the contrastive loss; MoBY of Xie et
        al. 2021 (arXiv 2105.04553), on the graph of Cabannes et al. 2023 (arXiv 2303.15256). Weights of negatives are ours.

    >>> Q, own = torch.eye(2), torch.arange(2)
    >>> round(moby(Q, Q, own, own, torch.ones(2), queue=Q, negatives=1 - torch.eye(2), temperature=1.0).loss.item(), 4)
    0.3133
    """
    check_temperature(temperature, Q.dtype)
    i, j, g = entries(i, j, weight.to(Q.dtype), len(Q), diagonal=True)
    i, j, g = i[g > 0], j[g > 0], g[g > 0]
    degree = Q.new_zeros(len(Q)).index_add(0, i, g)
    count = (degree > 0).sum().clamp(min=1)
    Qn, Kn, others = normalize(Q, dim=1), normalize(keys.detach(), dim=1), normalize(queue.detach(), dim=1)
    repulsion = (negatives * (Qn @ others.T / temperature).exp()).sum(dim=1)
    alike = (Qn.index_select(0, i) * Kn.index_select(0, j)).sum(dim=1)
    P = g / degree[i] / count
    loss = (P * torch.log1p(repulsion.index_select(0, i) * (-alike / temperature).exp())).sum()
    return MobyTerms(loss, (P * alike).sum().detach())


def by_groups(logits: Tensor, groups: Tensor, rivals: Tensor) -> GroupTerms:
    r"""Cross-entropy of the groups found so far, each among those that answers keep apart from it.

    .. math::
        -\frac{1}{|L|} \sum_{i \in L}
        \log \frac{e^{l_{i y_i}}}{e^{l_{i y_i}} + \sum_{c \,\text{apart from}\, y_i} e^{l_{ic}}}

    over the samples L that are in a group from which another one is kept apart. Two groups that may still turn out to be
    one do not compete. Without any such sample the loss is 0, and so is its gradient.

    Args:
        logits: of B samples for C groups, with features of a network whose embeddings have shape (R, K): shape (B, C).
        groups: of each sample, int64, shape (B,); -1 for none.
        rivals: bool, shape (B, C), the groups that are kept apart from each sample's.

    Returns:
        The loss, and the share that is right, scalars, shape ().

    Source:
        The task loss of Caramalau et al. 2022 (arXiv 2301.01531), section 3; where all groups are known to be different it
        is theirs.

    >>> logits = torch.tensor([[0.0, 0.0, 9.0], [9.0, 9.0, 9.0]])
    >>> rivals = torch.tensor([[False, True, False], [False, False, False]])
    >>> round(by_groups(logits, torch.tensor([0, -1]), rivals).loss.item(), 4)  # log 2, of the first sample alone
    0.6931
    """
    counted = (groups >= 0) & rivals.any(dim=1)
    of, own = logits[counted], groups[counted]
    if not len(own):
        return GroupTerms(logits.sum() * 0, logits.new_zeros(()))
    competing = rivals[counted].scatter(1, own[:, None], value=True)
    of = of.masked_fill(~competing, -torch.inf)
    return GroupTerms(cross_entropy(of, own), (of.argmax(dim=1) == own).to(of.dtype).mean())
