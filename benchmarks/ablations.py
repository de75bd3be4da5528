"""What can be switched off in our way of asking, to see what it is worth.

Each entry is a name and what :func:`pal_backend.simulation.simulate` is then called with besides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.asking.gain import gain
from pal_backend.core.asking.scores import doubt
from pal_backend.core.asking.state import Candidates, State
from pal_backend.core.neighbours import Space, build_space
from pal_backend.core.opinion import Float, Rows, Smoother

Floats = NDArray[np.floating]


class _Silent(Smoother):
    """Has no opinion."""

    def __init__(self) -> None:
        self.taught = np.zeros(0, np.int64)

    def without_itself(self, beliefs: Float) -> Float:
        return np.zeros_like(beliefs)

    def of_taught(self, beliefs: Float, besides: Rows) -> Float:
        return np.zeros_like(beliefs[besides])


class _OneOpinion(Space):
    @cached_property
    def smoother(self) -> Smoother:
        return _Silent()


class _NoTypical(Space):
    @cached_property
    def medoids(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        rows, sizes = super().medoids
        return rows, 1e-9 * sizes


def one_opinion(sample_ids: Sequence[str], features: Floats, *, difficulty: Floats | None = None) -> Space:
    """Label spreading alone."""
    return _as(_OneOpinion, build_space(sample_ids, features, difficulty=difficulty))


def no_typical(sample_ids: Sequence[str], features: Floats, *, difficulty: Floats | None = None) -> Space:
    """Typical samples count like any other."""
    return _as(_NoTypical, build_space(sample_ids, features, difficulty=difficulty))


def blunt_graph(sample_ids: Sequence[str], features: Floats, *, difficulty: Floats | None = None) -> Space:
    """The weights as self-tuning has them, exp(-d^2 / (s_i s_j)), in whatever pool."""
    return build_space(sample_ids, features, difficulty=difficulty, contrast=1.0)


def _as(kind: type[Space], space: Space) -> Space:
    return kind(**{field.name: getattr(space, field.name) for field in fields(space)})


def no_influence(state: State, rng: np.random.Generator) -> Candidates:
    """Doubt alone: what a sample tells about others does not count."""
    plain = replace(state.beliefs, influence=np.ones(len(state.doubts)))
    return gain(replace(state, doubts=doubt(state.space, plain)), rng)


def no_merges(state: State, rng: np.random.Generator) -> Candidates:
    """Never asks whether two groups are one."""
    return gain(replace(state, gains=np.zeros_like(state.gains)), rng)


def no_seams(state: State, rng: np.random.Generator) -> Candidates:
    """Never asks whether one group is two."""
    return gain(replace(state, seams=()), rng)


ABLATIONS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "second opinion": {"space": one_opinion},
        "influence": {"strategy": no_influence},
        "typical samples": {"space": no_typical},
        "merge questions": {"strategy": no_merges},
        "seam questions": {"strategy": no_seams},
        "sharper graph": {"space": blunt_graph},
    }
)
