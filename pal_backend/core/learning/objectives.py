"""The losses by name, all called alike: from the embeddings of a batch and its part of the graph to a loss with its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

from torch import Tensor

from pal_backend.core.learning.losses.simclr import simclr
from pal_backend.core.recipes import Recipe
from pal_backend.errors import InputError


class Terms(Protocol):
    """A named tuple of scalars, the first of which is minimised; the others are its parts, to be shown."""

    @property
    def loss(self) -> Tensor:
        """What is minimised, shape ()."""
        ...

    def _asdict(self) -> dict[str, Tensor]: ...


class GraphBatch(NamedTuple):
    """The graph among the R rows of a batch, on the device of the embeddings."""

    i: Tensor
    j: Tensor
    """Rows and columns of the entries, int64 (E,); a symmetric graph lists both directions."""
    weight: Tensor
    """The entries, float32 (E,), negative for "different"."""
    uniform: Tensor
    """Rows that come from the uniform part of the batch, int64 (n,): only over them are statistics those of the pool."""


class SimclrTerms(NamedTuple):
    """SimCLR has no parts."""

    loss: Tensor


Objective = Callable[[Tensor, GraphBatch, Recipe], Terms]


def _simclr(Z: Tensor, graph: GraphBatch, recipe: Recipe) -> Terms:
    return SimclrTerms(
        simclr(
            Z,
            graph.i,
            graph.j,
            graph.weight,
            temperature=recipe.temperature,
            repulsion=recipe.repulsion,
        )
    )


OBJECTIVES: Mapping[str, Objective] = MappingProxyType({"simclr": _simclr})
"""Every loss of ``losses/``, by the name that recipes use."""


def objective(name: str) -> Objective:
    """The loss of a name.

    Raises:
        InputError: there is none.
    """
    if name not in OBJECTIVES:
        raise InputError(f"there is no loss {name!r:.60}; expected one of: {', '.join(OBJECTIVES)}; correct the recipe")
    return OBJECTIVES[name]
