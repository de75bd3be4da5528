"""The losses by name, all called alike: from the embeddings of a batch and its part of the graph to a loss with its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

from torch import Tensor

from pal_backend.core.learning.losses.simclr import simclr_terms
from pal_backend.core.learning.losses.spectral import scl, vicreg2
from pal_backend.core.learning.losses.vicreg import vicreg
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


Objective = Callable[[Tensor, GraphBatch, Recipe], Terms]


def _simclr(Z: Tensor, graph: GraphBatch, recipe: Recipe) -> Terms:
    # Its repulsion runs over all rows: what is more often in a batch is more often a negative, and also an anchor.
    return simclr_terms(Z, graph.i, graph.j, graph.weight, temperature=recipe.temperature, repulsion=recipe.repulsion)


def _vicreg(Z: Tensor, graph: GraphBatch, recipe: Recipe) -> Terms:
    return vicreg(Z, graph.i, graph.j, graph.weight, uniform=graph.uniform, repulsion=recipe.repulsion)


def _vicreg2(Z: Tensor, graph: GraphBatch, recipe: Recipe) -> Terms:
    return vicreg2(Z, graph.i, graph.j, graph.weight, uniform=graph.uniform)


def _scl(Z: Tensor, graph: GraphBatch, recipe: Recipe) -> Terms:
    return scl(Z, graph.i, graph.j, graph.weight, uniform=graph.uniform)


OBJECTIVES: Mapping[str, Objective] = MappingProxyType(
    {"simclr": _simclr, "vicreg": _vicreg, "vicreg2": _vicreg2, "scl": _scl}
)
"""Every loss of ``losses/``, by the name that recipes use."""


def objective(name: str) -> Objective:
    """The loss of a name.

    Raises:
        InputError: there is none.
    """
    if name not in OBJECTIVES:
        raise InputError(f"there is no loss {name!r:.60}; expected one of: {', '.join(OBJECTIVES)}; correct the recipe")
    return OBJECTIVES[name]
