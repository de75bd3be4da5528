"""Batch normalisation whose statistics come from the uniform part of a batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from pal_backend.core.learning.ranks import ALONE, Ranks, totalled


class UniformBatchNorm(nn.Module):
    """Takes the place of a batch normalisation over (B, C, ...): the same weights, buffers and formula, but mean and
    variance of some rows only.

    A guided batch holds more of large components than the pool does; its mean leans towards them, and all features with it.
    """

    def __init__(self, norm: nn.modules.batchnorm._BatchNorm) -> None:
        super().__init__()
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean: Tensor | None
        self.running_var: Tensor | None
        self.num_batches_tracked: Tensor | None
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(norm, name))
        self.eps, self.momentum = norm.eps, norm.momentum
        self.rows: Tensor | None = None
        """int64 (n,), over which statistics are taken; None is all."""
        self.ranks: Ranks = ALONE
        """The processes over whose rows they are taken while training."""

    def forward(self, x: Tensor) -> Tensor:
        """x, normalised; shape (B, C, ...)."""
        own = self.training or self.running_mean is None
        together = self.training and self.ranks.size > 1
        if not together and (self.rows is None or not own or len(self.rows) == len(x)):
            share = self._share() if self.training else 0.0
            return batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, own, share, self.eps)
        over = [axis for axis in range(x.dim()) if axis != 1]
        some = x if self.rows is None else x.index_select(0, self.rows)
        some = some.float() if some.dtype is torch.bfloat16 else some
        variance, mean = torch.var_mean(some, over, correction=0)
        count = some.numel() / some.shape[1]
        if together:
            mean, variance, count = _pooled(mean, variance, count, self.ranks)
        if self.running_mean is not None and self.running_var is not None:
            share = self._share()
            self.running_mean.lerp_(mean.detach(), share)
            self.running_var.lerp_(variance.detach() * (count / max(1.0, count - 1.0)), share)
        scale = torch.rsqrt(variance + self.eps)
        scale = scale if self.weight is None else scale * self.weight
        offset = -mean * scale if self.bias is None else self.bias - mean * scale
        shape = [1, -1, *[1] * (x.dim() - 2)]
        return torch.addcmul(offset.view(shape), x, scale.view(shape)).to(x.dtype)

    def _share(self) -> float:
        """Weight of this batch in the running statistics; without a momentum they are the mean over all batches."""
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        if self.momentum is not None:
            return self.momentum
        return 1.0 if self.num_batches_tracked is None else 1.0 / float(self.num_batches_tracked)


def _pooled(mean: Tensor, variance: Tensor, count: float, ranks: Ranks) -> tuple[Tensor, Tensor, float]:
    """Mean and variance, (C,), over the rows of all processes, and their number, from those of each (Chan et al. 1982)."""
    own = torch.cat([mean, variance, mean.new_tensor([count])])
    each = totalled(torch.eye(ranks.size, dtype=own.dtype, device=own.device)[ranks.rank, :, None] * own, ranks)
    means, variances, counts = torch.split(each, [len(mean), len(mean), 1], dim=1)
    whole = counts.detach().sum()
    share = counts.detach() / whole
    mean = (share * means).sum(dim=0)
    return mean, (share * (variances + (means - mean).square())).sum(dim=0), float(whole)


def take_over(network: nn.Module) -> None:
    """Put a :class:`UniformBatchNorm` in the place of every batch normalisation of a network."""
    for parent in network.modules():
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
                setattr(parent, name, UniformBatchNorm(child).train(child.training))


@contextmanager
def statistics_of(network: nn.Module, rows: Tensor, ranks: Ranks = ALONE) -> Iterator[None]:
    """Within, statistics are taken over these rows, int64 (n,), of each batch, and over those of the other processes."""
    norms = [module for module in network.modules() if isinstance(module, UniformBatchNorm)]
    for norm in norms:
        norm.rows, norm.ranks = rows, ranks
    try:
        yield
    finally:
        for norm in norms:
            norm.rows, norm.ranks = None, ALONE
