"""How many samples are in the right group, from checks of uniform samples, with an interval that can be relied on.

A *check* is a sample that was drawn uniformly from those never asked about, and compared with its predicted group
(:mod:`pal_backend.core.asking.verification`). All checks so far are judged against the *present* prediction: what is
believed of the sample without its own answers (``Beliefs.own``), which is how any sample without answers is predicted. So
old checks stay useful while the model gets better.

The model: the prediction g of sample i, held with belief c, is right with probability

    ``q(c) = (1 - l) sigmoid(a + b logit c)``

a recalibration of the beliefs (Platt 1999) with a ceiling 1 - l for errors that no belief foretells, such as two classes
taken for one group. What people said of a check is evidence for or against g. With e their error rate and O_kh the chance
that the groups k and h are one class (1 on the diagonal), whoever is of k is said to be the same as a member of h with
probability ``s_kh = e + (1 - 2e) O_kh``. With p_h the belief in another group h once g, and what may be one with it, is
ruled out (``p_h ~ own_h (1 - O_gh)``),

    ``P(said | k) = prod_h s_kh^same_h (1 - s_kh)^different_h``
    ``P(said | right) = P(said | g),  P(said | wrong) = sum_h p_h P(said | h)``

which is the correction of Rogan and Gladen (1978) as a likelihood: it can use several answers on a sample, never leaves
[0, 1], and e is estimated along with the rest. Since q has an intercept, its mean over all samples is what the checks
say even where the form of q is wrong (Firth and Bennett 1998, "Robust models in probability sampling"), while the beliefs
lessen the variance, as in prediction-powered inference (Angelopoulos et al. 2023).

Posterior over (a, b, l, e) on a grid, carried over to all samples: unanswered ones are right with q(c), answered ones with
the odds of q times those of their own answers, under the same ceiling.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, ndtr
from scipy.stats import beta as beta_distribution

from pal_backend.core.merging import STRONGEST
from pal_backend.core.neighbours import Space
from pal_backend.core.quality import Accuracy
from pal_backend.core.vocabulary import Answer, Origin, Purpose, SampleId, Verdict

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHIFTS = np.linspace(-4.0, 6.0, 31)
SLOPES = np.asarray([0.25, 0.4, 0.6, 0.8, 1.0, 1.3, 1.7, 2.2, 2.9, 3.8])
SHIFT_SPREAD, SLOPE_SPREAD = 2.0, 0.7
"""Standard deviations of a around 0 and of ln b around 0. Late in a sitting beliefs are much too modest at their upper end
(.96 where .999 are right): with a slope up to 1.3 a check that was wrong in spite of a belief of .6 spoke against all.
"""
CEILINGS = np.concatenate([[0.0], np.geomspace(5e-4, 0.5, 15)])
"""Edges of the cells of l."""
CEILING_PRIOR = (0.5, 10.0)
"""Beta prior of l, after Jeffreys at its lower end: near perfection the interval neither closes nor leaves 1 out."""
ERRORS = np.asarray([0.001, 0.004, 0.012, 0.025, 0.045, 0.07, 0.1, 0.14, 0.2])
ERROR_SPREAD = 0.8
"""Standard deviation of logit e around the rate that the answers as a whole show."""
FINEST = 1e-6
"""Beliefs are told apart down to this distance from 0 and 1."""
TAILS = (0.025, 0.998)
"""Quantiles that make the 95 % interval, wider than the model asks for, which pays for what it leaves out: the hardest
samples are asked about one after another, so those that nobody was asked about are easier than the checks once drawn
among them, and the truth lies rather above than below. Measured coverage: ``python -m benchmarks.accuracy``."""
BINS = 60


class Believed(Protocol):
    """What is needed of :class:`~pal_backend.core.beliefs.Beliefs`: N samples, L of them answered, K groups."""

    @property
    def groups(self) -> tuple[SampleId, ...]: ...  # noqa: D102
    @property
    def placed(self) -> Ints: ...  # noqa: D102
    @property
    def answered(self) -> Ints: ...  # noqa: D102
    @property
    def probabilities(self) -> NDArray[np.floating[Any]]: ...  # noqa: D102
    @property
    def own(self) -> NDArray[np.floating[Any]]: ...  # noqa: D102
    @property
    def one(self) -> NDArray[np.floating[Any]]: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class Checks:
    """C uniform samples that people were asked about, oldest first. Build it with :meth:`of`.

    Args:
        rows: int64 (C,), rows of the samples.
        at: int64 (C,), where each stands in ``Beliefs.answered``.
        same: float64 (C, K), "same" answers that compare the sample with members of each group.
        different: float64 (C, K), the same of "different" answers.
        tries: int64 (C,), answers to verification questions about the sample.
        earlier: int64 (C,), answers held before its first one.
        first: int64 (C,), the group it was first compared with, as the groups are now; -1 if it is none.
    """

    rows: Ints
    at: Ints
    same: Floats
    different: Floats
    tries: Ints
    earlier: Ints
    first: Ints

    @classmethod
    def of(cls, answers: Iterable[Answer], space: Space, beliefs: Believed) -> Checks:
        """The checks among a set of answers. "Unsure" says nothing, a decision is no annotator's answer, and a sample unknown
        to the space is left out.
        """
        said = [a for a in answers if a.verdict is not Verdict.UNSURE and a.origin is not Origin.DECISION]
        at = {row: place for place, row in enumerate(beliefs.answered.tolist())}
        opening: dict[SampleId, Answer] = {}
        tries: dict[SampleId, int] = {}
        for answer in said:
            sample = answer.candidate
            if answer.purpose is not Purpose.VERIFY or space.index.get(sample, -1) not in at:
                continue
            tries[sample] = tries.get(sample, 0) + 1
            if sample not in opening or _moment(answer) < _moment(opening[sample]):
                opening[sample] = answer
        samples = sorted(opening, key=lambda sample: _moment(opening[sample]))
        counts = _tally(said, {sample: c for c, sample in enumerate(samples)}, space, beliefs)
        moments = np.sort(np.asarray([answer.updated_at for answer in said], np.int64))
        rows = np.asarray([space.index[sample] for sample in samples], np.int64)
        return cls(
            rows=rows,
            at=np.asarray([at[row] for row in rows.tolist()], np.int64),
            same=counts[0],
            different=counts[1],
            tries=np.asarray([tries[sample] for sample in samples], np.int64),
            earlier=np.searchsorted(moments, [opening[sample].updated_at for sample in samples]).astype(np.int64),
            first=np.asarray([_group(opening[sample], sample, space, beliefs) for sample in samples], np.int64),
        )

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, eq=False)
class Judgement:
    """What the checks say.

    Args:
        accuracy: over all samples.
        right: float64 (C,), chance that each check's present prediction (without its own answers) is right.
        error_rate: how often people are wrong, by the checks and what was known before.
        surest: 1 - l, the highest belief that the checks bear out.
    """

    accuracy: Accuracy
    right: Floats
    error_rate: float
    surest: float


def judge(beliefs: Believed, checks: Checks, error_rate: float) -> Judgement | None:
    """Estimate the share of all samples whose predicted group is right; None before there are checks or groups.

    Args:
        beliefs: of N samples about K groups.
        checks: of the same samples and groups.
        error_rate: share of wrong answers, as the answers as a whole show it.
    """
    if not len(checks) or not beliefs.groups:
        return None
    held = _Held.of(beliefs)
    right, wrong = _likelihoods(beliefs, checks, held.group[checks.at])
    # checks that are alike are reckoned once: a thousand of them make some fifty patterns
    alike = np.round(np.vstack([4.0 * held.logit[checks.at], 10.0 * np.clip(right - wrong, -STRONGEST, STRONGEST)]))
    patterns, which, many = np.unique(alike, axis=1, return_inverse=True, return_counts=True)
    a, b = (axis.ravel() for axis in np.meshgrid(SHIFTS, SLOPES, indexing="ij"))
    q = expit(a[:, None] + b[:, None] * patterns[0] / 4.0)
    # P(said | right) and P(said | wrong), (E, patterns), over the larger of the two: so neither overflows
    if_right, if_wrong = (np.exp(np.minimum(ratio, 0.0)) for ratio in (patterns[1:] / 10.0, -patterns[1:] / 10.0))
    missed = (CEILINGS[1:] + CEILINGS[:-1]) / 2.0
    weights = np.empty((len(ERRORS), len(a), len(missed)))
    for e, m in np.ndindex(len(ERRORS), len(missed)):
        p = q * (1.0 - missed[m])
        weights[e, :, m] = np.log(p * if_right[e] + (1.0 - p) * if_wrong[e]) @ many
    weights += np.maximum(right, wrong).sum(axis=1)[:, None, None] + _prior(a, b, error_rate)
    weights = np.exp(weights - weights.max())
    weights /= weights.sum()
    mean, spread = _accuracies(beliefs, held, a, b, missed)
    low, estimate, high = _interval(mean, spread, weights.sum(axis=0), len(beliefs.probabilities))
    each = _each_right(weights, q, missed, if_right, if_wrong)[which.reshape(-1)]
    if float(each.min()) > 0.5:
        high = 1.0  # not a single check is wrong: nor need any sample be, as in the interval of Clopper and Pearson
    return Judgement(
        accuracy=Accuracy(estimate, low, high, len(checks)),
        right=each,
        error_rate=float(weights.sum(axis=(1, 2)) @ ERRORS),
        surest=1.0 - float(weights.sum(axis=(0, 1)) @ missed),
    )


@dataclass(frozen=True, eq=False)
class _Held:
    """What is believed of L answered rows: without their answers, ``group`` (L,) and the ``logit`` (L,) of the belief in
    it; with them, ``after`` (L,), the logit of the belief in that same group, and ``best`` (L,), the likeliest group.
    """

    group: Ints
    logit: Floats
    after: Floats
    best: Ints

    @classmethod
    def of(cls, beliefs: Believed) -> _Held:
        own, both = beliefs.own[:, :-1], beliefs.probabilities[beliefs.answered, :-1]
        group, each = own.argmax(axis=1), np.arange(len(own))
        return cls(group, _logit(own[each, group]), _logit(both[each, group]), both.argmax(axis=1))


def _logit(p: NDArray[np.floating]) -> Floats:
    p = np.clip(np.asarray(p, np.float64), FINEST, 1.0 - FINEST)
    return np.asarray(np.log(p) - np.log1p(-p))


def _moment(answer: Answer) -> tuple[int, str, int]:
    return (answer.updated_at, *answer.annotation)


def _partner(answer: Answer, sample: SampleId) -> SampleId:
    return answer.pair.second if answer.pair.first == sample else answer.pair.first


def _group(answer: Answer, sample: SampleId, space: Space, beliefs: Believed) -> int:
    """Group of what the sample was compared with, -1 if it is in none."""
    row = space.index.get(_partner(answer, sample), -1)
    return -1 if row < 0 else int(beliefs.placed[row])


def _tally(said: list[Answer], place: dict[SampleId, int], space: Space, beliefs: Believed) -> Floats:
    """Answers "same" and "different" on each of C samples against each of K groups, (2, C, K)."""
    counts = np.zeros((2, len(place), len(beliefs.groups) + 1))  # the last column takes what concerns no group
    for answer in said:
        for sample in answer.pair:
            if sample in place:
                group = _group(answer, sample, space, beliefs)
                counts[int(answer.verdict is Verdict.DIFFERENT), place[sample], group] += 1.0
    return counts[:, :, :-1]


def _likelihoods(beliefs: Believed, checks: Checks, group: Ints) -> tuple[Floats, Floats]:
    """ln P(said | right) and ln P(said | wrong) of each check under each error rate, (E, C) each; see the module."""
    e, one = ERRORS[:, None, None], np.concatenate([beliefs.one, np.zeros((1, len(beliefs.groups)))])
    same = e + (1.0 - 2.0 * e) * one  # (E, K + 1, K); the last row is "none of them", which is one with no group
    said = checks.same @ np.log(same).transpose(0, 2, 1) + checks.different @ np.log1p(-same).transpose(0, 2, 1)
    rest = np.maximum(beliefs.own[checks.at], FINEST)
    rest[:, :-1] *= 1.0 - beliefs.one[group]
    rest /= rest.sum(axis=1, keepdims=True)
    most = said.max(axis=2)
    wrong = (rest * np.exp(said - most[:, :, None])).sum(axis=2)
    return said[:, np.arange(len(checks)), group], most + np.log(np.maximum(wrong, np.finfo(np.float64).tiny))


def _prior(a: Floats, b: Floats, error_rate: float) -> Floats:
    """Log prior on the grid, (E, A, M)."""
    curve = -0.5 * (a / SHIFT_SPREAD) ** 2 - 0.5 * (np.log(b) / SLOPE_SPREAD) ** 2
    ceiling = np.log(np.diff(beta_distribution.cdf(CEILINGS, *CEILING_PRIOR)))
    centre = _logit(np.clip(error_rate, ERRORS[0], ERRORS[-1]))
    error = -0.5 * ((_logit(ERRORS) - centre) / ERROR_SPREAD) ** 2
    return np.asarray(error[:, None, None] + curve[:, None] + ceiling)


def _accuracies(beliefs: Believed, held: _Held, a: Floats, b: Floats, missed: Floats) -> tuple[Floats, Floats]:
    """Share of all N samples that are right, and its standard deviation, at each point (A, M) of the grid."""
    n = len(beliefs.probabilities)
    unanswered = np.ones(n, bool)
    unanswered[beliefs.answered] = False
    many, edges = np.histogram(_logit(beliefs.probabilities[unanswered, :-1].max(axis=1)), bins=BINS)
    q = expit(a[:, None] + b[:, None] * ((edges[1:] + edges[:-1]) / 2.0))
    # the odds of an answered sample change as those of its belief without answers do
    with_answers = expit(held.after + a[:, None] + (b[:, None] - 1.0) * held.logit)
    both = beliefs.probabilities[beliefs.answered]
    each = np.arange(len(both))
    left = np.maximum(1.0 - both[each, held.group], 1e-9)
    moved = (1.0 - with_answers) * np.minimum(both[each, held.best] / left, 1.0)
    p = np.where(held.best == held.group, with_answers, moved)
    right = q @ many + p.sum(axis=1)
    variance = (q * (1.0 - q)) @ many + (p * (1.0 - p)).sum(axis=1)
    mean = right[:, None] * (1.0 - missed) / n
    return mean, np.sqrt(variance[:, None] / n**2 + missed * (1.0 - missed) / n)


def _interval(mean: Floats, spread: Floats, weights: Floats, n: int) -> tuple[float, float, float]:
    """Low, mean and high of the mixture of normals on the grid, within [0, 1]; 1 where no sample at all may be wrong."""
    some = weights > 1e-7
    weight, mean, spread = weights[some] / weights[some].sum(), mean[some], spread[some]

    def below(x: float) -> float:
        return float(weight @ ndtr((x - mean) / spread))

    least, most = below(0.0), below(1.0)
    low, high = (brentq(lambda x, t=tail: below(x) - least - t * (most - least), 0.0, 1.0, xtol=1e-5) for tail in TAILS)
    estimate = float(weight @ mean)
    if float(weight @ np.exp(-n * (1.0 - mean))) > 1.0 - TAILS[1]:
        high = 1.0
    return min(low, estimate), estimate, max(high, estimate)


def _each_right(weights: Floats, q: Floats, missed: Floats, if_right: Floats, if_wrong: Floats) -> Floats:
    """Chance that the prediction is right after all that was said, for each pattern of checks."""
    right = np.zeros(q.shape[1])
    for e, m in np.ndindex(len(ERRORS), len(missed)):
        p = q * (1.0 - missed[m])
        right += weights[e, :, m] @ (p * if_right[e] / (p * if_right[e] + (1.0 - p) * if_wrong[e]))
    return right
