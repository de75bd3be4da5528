"""The classes that only annotator and scoring know."""

import numpy as np

from pal_backend.core.posterior import Posterior
from pal_backend.demo import hidden_labels

A, B, C = ("a" * 16, "b" * 16, "c" * 16)


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
