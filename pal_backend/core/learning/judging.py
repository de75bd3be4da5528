"""Is a new feature space at least as good as the old one? Judged on answered pairs that no training has seen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.learner import Learner
from pal_backend.core.neighbours import build_space
from pal_backend.core.vocabulary import Answer, Pair, SampleId

HELD_OUT = 0.2
"""Share of the answered pairs that no training ever sees."""
FEWEST_PAIRS = 20
"""With fewer held-out pairs chance decides."""
SUREST = 0.98
"""Beliefs are drawn in to at most this, so that one wrong answer of a person does not decide."""


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

    In each space a learner is given the answers that are not held out and says how probable each held-out pair is. The
    new space is accepted if the mean loss is not higher. There is no allowance for chance: a new space that is better
    shows it, and keeping the old one costs little. Pairs were asked because the old space was unsure of them, so the
    comparison leans towards the new one as it is.

    Args:
        old: float32 (N, D), rows as ``sample_ids``.
        new: float32 (N, D'), likewise.
        sample_ids: N ids.
        answers: all answers, held-out ones included.
    """
    answers = list(answers)
    pairs, same, held = answered_pairs(sample_ids, answers)
    count = int(held.sum())
    if count < FEWEST_PAIRS:
        reason = f"only {count} held-out answers, {FEWEST_PAIRS} are needed to compare; the old version stays"
        return Judgement(False, np.nan, np.nan, np.nan, count, reason)
    known = for_training(answers)
    before, after = (evaluate_pairs(features, sample_ids, known, pairs[held], same[held]) for features in (old, new))
    difference = after - before
    error = float(difference.std(ddof=1) / np.sqrt(count))
    accepted = bool(difference.mean() <= 0.0)
    verdict = "not worse" if accepted else "worse"
    reason = (
        f"log-loss {after.mean():.3f} against {before.mean():.3f} before on {count} held-out answers "
        f"(difference {difference.mean():+.3f}, standard error {error:.3f}): {verdict}"
    )
    return Judgement(accepted, float(before.mean()), float(after.mean()), error, count, reason)


def evaluate_pairs(
    features: NDArray[np.float32],
    sample_ids: Sequence[SampleId],
    answers: Iterable[Answer],
    pairs: NDArray[np.int64],
    same: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Log-loss in nats, float64 (M,), of what a learner in this space with these answers believes of other pairs.

    Args:
        features: (N, D), rows as ``sample_ids``.
        sample_ids: N ids.
        answers: what the learner knows.
        pairs: rows of the pairs to judge on, (M, 2).
        same: what people said of them, (M,).
    """
    learner = Learner(build_space(sample_ids, features))
    learner.set_answers(answers)
    p = learner.posterior().raw_probability_same(pairs[:, 0].tolist(), pairs[:, 1].tolist())
    p = p.clip(1.0 - SUREST, SUREST)
    return np.asarray(-np.where(same, np.log(p), np.log1p(-p)), np.float64)


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
