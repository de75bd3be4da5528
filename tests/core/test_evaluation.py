import numpy as np
import pytest

from pal_backend.core.evaluation import ari, ari_unseen, majority_accuracy, nmi


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
