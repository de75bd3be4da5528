"""The losses by name, all called alike: from the embeddings of a batch and its part of the graph to a loss with its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

from torch import Tensor

from pal_backend.core.learning.losses.barlow import barlow
from pal_backend.core.learning.losses.byol import byol
from pal_backend.core.learning.losses.moby import by_groups, moby
from pal_backend.core.learning.losses.simclr import simclr_terms
from pal_backend.core.learning.losses.spectral import scl, vicreg2
from pal_backend.core.learning.losses.vicreg import vicreg
from pal_backend.core.learning.losses.xclr import xclr
from pal_backend.core.learning.momentum import Beside
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
    beside: Beside | None = None
    """What a second encoder adds, where the recipe has one."""


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


def _xclr(Z: Tensor, graph: GraphBatch, recipe: Recipe) -> Terms:
    return xclr(
        Z, graph.i, graph.j, graph.weight,
        temperature=recipe.temperature, softness=recipe.softness, repulsion=recipe.repulsion,
    )  # fmt: skip


def _barlow(Z: Tensor, graph: GraphBatch, recipe: Recipe) -> Terms:
    return barlow(Z, graph.i, graph.j, graph.weight, uniform=graph.uniform, repulsion=recipe.repulsion)


def _byol(Z: Tensor, graph: GraphBatch, recipe: Recipe) -> Terms:
    beside = _beside(graph, recipe)
    return byol(beside.predictions, beside.keys, graph.i, graph.j, graph.weight, repulsion=recipe.repulsion)


class JointTerms(NamedTuple):
    """Scalars, shape (); ``loss = groups + recipe.contrast * contrast``."""

    loss: Tensor
    groups: Tensor
    """Cross-entropy of the groups found so far."""
    contrast: Tensor
    """Of both views, each against the keys of the other."""
    right: Tensor
    """Share of the samples with a group that are put into it."""


def _moby(Z: Tensor, graph: GraphBatch, recipe: Recipe) -> Terms:
    beside = _beside(graph, recipe)
    size = len(beside.groups)
    contrast = Z.new_zeros(())
    for view, other in ((0, 1), (1, 0)):
        across = (graph.i // size == view) & (graph.j // size == other)
        i, j, weight = graph.i[across] % size, graph.j[across] % size, graph.weight[across]
        Q, keys = beside.predictions.view(2, size, -1)[view], beside.keys.view(2, size, -1)[other]
        found = moby(
            Q, keys, i, j, weight, queue=beside.queue[other], negatives=beside.negatives, temperature=recipe.temperature
        )  # fmt: skip
        contrast = contrast + found.loss
    groups = by_groups(beside.logits, beside.groups, beside.rivals)
    return JointTerms(groups.loss + recipe.contrast * contrast, groups.loss, contrast, groups.right)


def _beside(graph: GraphBatch, recipe: Recipe) -> Beside:
    """What the second encoder adds.

    Raises:
        InputError: there is none.
    """
    if graph.beside is None:
        raise InputError(
            f"the loss {recipe.objective!r:.60} needs a second encoder; expected a momentum above 0, found "
            f"{recipe.momentum:g}; correct the recipe"
        )
    return graph.beside


OBJECTIVES: Mapping[str, Objective] = MappingProxyType(
    {
        "simclr": _simclr,
        "xclr": _xclr,
        "vicreg": _vicreg,
        "vicreg2": _vicreg2,
        "scl": _scl,
        "barlow": _barlow,
        "byol": _byol,
        "moby": _moby,
    }
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
