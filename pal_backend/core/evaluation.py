"""How good groups, features and probabilities are, by labels that only a scorer knows. Thin over scikit-learn."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, brier_score_loss, normalized_mutual_info_score, roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HELD_OUT = 0.2
"""Share of the samples on which a probe is scored."""
NEIGHBOURS = 20
"""k of the nearest-neighbour score, as is usual for frozen features (Wu et al. 2018, "Unsupervised feature learning via
non-parametric instance discrimination", sec. 3.4)."""
BINS = 10
"""Bins of equal width of the expected calibration error."""


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


def held_out_rows(candidates: NDArray[np.bool_], seed: int = 0, share: float = HELD_OUT) -> NDArray[np.bool_]:
    """Rows on which a probe is scored, bool (N,): a share of the candidates, drawn uniformly; the rest trains it.

    Args:
        candidates: bool (N,), rows that may be drawn.
        seed: the same seed draws the same rows.
        share: in (0, 1), of the candidates; at least one row of them.

    Raises:
        ValueError: there is no candidate.
    """
    rows = np.flatnonzero(candidates)
    if not len(rows):
        raise ValueError("no row may be held out; expected at least one candidate")
    drawn = np.random.default_rng(seed).permutation(rows)[: max(1, round(share * len(rows)))]
    held = np.zeros(len(candidates), bool)
    held[drawn] = True
    return held


def linear_probe(
    features: NDArray[np.floating], labels: NDArray[np.integer], held: NDArray[np.bool_], strength: float = 1.0
) -> float:
    """Accuracy of multinomial logistic regression on frozen features, 0..1, on the rows held out.

    Columns are brought to mean 0 and deviation 1 as the training rows have them, so that the scale of a space does not
    decide. ``min_W sum_i -log softmax(W x_i + b)_{y_i} + |W|^2 / (2 strength)``.

    Args:
        features: (N, D).
        labels: int (N,).
        held: bool (N,), rows to score on; the others train.
        strength: inverse weight of the penalty.
    """
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000, tol=1e-3))
    return _score(probe, np.asarray(features, np.float64), labels, held)


def knn_accuracy(
    features: NDArray[np.floating], labels: NDArray[np.integer], held: NDArray[np.bool_], k: int = NEIGHBOURS
) -> float:
    """Accuracy of the majority among the k most similar training rows by cosine, 0..1, on the rows held out.

    A tie goes to the smallest label. Arguments as of :func:`linear_probe`; k at most the number of training rows.
    """
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    x = np.asarray(features / np.maximum(lengths, 1e-12), np.float32)
    # of vectors of length 1, |a - b|^2 = 2 - 2 cos(a, b): the same order, found in blocks
    nearest = KNeighborsClassifier(min(k, int((~held).sum())), algorithm="brute")
    return _score(nearest, x, labels, held)


def kmeans_ari(features: NDArray[np.floating], labels: NDArray[np.integer], seed: int = 0) -> float:
    """ARI of k-means on features (N, D), best of four starts, told how many classes there are (which nobody else is)."""
    groups = KMeans(len(np.unique(labels)), n_init=4, random_state=seed).fit_predict(features)
    return ari(labels, groups)


class Calibration(NamedTuple):
    """Whether probabilities can be taken at their word, over so many ``pairs``."""

    pairs: int
    ece: float
    """Expected calibration error, 0..1: 0 is perfect."""
    brier: float
    """Mean squared error of P(same), 0..1: 0 is perfect, 1/4 is what P = 1/2 gives."""
    auc: float | None
    """Chance that a same pair has the higher P(same) than a different one; None where there are not both."""


def calibration(p: NDArray[np.floating], same: NDArray[np.bool_]) -> Calibration:
    """P(same) against what is so.

    ``ECE = sum_b |B_b| / n * |mean(p in b) - mean(same in b)|`` over ten equal bins (Guo et al. 2017, "On calibration of
    modern neural networks", eq. 3).

    Args:
        p: (n,), in [0, 1].
        same: bool (n,).

    Raises:
        ValueError: there is no pair.
    """
    if not len(p):
        raise ValueError("no pair to judge on; expected at least one")
    at = np.minimum((np.asarray(p) * BINS).astype(np.int64), BINS - 1)
    gap = np.bincount(at, weights=p - same, minlength=BINS)
    both = 0 < same.sum() < len(same)
    return Calibration(
        pairs=len(p),
        ece=float(np.abs(gap).sum() / len(p)),
        brier=float(brier_score_loss(same, p, labels=[False, True])),
        auc=float(roc_auc_score(same, p)) if both else None,
    )


def _score(
    classifier: KNeighborsClassifier | LogisticRegression,
    x: NDArray[np.floating],
    labels: NDArray[np.integer],
    held: NDArray[np.bool_],
) -> float:
    """Accuracy on the rows held out; where the others have one class only, that class is the guess."""
    known = np.unique(labels[~held])
    if len(known) == 1:
        return float((labels[held] == known[0]).mean())
    return float(classifier.fit(x[~held], labels[~held]).score(x[held], labels[held]))
