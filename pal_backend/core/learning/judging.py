"""Is a new feature space at least as good as the old one? Judged on answered pairs that no training has seen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.vocabulary import Answer, Pair, SampleId

HELD_OUT = 0.2
"""Share of the answered pairs that no training ever sees."""
FEWEST_PAIRS = 10
"""With fewer held-out pairs nothing can be said."""


@dataclass(frozen=True)
class Judgement:
    """Whether the new features may become current, and why.

    Args:
        accepted: they are not worse.
        old, new: mean log-loss of P(same), in nats, on the held-out pairs; NaN if there was nothing to measure.
        standard_error: of the mean difference ``new - old``.
        pairs: how many pairs were held out.
        reason: a sentence for a person.
    """

    accepted: bool
    old: float
    new: float
    standard_error: float
    pairs: int
    reason: str


def held_out(pair: Pair) -> bool:
    """Whether a pair is kept from training: by its hash, so that it is for ever and wherever it is asked."""
    digest = hashlib.sha256(f"held-out|{pair.first}|{pair.second}".encode()).digest()
    return int.from_bytes(digest[:4], "big") < HELD_OUT * 2**32


def for_training(answers: Iterable[Answer]) -> list[Answer]:
    """The answers on pairs that are not held out."""
    return [answer for answer in answers if not held_out(answer.pair)]


def judge(
    old: NDArray[np.float32], new: NDArray[np.float32], sample_ids: Sequence[SampleId], answers: Iterable[Answer]
) -> Judgement:
    """Compare two feature spaces by the log-loss of P(same) on the held-out pairs among ``answers``.

    In each space a logistic regression on the distances of the other answered pairs gives P(same). The new space is
    accepted if the mean paired difference of the losses less its standard error is not above 0. Pairs were chosen for
    questions because the old space was unsure of them, so the comparison leans towards the new one.

    Args:
        old: float32 (N, D), rows as ``sample_ids``.
        new: float32 (N, D'), likewise.
        sample_ids: N ids.
        answers: all answers, held-out ones included.
    """
    pairs, same, held = answered_pairs(sample_ids, answers)
    count = int(held.sum())
    if count < FEWEST_PAIRS or len(set(same[~held].tolist())) < 2:
        reason = f"only {count} held-out answers, {FEWEST_PAIRS} are needed to compare; the old version stays"
        return Judgement(False, np.nan, np.nan, np.nan, count, reason)
    before, after = (evaluate_pairs(features, pairs, same, fit_on=~held) for features in (old, new))
    difference = after - before
    error = float(difference.std(ddof=1) / np.sqrt(count))
    accepted = bool(difference.mean() <= error)
    verdict = "not worse" if accepted else "worse"
    reason = (
        f"log-loss {after.mean():.3f} against {before.mean():.3f} before on {count} held-out answers "
        f"(difference {difference.mean():+.3f}, standard error {error:.3f}): {verdict}"
    )
    return Judgement(accepted, float(before.mean()), float(after.mean()), error, count, reason)


def evaluate_pairs(
    features: NDArray[np.float32], pairs: NDArray[np.int64], same: NDArray[np.bool_], fit_on: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Log-loss of P(same) of each pair that is not in ``fit_on``, float64, in nats, in the order of ``pairs``.

    P(same) is a logistic regression, fitted on the other pairs, on the cosine and the Euclidean distance of a pair.

    Args:
        features: (N, D).
        pairs: rows, (M, 2).
        same: what people said, (M,).
        fit_on: (M,); both verdicts must occur among these.
    """
    from sklearn.linear_model import LogisticRegression

    x = _distances(features, pairs)
    x = (x - x[fit_on].mean(axis=0)) / (x[fit_on].std(axis=0) + 1e-12)
    model = LogisticRegression().fit(x[fit_on], same[fit_on])
    p = model.predict_proba(x[~fit_on])[:, 1].clip(1e-6, 1.0 - 1e-6)
    return np.asarray(-np.where(same[~fit_on], np.log(p), np.log1p(-p)), np.float64)


def answered_pairs(
    sample_ids: Sequence[SampleId], answers: Iterable[Answer]
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows (M, 2) of the pairs on which people took a side, whether they said "same", and whether a pair is held out."""
    index = {sample: row for row, sample in enumerate(sample_ids)}
    known = [
        (index[pair.first], index[pair.second], edge.weight > 0.0, held_out(pair))
        for pair, edge in SimilarityGraph.of(answers).edges.items()
        if edge.weight != 0.0 and pair.first in index and pair.second in index
    ]
    table = np.array(known, np.int64).reshape(-1, 4)
    return table[:, :2], table[:, 2].astype(bool), table[:, 3].astype(bool)


def _distances(features: NDArray[np.float32], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cosine of the centred features and Euclidean distance, (M, 2)."""
    x = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    a, b = x[pairs[:, 0]], x[pairs[:, 1]]
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = (a * b).sum(axis=1) / np.maximum(norms, 1e-12)
    return np.stack([cosine, np.linalg.norm(a - b, axis=1)], axis=1)
