"""Random pairs with closure: the floor. What earlier answers imply is not asked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.cluster import KMeans

from benchmarks.peers.peer import Floats, Ints

DRAWS = 10_000
"""Pairs drawn in search of one that is not implied; when none is found nothing is left to ask."""
AT_ONCE = 100
"""Of them, so many at a time."""
FIRST_STARTS = 4
"""Starts of the first k-means; later ones go on from the centres before."""


class RandomPairs:
    """Uniform pairs. Prediction is k-means in which joined samples move as one.

    Random pairs never establish how many classes there are, so here k-means **is told**: a courtesy to the floor.

    Args:
        features: (N, D).
        rng: draws the pairs.
        classes: the true number of classes.
    """

    def __init__(self, features: Floats, rng: np.random.Generator, classes: int) -> None:
        self._features, self._rng, self._classes = np.asarray(features, np.float64), rng, classes
        self._component: Ints = np.arange(len(features))
        self._apart: set[tuple[int, int]] = set()
        self._pair = (0, 0)
        self._centres: NDArray[np.float64] | None = None

    def ask(self) -> tuple[int, int] | None:
        """A pair that no answers imply."""
        for _ in range(DRAWS // AT_ONCE):
            for a, b in self._rng.integers(len(self._component), size=(AT_ONCE, 2)).tolist():
                ends = self._ends(a, b)
                if ends[0] != ends[1] and ends not in self._apart:
                    self._pair = (a, b)
                    return self._pair
        return None

    def tell(self, same: bool) -> None:
        """Join the two samples' components, or keep them apart."""
        kept, gone = self._ends(*self._pair)
        if not same:
            self._apart.add((kept, gone))
            return
        self._component[self._component == gone] = kept
        renamed = ((kept if a == gone else a, kept if b == gone else b) for a, b in self._apart)
        self._apart = {(min(ends), max(ends)) for ends in renamed}

    def groups(self) -> Ints:
        """k-means of the components' means, each as heavy as its size: a component is never torn apart."""
        _, component, sizes = np.unique(self._component, return_inverse=True, return_counts=True)
        n = len(component)
        member = sparse.csr_array((np.ones(n), (component, np.arange(n))), (len(sizes), n))
        means = member @ self._features / sizes[:, None]
        count = min(self._classes, len(means))
        start = self._centres if self._centres is not None and len(self._centres) == count else "k-means++"
        starts = FIRST_STARTS if isinstance(start, str) else 1
        found = KMeans(count, init=start, n_init=starts, random_state=0).fit(means, sample_weight=sizes)
        self._centres = found.cluster_centers_
        return np.asarray(found.labels_[component], np.int64)

    def _ends(self, a: int, b: int) -> tuple[int, int]:
        first, second = int(self._component[a]), int(self._component[b])
        return (first, second) if first < second else (second, first)
