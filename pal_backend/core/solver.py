"""The exact solver: what frozen features can best say of a signed similarity graph, in closed form.

Of all linear maps W of features X (N, p), centred, the one that minimises

    ||X W W^T X^T - H||_F^2 + 2 lambda ||W||_F^2,      W (p, K),

is found without descent: with ``S = X^T X`` and ``M = S^{-1/2} (X^T H X - lambda I) S^{-1/2}`` it is
``W = S^{-1/2} U_K (Lambda_K)_+^{1/2}``, its K largest eigenpairs with negative eigenvalues clipped, and the minimum is
``||H||^2 - sum_{k <= K} (lambda_k)_+^2``. It is the spectral loss of PAL (``||Z Z^T - G||^2``) on frozen features, and the
p x p form of PAL's ``G - lambda K^{-1}`` (:mod:`pal_backend.core.kernel_solver`). H is signed: what people told apart is
pushed apart, what nobody was asked about is 0.

The constant part of H (neighbours) costs O(nnz p + N p^2) once. An answer changes a few components, and a component
enters by the sum of its rows alone, so it costs O(p^2) for each component it touches and never looks at the other rows;
then the p x p eigenproblem gives W. Sums and p x p matrices are float64 whatever the features are.

Source: Cabannes, Bottou, LeCun and Balestriero 2023, "Active Self-Supervised Learning", ICCV, arXiv 2303.15256.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import eigh

from pal_backend.core.graph import Root, SimilarityGraph
from pal_backend.core.vocabulary import SampleId

Floats = NDArray[np.float64]
Features = NDArray[np.floating[Any]]

RIDGE = 1e-3
"""lambda of PAL's experiments."""
BLOCK = 4096
"""Rows worked on at once."""
ROOM = 64
"""Components that there is room for at the start."""


@dataclass(frozen=True, eq=False)
class Links:
    """What trusted answers say about rows 0 to N - 1: components, and which of them are kept apart.

    The answered part of H is ``B C B^T`` with the indicators B (N, c) of the components. Of a component A of ``s_A``
    rows that ``d_A`` others are kept apart from

        C_AA = 1 / s_A  (0 if s_A = 1),      C_AB = -1 / sqrt(s_A d_A s_B d_B)  where A and B are kept apart,

    so a clique has the eigenvalue 1 and not s_A, all cannot-links together have eigenvalues within [-1, 1], and one
    large component outweighs neither the others nor the neighbours. What people contradict each other about is not in it.

    Args:
        members: the rows of each component.
        apart: the components that each is kept apart from, both ways; only those with any.
    """

    members: Mapping[Root, tuple[int, ...]] = field(default_factory=dict)
    apart: Mapping[Root, frozenset[Root]] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: SimilarityGraph, index: Mapping[SampleId, int]) -> Links:
        """Of the samples in ``index`` (sample id to row); the others are left out."""
        found = {root: tuple(index[s] for s in samples if s in index) for root, samples in graph.members.items()}
        members = {root: rows for root, rows in found.items() if rows}
        apart: dict[Root, set[Root]] = defaultdict(set)
        for a, b in graph.cannot:
            if a in members and b in members:
                apart[a].add(b)
                apart[b].add(a)
        return cls(members, {root: frozenset(others) for root, others in apart.items()})

    def changed(self, other: Links) -> list[Root]:
        """The components that the two do not agree on, in a fixed order."""
        return sorted(
            root
            for root in self.members.keys() | other.members.keys()
            if self.members.get(root) != other.members.get(root) or self.apart.get(root) != other.apart.get(root)
        )

    def coefficients(self, root: Root) -> Iterator[tuple[Root, float]]:
        """A row of ``diag(s)^{1/2} C diag(s)^{1/2}`` without its zeros: a component and the coefficient."""
        if len(self.members[root]) > 1:
            yield root, 1.0
        others = self.apart.get(root, frozenset())
        for other in others:
            yield other, -1.0 / float(np.sqrt(len(others) * len(self.apart[other])))

    def matrix(self, size: int) -> sparse.csr_array:
        """The answered part of H, float64 csr (size, size), as large as its largest component squared."""
        at = {root: n for n, root in enumerate(self.members)}
        ends = [(at[a], at[b], value) for a in self.members for b, value in self.coefficients(a)]
        first, second, values = zip(*ends, strict=True) if ends else ((), (), ())
        c = sparse.csr_array((values, (first, second)), shape=(len(at), len(at)), dtype=np.float64)
        rows = [row for some in self.members.values() for row in some]
        columns = np.repeat(np.arange(len(at)), [len(some) for some in self.members.values()]).astype(np.int64)
        shares = [len(some) ** -0.5 for some in self.members.values() for _ in some]
        b = sparse.csr_array((shares, (rows, columns)), shape=(size, len(at)), dtype=np.float64)
        return sparse.csr_array(b @ c @ b.T)


@dataclass(frozen=True, eq=False)
class Solution:
    """A linear embedding.

    Args:
        weights: W, float64 (p, K); columns beyond the rank, or of eigenvalues that are not positive, are 0.
        values: float64 (K,), the K largest eigenvalues of M, largest first, negative ones clipped.
        mean: float64 (p,), subtracted from features.
    """

    weights: Floats
    values: Floats
    mean: Floats

    @property
    def gain(self) -> float:
        """``sum_k lambda_k^2``: what ``||H||^2`` is brought down by."""
        return float(self.values @ self.values)

    def embed(self, features: Features) -> Features:
        """Z (n, K) of features (n, p), of the solver's samples or of new ones, in the features' precision."""
        weights = self.weights.astype(features.dtype)
        z = features @ weights
        z -= (self.mean @ self.weights).astype(features.dtype)
        return z


class Solver:
    """Solves for W again and again while answers come.

    Args:
        features: float32 or float64 (N, p), finite; kept, not copied.
        prior: symmetric csr (N, N), the part of H that answers do not change: neighbours, views. None for nothing.
        dimension: K.
        ridge: lambda, not negative.
        answer: weight of the answered part of H.
        centred: whether the mean of the features is subtracted.

    Raises:
        ValueError: an argument is out of range, or features and prior do not fit together.
    """

    def __init__(
        self,
        features: Features,
        prior: sparse.csr_array | None = None,
        *,
        dimension: int,
        ridge: float = RIDGE,
        answer: float = 1.0,
        centred: bool = True,
    ) -> None:
        _check(features, prior, dimension, ridge, answer)
        self._x, self._dimension, self._answer = features, dimension, answer
        self.mean: Floats = np.zeros(features.shape[1])
        if centred and len(features):
            self.mean = features.mean(axis=0, dtype=np.float64)
        gram, constant = _products(features, prior, self.mean)
        s, v = np.linalg.eigh(gram)
        least = np.finfo(features.dtype).eps * max(features.shape) * float(s.max(initial=0.0))
        kept = s > max(least, np.finfo(np.float64).tiny)
        # V diag(s)^{-1/2} in place of V diag(s)^{-1/2} V^T: M turned by V, which Z does not see
        self._whiten: Floats = v[:, kept] / np.sqrt(s[kept])
        self._m: Floats = self._whiten.T @ constant @ self._whiten
        self._m[np.diag_indices_from(self._m)] -= ridge / s[kept]
        self._links = Links()
        self._slot: dict[Root, int] = {}
        self._free: list[int] = []
        self._units: Floats = np.zeros((ROOM, self.rank))

    @property
    def rank(self) -> int:
        """r, the rank of the features as far as their precision tells it."""
        return int(self._whiten.shape[1])

    def update(self, links: Links) -> None:
        """Take ``links`` as all that answers say; only components that differ from those before are looked at."""
        changed = self._links.changed(links)
        self._change(self._links, [root for root in changed if root in self._links.members], -self._answer)
        self._move(links, changed)
        self._change(links, [root for root in changed if root in links.members], self._answer)
        self._links = links

    def solve(self) -> Solution:
        """The best W for the present H. Columns are signed so that the largest entry of each eigenvector is positive."""
        count = min(self._dimension, self.rank)
        values, weights = np.zeros(self._dimension), np.zeros((len(self.mean), self._dimension))
        if count:
            found, vectors = eigh(self._m, subset_by_index=(self.rank - count, self.rank - 1), check_finite=False)
            vectors = vectors[:, ::-1]
            vectors *= np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(count)])
            values[:count] = np.maximum(found[::-1], 0.0)
            weights[:, :count] = self._whiten @ (vectors * np.sqrt(values[:count]))
        return Solution(weights, values, self.mean)

    def _change(self, links: Links, roots: list[Root], weight: float) -> None:
        """Add ``weight`` times all terms of ``B C B^T`` that these components are in: a product of rank 2 len(roots)."""
        if not roots:
            return
        inside = set(roots)
        entries = [
            (n, self._slot[other], 0.5 * value if other in inside else value)
            for n, root in enumerate(roots)
            for other, value in links.coefficients(root)
        ]
        if not entries:
            return
        first, second, values = zip(*entries, strict=True)
        c = sparse.csr_array((values, (first, second)), shape=(len(roots), len(self._units)))
        half = self._units[[self._slot[root] for root in roots]].T @ (weight * (c @ self._units))
        self._m += half
        self._m += half.T

    def _move(self, links: Links, changed: Iterable[Root]) -> None:
        """Keep ``sum of rows / sqrt(s)``, whitened, of each component."""
        for root in changed:
            rows = links.members.get(root)
            if rows is None:
                self._free.append(self._slot.pop(root))
                continue
            if rows == self._links.members.get(root):
                continue
            if root not in self._slot:
                self._slot[root] = self._free.pop() if self._free else len(self._slot)
            if self._slot[root] == len(self._units):
                self._units = np.concatenate([self._units, np.zeros_like(self._units)])
            total = self._x[list(rows)].sum(axis=0, dtype=np.float64) - len(rows) * self.mean
            self._units[self._slot[root]] = (total @ self._whiten) / np.sqrt(len(rows))


def _products(x: Features, prior: sparse.csr_array | None, mean: Floats) -> tuple[Floats, Floats]:
    """``X^T X`` and ``X^T P X`` of centred X, float64 (p, p) both, summed in float64 over blocks of rows."""
    p = x.shape[1]
    gram, constant = np.zeros((p, p)), np.zeros((p, p))
    mu = mean.astype(x.dtype)
    for start in range(0, len(x), BLOCK):
        block = x[start : start + BLOCK] - mu
        gram += block.T @ block
        if prior is not None:
            some = prior[start : start + BLOCK]
            reached = some @ x - np.asarray(some.sum(axis=1)).reshape(-1, 1) * mu
            constant += block.T @ reached.astype(x.dtype, copy=False)
    return gram, (constant + constant.T) / 2.0


def _check(x: Features, prior: sparse.csr_array | None, dimension: int, ridge: float, answer: float) -> None:
    if x.ndim != 2 or x.dtype not in (np.float32, np.float64):
        raise ValueError(f"features are {x.dtype} of shape {x.shape}; expected float32 or float64 (N, p)")
    if prior is not None and prior.shape != (len(x), len(x)):
        raise ValueError(f"a prior of shape {prior.shape} does not fit {len(x)} rows of features")
    if dimension < 1 or ridge < 0.0 or answer < 0.0:
        raise ValueError(
            f"dimension {dimension}, ridge {ridge} and answer {answer} found; expected at least 1, and no negative weight"
        )
