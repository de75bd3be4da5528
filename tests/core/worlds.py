"""Small worlds for the core's tests: clusters with known labels, and answers written in one line."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.beliefs import Beliefs, margins_of
from pal_backend.core.neighbours import Space, build_space
from pal_backend.core.priors import Dials
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


def held_beliefs(probabilities: NDArray[np.float64], answered: NDArray[np.int64], own: NDArray[np.float64]) -> Beliefs:
    """Beliefs (N, K + 1) about groups "a", "b"... held by hand; answers have put nobody anywhere, and say nothing else."""
    n, k = probabilities.shape[0], probabilities.shape[1] - 1
    known = probabilities[:, :-1]
    return Beliefs(
        groups=tuple("abcdefgh"[:k]),
        placed=np.full(n, -1),
        answered=answered,
        probabilities=probabilities.astype(np.float32),
        own=own,
        evidence=np.zeros((len(answered), k)),
        field=known.astype(np.float32),
        opinion=np.full((n, k), 1.0 / k, np.float32),
        dials=Dials(),
        precision=np.eye(len(answered)),
        margins=margins_of(probabilities.astype(np.float32)),
        influence=np.ones(n),
        said=np.zeros((len(answered), k)),
        ties=np.full((k, k), -3.0),
        sizes=known.sum(axis=0),
        apart=0.0,
    )
