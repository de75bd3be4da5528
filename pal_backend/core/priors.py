"""From spread beliefs to probabilities: room for "none of them", sharpness, how far answers are believed, and Bayes' rule.

The first three are set by the answers themselves; nothing here knows a label or the number of classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_NOVEL = 0.9
"""Highest mean chance of "none of them", met at the very start."""
FLOOR = 0.003
"""Added to every probability: the features may mislead."""
POWERS = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0)
"""Powers tried for sharpening; label spreading is too cautious in many groups."""
ASTRAY = (0.003, 0.01, 0.03, 0.1)
"""Chances tried that beliefs are no guide."""
TEMPERATURES = (2.0, 4.0, 6.0, 9.0, 13.0)
"""Inverse temperatures tried for the second opinion."""
MIXES = (0.0, 0.2, 0.4, 0.6)
"""Weights tried for the second opinion."""
FEW = 30
"""Answered samples below which sharpness, and the weight of the second opinion, are not judged."""
SURE = 0.7
"""Belief without its own answers from which a sample may judge them."""
PRIOR_ERROR, PRIOR_ANSWERS = 0.05, 60.0
"""An error rate of .05 counts as seen in 60 answers."""


@dataclass(frozen=True, eq=False)
class Dials:
    """What the answers themselves set, see the functions here. ``level`` is float32 (K,), or (1,) for all groups alike."""

    none: float = 1.0
    power: float = 1.0
    astray: float = 0.0
    strength: float = 1.0
    temperature: float = 1.0
    mix: float = 0.0
    level: Float = field(default_factory=lambda: np.ones(1, np.float32))


def novelty(first: Floats, placed: int) -> float:
    """Chance that a sample belongs to no known group, after Good and Turing: classes met once over samples placed.

    Args:
        first: chance of each sample that has no companion yet that it is the first of a class, instead of one that could
            not be placed.
        placed: samples placed, those included.
    """
    return min(MOST_NOVEL, (float(first.sum()) + 0.5) / (placed + 1.0))


def share_of_none(coverage: NDArray[np.floating], rate: float) -> float:
    """t such that ``t / (t + coverage)`` is ``rate`` on average: what "none of them" weighs.

    Args:
        coverage: (n,) summed beliefs of some samples in the known groups, before "none of them" has its place.
        rate: the chance of "none of them" over all samples, in (0, 1).
    """
    cover = np.maximum(coverage.astype(np.float64), 0.0) + 1e-9
    low, high = 1e-9, 1e3
    for _ in range(40):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if (middle / (middle + cover)).mean() < rate else (low, middle)
    return float(np.sqrt(low * high))


def novel(coverage: NDArray[Any], none: float) -> NDArray[Any]:
    """Belief in "none of them" of samples that known groups reach with these summed beliefs, (n,)."""
    cover = np.maximum(coverage, 0.0)
    return np.asarray(none / (none + cover))


def among(spread: NDArray[Any], none: float) -> NDArray[Any]:
    """Beliefs (n, K) among the known groups, rows sum to 1; all alike where hardly any reaches."""
    p = np.maximum(spread, 0.0)
    p /= _sums(p) + np.asarray(none, p.dtype)
    p += np.asarray(FLOOR, p.dtype)
    p /= _sums(p)
    return np.asarray(p)


def levels(spread: NDArray[np.float32]) -> NDArray[np.float32]:
    """What each column of ``spread`` (N, K) is to be multiplied with, float32 (K,), 1 on average.

    A group of which more samples were answered reaches further, and more are answered where there is more doubt, not where
    there are more samples: class mass normalisation (Zhu, Ghahramani and Lafferty 2003, section 4). How large the groups are
    is not known: half-way, as logarithms go, between what spreading finds and all alike.
    """
    level = np.maximum(spread.mean(axis=0, dtype=np.float64), 1e-9) ** -0.5
    return np.asarray(level / level.mean() if level.size else level, np.float32)


def sharpen(p: NDArray[Any], power: float) -> NDArray[Any]:
    """``p ** power`` of positive rows, rows sum to 1 again."""
    if power == 1.0:
        return p.copy()
    return _powers(np.asarray(power, p.dtype) * np.log(p))


def softmax(scores: NDArray[Any], temperature: float) -> NDArray[Any]:
    """``exp(temperature * scores)``, rows sum to 1."""
    most = np.ascontiguousarray(scores.T).max(axis=0, initial=-np.inf)
    return _powers(np.asarray(temperature, scores.dtype) * (scores - most[:, None]))


def blend(p: NDArray[Any], opinion: NDArray[Any], mix: float) -> NDArray[Any]:
    """Geometric mean of two beliefs about the known groups, ``q_k ~ p_k ** (1 - mix) * (opinion_k + FLOOR) ** mix``.

    Args:
        p: (n, K), positive, rows sum to 1.
        opinion: (n, K), rows sum to 1.
        mix: weight of the opinion, in [0, 1].
    """
    return p.copy() if mix == 0.0 else _between(np.log(p), _log_opinion(opinion), mix)


def _log_opinion(opinion: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.log(opinion + np.asarray(FLOOR, opinion.dtype)))


def _between(log: NDArray[Any], other: NDArray[Any], mix: float) -> NDArray[Any]:
    """The geometric mean from logarithms."""
    return _powers(log + np.asarray(mix, log.dtype) * (other - log))


def _powers(log: NDArray[Any]) -> NDArray[Any]:
    """``exp(log)`` with rows that sum to 1; no logarithm so large or so small that none of its row is left."""
    e = np.exp(log)
    e /= _sums(e)
    return np.asarray(e)


def _sums(p: NDArray[Any]) -> NDArray[Any]:
    """Sums of rows, (n, 1); over short rows quicker than ``sum``."""
    return np.asarray(np.einsum("nk->n", p)[:, None])


def whole(p: NDArray[Any], astray: float, none: NDArray[Any]) -> NDArray[Any]:
    """Beliefs (n, K + 1) from those among the known groups: with chance ``astray`` they are no guide, any group is as
    likely; "none of them" is the last column.

    Args:
        p: (n, K), rows sum to 1.
        astray: in [0, 1].
        none: (n,), belief in "none of them".
    """
    out = np.empty((p.shape[0], p.shape[1] + 1), p.dtype)
    out[:, :-1] = ((1.0 - astray) * p + astray / max(p.shape[1], 1)) * (1.0 - none)[:, None]
    out[:, -1] = none
    return out


class Answers:
    """Answers as judges of beliefs.

    Args:
        evidence: (L, K) log-odds that the answers on L samples give each group.
    """

    def __init__(self, evidence: Floats) -> None:
        self._top = np.maximum(evidence.max(axis=1, initial=0.0), 0.0)
        self._likely = np.exp(evidence - self._top[:, None])
        self._any = self._likely.mean(axis=1) if evidence.shape[1] else np.zeros(len(evidence))
        self._none = np.exp(-self._top)

    def fit(self, p: Floats, none: Floats, astray: Sequence[float]) -> list[float]:
        """How well beliefs foretell the answers, for each chance that they are no guide (:func:`whole`):
        ``sum_i ln sum_k p_ik P(answers on i | i in k)``, up to a constant.

        All answered samples count, not only those whose place is known: what is placed soon is easier than what is not.

        Args:
            p: (L, K) beliefs among the groups, without the rows' own answers.
            none: (L,), belief in "none of them".
            astray: chances to try.
        """
        told, unplaced = np.einsum("lk,lk->l", p, self._likely), none * self._none
        totals = (((1.0 - a) * told + a * self._any) * (1.0 - none) + unplaced for a in astray)
        return [float((np.log(np.maximum(total, 1e-300)) + self._top).sum()) for total in totals]


def mixture(own: Floats, scores: NDArray[Any], none: Floats, astray: float, evidence: Floats) -> tuple[float, float]:
    """Temperature and weight of the second opinion under which both together best foretell the answers.

    Args:
        own: (L, K) beliefs among the groups, without the rows' own answers.
        scores: (L, K) scores of the second opinion, without the rows' own beliefs.
        none, astray: see :func:`whole`.
        evidence: (L, K) log-odds of the answers.
    """
    if len(own) < FEW:
        return TEMPERATURES[len(TEMPERATURES) // 2], MIXES[len(MIXES) // 2]
    answers, log = Answers(evidence), np.log(own)
    # what does not count may be as sharp as it likes
    found = {(TEMPERATURES[0], 0.0): answers.fit(_powers(log), none, [astray])[0]}
    for temperature in TEMPERATURES:
        other = _log_opinion(softmax(scores, temperature).astype(np.float64))
        for mix in MIXES[1:]:
            [found[temperature, mix]] = answers.fit(_between(log, other, mix), none, [astray])
    return max(found, key=lambda key: found[key])


def guidance(own: Floats, none: Floats, evidence: Floats) -> tuple[float, float]:
    """How sharp beliefs are, and how often they are no guide at all (:func:`whole`): what best foretells the answers.

    Args:
        own: (L, K) beliefs among the groups, without the rows' own answers.
        none: (L,), belief in "none of them".
        evidence: (L, K) log-odds of the answers.
    """
    if len(own) < FEW:
        return 1.0, ASTRAY[len(ASTRAY) // 2]
    found, answers, log = {}, Answers(evidence), np.log(own)
    for power in POWERS:
        for astray, fit in zip(ASTRAY, answers.fit(_powers(power * log), none, ASTRAY), strict=True):
            found[power, astray] = fit
    return max(found, key=lambda key: found[key])


def answer_log_odds(own: Floats, both: Floats, evidence: Floats) -> float:
    """Log-odds that one answer is right, judged by samples whose place is sure without their own answers.

    Args:
        own: (L, K + 1) beliefs without the samples' own answers.
        both: (L, K + 1) beliefs with them.
        evidence: (L, K) log-odds of the answers; only the signs count here.
    """
    sure = own[:, :-1].max(axis=1, initial=0.0) > SURE
    said, p = evidence[sure], both[sure, :-1]
    wrong = np.where(said > 0.0, 1.0 - p, p)[said != 0.0]
    error = (wrong.sum() + PRIOR_ERROR * PRIOR_ANSWERS) / (wrong.size + PRIOR_ANSWERS)
    error = float(np.clip(error, 0.01, 0.2))
    return float(np.log((1.0 - error) / error))


def founding(own: Floats, evidence: Floats, group: Ints, apart: float) -> Floats:
    """Beliefs ``own`` (L, K + 1) before the rows' own answers, where no group reaches: a founder that has no "same" yet is
    of the group it founded, and any other sample of each group with the chance ``apart``, for a class may lie elsewhere too.
    """
    prior = own.copy()
    prior[:, -1] /= 1.0 + apart * (own.shape[1] - 1)
    prior[:, :-1] += apart * prior[:, -1:]
    alone = np.flatnonzero(group >= 0)
    alone = alone[evidence[alone, group[alone]] <= 0.0]
    prior[alone] = own[alone]
    prior[alone, group[alone]] += prior[alone, -1]
    prior[alone, -1] = 0.0
    return prior


def posterior(own: Floats, evidence: Floats, group: Ints, apart: float) -> Floats:
    """Prior times likelihood of the answers, (L, K + 1), rows sum to 1.

    Args:
        own: (L, K + 1) beliefs without the rows' own answers.
        evidence: (L, K) log-odds of the answers.
        group: (L,), group of each row or -1.
        apart: chance that what no group reaches is of a given one (:mod:`pal_backend.core.looks`).
    """
    log = np.log(np.maximum(founding(own, evidence, group, apart), 1e-12))
    log[:, :-1] += evidence
    p = np.exp(log - log.max(axis=1, keepdims=True))
    return np.asarray(p / p.sum(axis=1, keepdims=True))
