"""How well a grouping fits labels that only a scorer knows. Thin over scikit-learn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score


def ari(labels: NDArray[np.integer], groups: NDArray[np.integer]) -> float:
    """Adjusted Rand index of two partitions of N samples, int (N,) each: 1 is equal, about 0 is chance."""
    return float(adjusted_rand_score(labels, groups))


def nmi(labels: NDArray[np.integer], groups: NDArray[np.integer]) -> float:
    """Normalised mutual information of two partitions, 0..1."""
    return float(normalized_mutual_info_score(labels, groups))


def majority_accuracy(labels: NDArray[np.integer], groups: NDArray[np.integer]) -> float:
    """Share of samples that have the most frequent label of their group.

    >>> majority_accuracy(np.array([0, 0, 1, 1]), np.array([5, 5, 5, 7]))
    0.75
    """
    if not len(labels):
        return 0.0
    _, rows = np.unique(labels, return_inverse=True)
    _, columns = np.unique(groups, return_inverse=True)
    table = np.zeros((rows.max() + 1, columns.max() + 1), np.int64)
    np.add.at(table, (rows, columns), 1)
    return float(table.max(axis=0).sum() / len(labels))


def ari_unseen(labels: NDArray[np.integer], groups: NDArray[np.integer], seen: NDArray[np.bool_]) -> float:
    """ARI over the samples that were never in a question (``seen`` is False); 1 if there are fewer than two."""
    rest = ~seen
    return ari(labels[rest], groups[rest]) if rest.sum() > 1 else 1.0
