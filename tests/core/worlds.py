"""Small worlds for the core's tests: clusters with known labels, and answers written in one line."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.neighbours import Space, build_space
from pal_backend.core.vocabulary import AnnotationKey, Answer, Pair, Question, Verdict


def said(number: int, a: str, b: str, verdict: str, annotator: str = "ann", **more: object) -> Answer:
    """One answer; ``verdict`` is same, different or unsure."""
    return Answer(AnnotationKey("desk", number), Pair.of(a, b), Verdict(verdict), annotator, **more)  # type: ignore[arg-type]


def clusters(groups: int = 4, each: int = 25, spread: float = 0.15, seed: int = 0) -> tuple[Space, NDArray[np.int64]]:
    """Gaussian clusters around the corners of a simplex, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(groups), each)
    features = np.eye(groups)[labels] + spread * rng.standard_normal((groups * each, groups))
    ids = [hashlib.sha256(str(row).encode()).hexdigest()[:16] for row in range(len(labels))]
    return build_space(ids, features.astype(np.float32)), labels


def truthful(number: int, question: Question, space: Space, labels: NDArray[np.int64]) -> list[Answer]:
    """A right answer to every pair of a question."""
    anchor = labels[space.index[question.anchor]]
    return [
        said(
            number,
            question.anchor,
            candidate,
            "same" if labels[space.index[candidate]] == anchor else "different",
            predicted=p,
        )
        for candidate, p in zip(question.candidates, question.probabilities, strict=True)
    ]
