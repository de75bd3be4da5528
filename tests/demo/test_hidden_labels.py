"""The classes that only annotator and scoring know."""

import numpy as np
import pytest

from pal_backend.core.posterior import Posterior
from pal_backend.demo import hidden_labels
from pal_backend.errors import InputError
from pal_backend.pool_index import PoolSample

A, B, C = ("a" * 16, "b" * 16, "c" * 16)


def test_folders_are_classes() -> None:
    """Images in one sub-folder have one class, whatever lies deeper."""
    assert hidden_labels.from_folders(["cat/1.png", "dog/2.png", "cat/more/3.png"]) == {
        "cat/1.png": 0,
        "dog/2.png": 1,
        "cat/more/3.png": 0,
    }


def test_images_without_folders_have_no_classes() -> None:
    """A flat folder cannot be answered for, and the message says what to do."""
    with pytest.raises(InputError, match="leave --answers away"):
        hidden_labels.from_folders(["1.png", "2.png"])


def test_a_sample_takes_the_class_of_a_known_file() -> None:
    """Identical files are one sample; one of them with a class is enough."""
    sample = PoolSample(A, ("copy.png", "cat/1.png"), 8, 8)
    assert hidden_labels.of_samples([sample], {"cat/1.png": 3}) == {A: 3}


def test_a_sample_without_class_is_named() -> None:
    """Scoring needs every class."""
    with pytest.raises(InputError, match=r"lonely\.png has no class"):
        hidden_labels.of_samples([PoolSample(A, ("lonely.png",), 8, 8)], {})


def test_score_of_a_perfect_grouping() -> None:
    """Groups that are the classes score 1, however they are numbered."""
    posterior = Posterior(
        sample_ids=(A, B, C),
        groups=(B, A),
        probabilities=np.array([[0.1, 0.9], [0.8, 0.2], [0.9, 0.1]], np.float32),
        components=np.full(3, -1, np.int32),
        cannot=np.empty((0, 2), np.int32),
    )
    assert hidden_labels.score(posterior, {A: 5, B: 7, C: 7}) == hidden_labels.Score(1.0, 1.0, 1.0, 2)
