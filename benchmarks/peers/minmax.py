"""MinMax (Mallapragada, Jin and Jain 2008, "Active query selection for semi-supervised clustering").

Written anew because the packages that offer it do not serve here: ``active-semi-supervised-clustering`` (2018) and
``scikit-query`` hold all N x N distances, ``scikit-query`` computes them again for each question, both must be told the
number of classes, and their clustering stops with an error once answers contradict each other.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from benchmarks.peers.peer import Floats, Ints

ITERATIONS = 50
"""Most rounds of k-means."""


class MinMax:
    """Asks the sample least like all answered ones, against the neighbourhoods, most similar first.

    Explore takes the sample farthest from those traversed and founds neighbourhoods until there are as many as classes;
    consolidate takes ``argmin_x max_y kernel(x, y)``, y over the neighbourhoods. For a kernel that falls with distance
    these are the same sample, so without a known number of classes both phases are one, a sample unlike every
    neighbourhood always founds one, and no kernel width is needed. Prediction is k-means with the neighbourhoods'
    members held fixed (constrained k-means; Basu, Banerjee and Mooney 2002), one centre for each neighbourhood found.

    Args:
        features: (N, D).
        rng: draws the first sample.
    """

    def __init__(self, features: Floats, rng: np.random.Generator) -> None:
        self._features = np.asarray(features, np.float32)
        self._label: Ints = np.full(len(features), -1, np.int64)
        self._founders: list[int] = []
        # squared distance to the nearest member of each neighbourhood, (N, K)
        self._distance: Floats = np.zeros((len(features), 0), np.float32)
        self._left: list[int] = []
        self._sample = int(rng.integers(len(features)))
        self._place(self._found())

    def ask(self) -> tuple[int, int] | None:
        """The sample in hand against the next neighbourhood, or the farthest sample against its nearest."""
        if not self._left:
            if (self._label >= 0).all():
                return None
            nearest = np.where(self._label < 0, self._distance.min(axis=1), -1.0)
            self._sample = int(nearest.argmax())
            self._left = np.argsort(self._distance[self._sample], kind="stable").tolist()
        return self._sample, self._founders[self._left[0]]

    def tell(self, same: bool) -> None:
        """Place the sample, go on to the next neighbourhood, or found one."""
        neighbourhood = self._left.pop(0)
        if same:
            self._place(neighbourhood)
        elif not self._left:
            self._place(self._found())

    def groups(self) -> Ints:
        """Constrained k-means from the neighbourhoods' means."""
        known = self._label >= 0
        X, count = self._features, len(self._founders)
        group = np.where(known, self._label, self._distance.argmin(axis=1))
        centres = _means(X[known], self._label[known], count)
        for _ in range(ITERATIONS):
            distance = (centres**2).sum(axis=1) - 2.0 * (X @ centres.T)  # |x|^2 is the same for all centres
            new = np.where(known, self._label, distance.argmin(axis=1))
            if (new == group).all():
                break
            group = new
            centres = _means(X, group, count)
        return group

    def _found(self) -> int:
        self._founders.append(self._sample)
        column = np.full((len(self._label), 1), np.inf, np.float32)
        self._distance = np.hstack([self._distance, column])
        return len(self._founders) - 1

    def _place(self, neighbourhood: int) -> None:
        self._label[self._sample] = neighbourhood
        self._left = []
        apart = ((self._features - self._features[self._sample]) ** 2).sum(axis=1)
        column = self._distance[:, neighbourhood]
        np.minimum(column, apart, out=column)


def _means(X: Floats, group: Ints, count: int) -> Floats:
    """The mean of each group, (count, D); every group has a member."""
    member = sparse.csr_array((np.ones(len(X), np.float32), (group, np.arange(len(X)))), (count, len(X)))
    return np.asarray(member @ X / member.sum(axis=1)[:, None], np.float32)
