"""Scores of groups, features and probabilities: hand values, independent references, and what must not matter."""

import numpy as np
import pytest
from scipy.optimize import minimize

from pal_backend.core.evaluation import (
    ari,
    ari_unseen,
    calibration,
    held_out_rows,
    kmeans_ari,
    knn_accuracy,
    linear_probe,
    majority_accuracy,
    nmi,
)

EVERY = np.ones(90, bool)


def blobs(spread: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    """Ninety points around three corners, and which corner."""
    labels = np.repeat(np.arange(3), 30)
    return np.eye(3)[labels] + spread * np.random.default_rng(0).standard_normal((90, 3)), labels


def test_names_of_groups_do_not_matter() -> None:
    """Renamed groups score full marks everywhere."""
    labels, groups = np.asarray([0, 0, 1, 1, 2]), np.asarray([7, 7, 3, 3, 5])
    assert ari(labels, groups) == nmi(labels, groups) == majority_accuracy(labels, groups) == 1.0


def test_majority_accuracy_counts_each_group_as_its_majority() -> None:
    """Two groups with three of four and one of two right make four of six."""
    labels, groups = np.asarray([0, 0, 0, 1, 1, 2]), np.asarray([0, 0, 0, 0, 1, 1])
    assert majority_accuracy(labels, groups) == pytest.approx(4 / 6)
    assert majority_accuracy(labels[:0], groups[:0]) == 0.0


def test_ari_unseen_leaves_out_what_was_asked() -> None:
    """Errors on samples in questions do not count; fewer than two others count as right."""
    labels, groups = np.asarray([0, 0, 1, 1, 0]), np.asarray([0, 0, 1, 1, 1])
    assert ari_unseen(labels, groups, np.asarray([False] * 4 + [True])) == 1.0
    assert ari_unseen(labels, groups, np.ones(5, bool)) == 1.0


def test_a_fifth_of_the_candidates_is_held_out() -> None:
    """Only candidates are drawn, a fifth of them, the same for the same seed and others for another."""
    candidates = np.arange(90) % 2 == 0
    held = held_out_rows(candidates, seed=3)
    assert held.sum() == 9 and not held[~candidates].any()
    assert (held == held_out_rows(candidates, seed=3)).all()
    assert (held != held_out_rows(candidates, seed=4)).any()
    with pytest.raises(ValueError, match="at least one candidate"):
        held_out_rows(np.zeros(4, bool))


def test_the_probe_matches_a_reference() -> None:
    """The formula, minimised by scipy on columns standardised with numpy, errs on the same held-out rows."""
    x, y = blobs()
    held = held_out_rows(EVERY, share=0.5)
    mean, deviation = x[~held].mean(axis=0), x[~held].std(axis=0)
    z, t = (x - mean) / deviation, np.eye(3)[y[~held]]

    def loss(flat: np.ndarray) -> float:
        W, b = flat[:9].reshape(3, 3), flat[9:]
        scores = z[~held] @ W + b
        return float((np.logaddexp.reduce(scores, axis=1) - (scores * t).sum(axis=1)).sum() + (W**2).sum() / 2)

    found = minimize(loss, np.zeros(12)).x
    right = (z[held] @ found[:9].reshape(3, 3) + found[9:]).argmax(axis=1) == y[held]
    assert 0.5 < right.mean() < 1.0
    assert linear_probe(x, y, held) == pytest.approx(right.mean())


def test_the_scale_and_place_of_a_column_do_not_change_the_probe() -> None:
    """Features that differ by a factor and an offset in each column score alike."""
    x, y = blobs()
    held = held_out_rows(EVERY, share=0.5)
    assert linear_probe(x * [1e3, 1.0, 1e-3] + [5.0, -2.0, 0.0], y, held) == linear_probe(x, y, held)


def test_knn_matches_a_reference() -> None:
    """The majority of the twenty highest cosines, counted with numpy."""
    x, y = blobs()
    held = held_out_rows(EVERY, share=0.5)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    nearest = np.argsort(-(unit[held] @ unit[~held].T), axis=1)[:, :20]
    votes = [np.bincount(y[~held][row], minlength=3).argmax() for row in nearest]
    assert knn_accuracy(x, y, held) == pytest.approx((votes == y[held]).mean())


@pytest.mark.parametrize("score", [linear_probe, knn_accuracy])
def test_held_out_labels_never_teach(score) -> None:
    """Turning every held-out label around turns the accuracy around: the classifier is the same one."""
    x, y = blobs()
    y = (y == 0).astype(int)
    held = held_out_rows(EVERY)
    assert score(x, np.where(held, 1 - y, y), held) == pytest.approx(1.0 - score(x, y, held))


@pytest.mark.parametrize("score", [linear_probe, knn_accuracy])
def test_one_known_class_is_the_only_guess(score) -> None:
    """Where training rows are of one class, that class is guessed."""
    x, y = blobs()
    held = y != 0
    held[0] = True
    assert score(x, y, held) == pytest.approx(1 / 61)


def test_kmeans_finds_what_lies_apart() -> None:
    """Three tight corners are three clusters; noise is at about chance."""
    x, y = blobs(spread=0.05)
    assert kmeans_ari(x, y) == 1.0
    assert abs(kmeans_ari(np.random.default_rng(1).standard_normal((90, 3)), y)) < 0.1


def test_calibration_closed_form() -> None:
    """By hand: two bins, three pairs near .9 of which one is not the same, one at .1 that is not."""
    p = np.asarray([0.95, 0.9, 0.9, 0.1])
    same = np.asarray([True, True, False, False])
    found = calibration(p, same)
    assert found.pairs == 4
    assert found.ece == pytest.approx((abs(p[:3].sum() - 2.0) + 0.1) / 4.0)
    assert found.brier == pytest.approx((0.05**2 + 0.1**2 + 0.9**2 + 0.1**2) / 4.0)
    assert found.auc == pytest.approx(3.5 / 4.0)  # of four same-different pairs one ties


def test_calibration_of_honest_probabilities_is_near_nothing() -> None:
    """Outcomes drawn with the very probabilities stated have a small error; stating the opposite has a large one."""
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    same = rng.random(20_000) < p
    assert calibration(p, same).ece < 0.01
    assert calibration(1.0 - p, same).ece > 0.4


def test_calibration_of_one_kind_of_pair_has_no_auc() -> None:
    """Where all pairs are the same nothing can be ranked; where there is none nothing can be said."""
    found = calibration(np.asarray([0.5, 1.0]), np.ones(2, bool))
    assert (found.auc, found.brier) == (None, pytest.approx(0.125))
    with pytest.raises(ValueError, match="at least one"):
        calibration(np.empty(0), np.empty(0, bool))
