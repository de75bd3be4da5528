"""RepSpread: one representative for each known group, label spreading for the rest. The baseline to beat."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.neighbors import kneighbors_graph

from benchmarks.peers.peer import Floats, Ints

NEIGHBOURS = 15
SCALE_NEIGHBOUR = 7
"""The distance to this neighbour is a sample's own scale (Zelnik-Manor and Perona 2004, "Self-tuning spectral clustering")."""
ALPHA = 0.95
"""Share of a belief that comes from the neighbours; the rest fades, so that a sample far from all answers stays open."""
SWEEPS = 20
"""Sweeps after an answer, from where the last ones ended: .95^20 is a third, and the next answer goes on."""
FAINT = 1e-4
"""Added to every belief before they are scaled to sum to one: where next to nothing arrives, all groups are equal."""
SPREAD_OF_START = 0.2
"""The first sample is typical; which of the typical ones is drawn."""


class RepSpread:
    """Asks the sample of greatest uncertainty times density against the representatives, most likely group first.

    A sample is asked to its end: until a "same", or until all groups are ruled out and it founds one. Prediction is
    clamped label spreading (Zhu, Ghahramani and Lafferty 2003): ``F <- alpha D^-1 W F``, answered rows held fixed.

    Args:
        features: (N, D).
        rng: draws the first sample.
    """

    def __init__(self, features: Floats, rng: np.random.Generator) -> None:
        self._step, self._density = _graph(features)
        self._label: Ints = np.full(len(features), -1, np.int64)
        self._representatives: list[int] = []
        self._beliefs: Floats = np.zeros((len(features), 0), np.float32)
        self._left: list[int] = []
        start = self._density * np.exp(SPREAD_OF_START * rng.standard_normal(len(features)))
        self._sample = int(start.argmax())
        self._place(self._found())

    def ask(self) -> tuple[int, int] | None:
        """The sample in hand against the next group, or a new sample against its likeliest."""
        if not self._left:
            scores = self._uncertainty() * self._density
            scores[self._label >= 0] = -1.0
            self._sample = int(scores.argmax())
            if scores[self._sample] < 0.0:
                return None
            self._left = np.argsort(-self._beliefs[self._sample], kind="stable").tolist()
        return self._sample, self._representatives[self._left[0]]

    def tell(self, same: bool) -> None:
        """Place the sample, go on to the next group, or found one."""
        group = self._left.pop(0)
        if same:
            self._place(group)
        elif not self._left:
            self._place(self._found())

    def groups(self) -> Ints:
        """The likeliest group of each sample."""
        return np.asarray(self._beliefs.argmax(axis=1), np.int64)

    def _uncertainty(self) -> Floats:
        """``1 - (p1 - p2)`` of each sample."""
        p = self._beliefs + np.float32(FAINT)
        if p.shape[1] == 1:
            return np.asarray(1.0 - self._beliefs[:, 0])
        top = np.partition(p / p.sum(axis=1, keepdims=True), -2, axis=1)[:, -2:]
        return np.asarray(1.0 - (top[:, 1] - top[:, 0]))

    def _found(self) -> int:
        """A new group, of the sample in hand."""
        self._representatives.append(self._sample)
        self._beliefs = np.hstack([self._beliefs, np.zeros((len(self._label), 1), np.float32)])
        return len(self._representatives) - 1

    def _place(self, group: int) -> None:
        """Answer the sample in hand, and spread."""
        self._label[self._sample] = group
        self._left = []
        placed = np.flatnonzero(self._label >= 0)
        beliefs = self._beliefs
        for _ in range(SWEEPS + 1):
            beliefs[placed] = 0.0
            beliefs[placed, self._label[placed]] = 1.0
            self._beliefs, beliefs = beliefs, self._step @ beliefs


def _graph(features: Floats) -> tuple[sparse.csr_array, Floats]:
    """``alpha D^-1 W`` of the symmetric neighbour graph, float32 (N, N) csr, and densities (N,) of mean 1."""
    n = len(features)
    count = min(NEIGHBOURS, n - 1)
    graph = sparse.csr_array(kneighbors_graph(features, count, mode="distance"))
    scale = np.maximum(np.sort(graph.data.reshape(n, count), axis=1)[:, min(SCALE_NEIGHBOUR, count) - 1], 1e-12)
    graph.data = np.exp(-(graph.data**2) / (scale.repeat(count) * scale[graph.indices]))
    graph = graph.maximum(graph.T)
    degree = np.asarray(graph.sum(axis=1)).reshape(-1)
    step = sparse.diags_array(ALPHA / degree) @ graph
    return sparse.csr_array(step).astype(np.float32), (degree / degree.mean()).astype(np.float32)
