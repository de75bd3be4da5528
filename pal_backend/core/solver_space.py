"""A space whose second opinion is given in the exact solver's embedding, which learns from the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.neighbours import Space, build_space
from pal_backend.core.opinion import Smoother, gaussian_map
from pal_backend.core.solver import Links, Solver
from pal_backend.core.vocabulary import Opinion, SampleId

DIMENSION = 200
"""K: fewer directions make the opinion a coarser one, whatever the answers."""
RIDGE = 0.01
"""lambda in units of the mean eigenvalue of S."""


@dataclass(frozen=True, eq=False)
class SolverSpace(Space):
    """Neighbours and features as in any space; the classifier of the second opinion works on Z = X W.

    X are the features whose products are the Gaussian kernel (:func:`~.opinion.gaussian_map`), and H is the neighbour
    graph, ``D^{-1/2} W D^{-1/2}``, plus what the answers say (:class:`~.solver.Links`), both of spectral radius about 1.
    Then ``Z Z^T`` is the kernel: of the functions that the Gaussian kernel allows, those that neighbours and answers agree
    with. An opinion is a function of the answers, to 1e-6 whatever was answered before.
    """

    @cached_property
    def _mapped(self) -> NDArray[np.float32]:
        return gaussian_map(self.features)

    @cached_property
    def _solver(self) -> Solver:
        degree = np.maximum(np.asarray(self.graph.sum(axis=1), np.float64).reshape(-1), 1e-12)
        root = sparse.diags_array((1.0 / np.sqrt(degree)).astype(np.float32))
        prior = sparse.csr_array(root @ self.graph @ root)
        ridge = RIDGE * float(self._mapped.var(axis=0).mean()) * len(self._mapped)
        return Solver(self._mapped, prior, dimension=DIMENSION, ridge=ridge)

    def opinion(self, graph: SimilarityGraph) -> Smoother:
        """The classifier on the embedding that these answers give, its rows of length 1 on average."""
        self._solver.update(Links.of(graph, self.index))
        z = self._solver.solve().embed(self._mapped)
        return Smoother(np.asarray(z / max(float(np.sqrt((z**2).sum() / len(z))), 1e-12), np.float32))


class MakeSpace(Protocol):
    """From sample ids, features (N, D) and, if there are any, losses of a pretext task (N,) to a space."""

    def __call__(
        self,
        sample_ids: Sequence[SampleId],
        features: NDArray[np.floating],
        *,
        difficulty: NDArray[np.floating] | None = None,
    ) -> Space:
        """The space."""
        ...


def solver_space(
    sample_ids: Sequence[SampleId], features: NDArray[np.floating], *, difficulty: NDArray[np.floating] | None = None
) -> SolverSpace:
    """As :func:`~.neighbours.build_space`, with the solver's opinion."""
    space = build_space(sample_ids, features, difficulty=difficulty)
    return SolverSpace(space.sample_ids, space.features, space.graph, space.difficulty, space.contrast)


def space_with(opinion: Opinion) -> MakeSpace:
    """What makes a space with this second opinion."""
    return solver_space if opinion is Opinion.SOLVER else build_space
