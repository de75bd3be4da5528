"""Several processes that train one network: which rows of a batch each one computes, and what they add up.

Each process draws the whole batch and works out the whole loss, from embeddings that all of them have put together; what is
shared out is the network. A gradient therefore counts once: that of the embeddings goes back to the process that made them,
and those of the weights are added up.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from pal_backend.errors import InputError, UnavailableError


class Ranks(Protocol):
    """The processes of a training. All of them call the same methods in the same order."""

    @property
    def rank(self) -> int:
        """Number of this process, from 0; 0 is the one that reports and keeps."""
        ...

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    def total(self, values: Tensor) -> Tensor:
        """The sum over all processes, the same bits in each of them; ``values`` may be overwritten by it."""
        ...


@dataclass(frozen=True)
class Alone:
    """A single process."""

    rank: int = 0
    size: int = 1

    def total(self, values: Tensor) -> Tensor:
        """The values themselves."""
        return values


ALONE = Alone()


class Part(NamedTuple):
    """What a process computes of a batch of R rows, views of samples."""

    rows: Tensor
    """Its rows, int64 (r,)."""
    uniform: Tensor
    """Which of its rows are in the uniform part of the batch, int64 (u,), below r."""


def part_of(samples: int, uniform: int, views: int, ranks: Ranks) -> Part:
    """Every ``size``-th sample of a batch with all its views, so that each process has its share of the uniform ones.

    Args:
        samples: of the batch, those of the uniform part first; view v of sample b is row ``v * samples + b``.
        uniform: how many are in the uniform part.
        views: of each sample.
        ranks: the processes.

    Raises:
        InputError: there are more processes than samples in the uniform part.
    """
    if uniform < ranks.size:
        raise InputError(
            f"a batch with {uniform} samples in its uniform part cannot be shared by {ranks.size} processes; expected one "
            "for each at least; make batches larger, or processes fewer"
        )
    own = torch.arange(ranks.rank, samples, ranks.size)
    shown = torch.arange(len(range(ranks.rank, uniform, ranks.size)))
    return Part(
        torch.cat([own + view * samples for view in range(views)]),
        torch.cat([shown + view * len(own) for view in range(views)]),
    )


def gathered(own: Tensor, rows: Tensor, count: int, ranks: Ranks) -> Tensor:
    """All rows, (count, K), of which this process has made ``own``, (r, K), at ``rows``, int64 (r,).

    The gradient that goes back is that of the own rows in *this* process' loss: all of them compute the same one.
    """
    if ranks.size == 1:
        return own
    whole: Tensor = _Gathered.apply(own, rows, count, ranks)
    return whole


def totalled(values: Tensor, ranks: Ranks) -> Tensor:
    """The sum over all processes; so is its gradient, since what each makes of the sum has a part in the loss."""
    if ranks.size == 1:
        return values
    found: Tensor = _Totalled.apply(values, ranks)
    return found


def add_up_gradients(parameters: Iterable[nn.Parameter], ranks: Ranks) -> None:
    """Replace each gradient by its sum over all processes."""
    if ranks.size == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    whole = ranks.total(torch.cat([gradient.reshape(-1) for gradient in gradients]))
    parts = torch.split(whole, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view(gradient.shape))


def anyone(asked: bool, ranks: Ranks) -> bool:
    """Whether any process was asked: the answer is the same in all of them."""
    return asked if ranks.size == 1 else bool(ranks.total(torch.tensor(int(asked))) > 0)


def check_alike(digest: str, ranks: Ranks) -> None:
    """Make sure that all processes begin with the same, of which ``digest`` is the hexadecimal digest.

    Raises:
        UnavailableError: they do not.
    """
    own = int(digest[:13], 16)  # 52 bits, of which there can be hundreds before an int64 overflows
    if ranks.size > 1 and int(ranks.total(torch.tensor(own))) != own * ranks.size:
        raise UnavailableError(
            f"the {ranks.size} processes of the training did not begin with the same images, answers and weights; "
            "expected the same of all; train again, or on one process"
        )


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, own: Tensor, rows: Tensor, count: int, ranks: Ranks) -> Tensor:
        ctx.save_for_backward(rows)
        return ranks.total(own.new_zeros(count, *own.shape[1:]).index_copy_(0, rows, own))

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (rows,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradients[0].index_select(0, rows), None, None, None


class _Totalled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, values: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks  # type: ignore[attr-defined]
        return ranks.total(values.clone())

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return ctx.ranks.total(gradients[0].clone()), None  # type: ignore[attr-defined]
