"""When to stop: what the next hundred answers are worth, and the stopping rules, each as a verdict a person can read.

No rule stops anything; the person who looks at ``pal status`` decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta as beta_distribution

from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.neighbours import Space
from pal_backend.core.quality import Accuracy, Quality, StoppingVerdict
from pal_backend.core.verification import Believed, Checks, Judgement, judge
from pal_backend.core.vocabulary import Answer

Floats = NDArray[np.float64]

TARGET = 0.95
"""Accuracy that the rule on checks wants to see established."""
CONFIDENCE = 0.95
SMALLEST = 0.05
"""A class is worth finding if it has this share of the samples."""
PAIR_ERROR = 0.01
"""Expected share of wrong pairs; with ten even classes that is about one sample in twenty."""
LEAST_WORTH = 0.005
"""A hundred answers that bring less than half a point are not worth asking for."""
DECAY, DECAY_SPREAD = 0.5, 0.25
"""Prior of the power with which errors fall as answers grow (simulations: .2 on poor features, .5 to 1 on good ones)."""


def next_hundred(accuracy: Accuracy, outcomes: Floats, earlier: NDArray[np.int64], answers: int) -> float:
    """Expected gain in accuracy of the next hundred answers, 0..1, if errors go on falling as they did.

    The checks are uniform samples, each predicted at its own time, so their outcomes draw the learning curve. Errors
    ``exp(a - d ln(1 + t))`` are fitted to them by maximum a posteriori (two Newton variables, a Poisson likelihood), and
    the gain is ``(1 - accuracy) (1 - (t / (t + 100))^d)``.

    Args:
        accuracy: as it is now.
        outcomes: (C,), chance that each check was predicted wrongly when it was asked.
        earlier: int64 (C,), answers held when it was asked.
        answers: t, answers held now.
    """
    x = np.log1p(earlier.astype(np.float64))
    middle = float(x.mean()) if len(x) else 0.0
    theta = np.asarray([math.log(max(float(outcomes.mean()) if len(x) else 0.0, 0.02)), DECAY])
    design = np.stack([np.ones(len(x)), -(x - middle)], axis=1)
    precision = np.diag([1e-2, DECAY_SPREAD**-2])
    centre = np.asarray([theta[0], DECAY])
    for _ in range(20):
        expected = np.exp(np.clip(design @ theta, -10.0, 1.0))
        gradient = design.T @ (outcomes - expected) - precision @ (theta - centre)
        curvature = (design.T * expected) @ design + precision
        theta = theta + np.clip(np.linalg.solve(curvature, gradient), -1.0, 1.0)
    decay = max(float(theta[1]), 0.0)
    return float((1.0 - accuracy.estimate) * (1.0 - (answers / (answers + 100.0)) ** decay))


def outcomes_when_asked(beliefs: Believed, checks: Checks) -> Floats:
    """Chance that each check was predicted wrongly when it was asked, (C,): that it is not in the group it was asked
    against, by all that is known today.
    """
    known = beliefs.probabilities[beliefs.answered[checks.at], :-1]
    p = known[np.arange(len(checks)), np.maximum(checks.first, 0)] if known.shape[1] else np.zeros(len(checks))
    return np.where(checks.first >= 0, 1.0 - p, 1.0)


def quality_of(space: Space, graph: SimilarityGraph, beliefs: Believed, answers: Sequence[Answer]) -> Quality:
    """Accuracy, the worth of the next hundred answers, and what each stopping rule says, in a fixed order.

    Args:
        space: the samples.
        graph: what the answers say.
        beliefs: what is believed by them.
        answers: all of them.
    """
    checks = Checks.of(answers, space, beliefs)
    judged = judge(beliefs, checks, sum(graph.rates.values()) / max(len(graph.rates), 1))
    accuracy, worth = None, None
    if judged is not None:
        accuracy = judged.accuracy
        worth = next_hundred(accuracy, outcomes_when_asked(beliefs, checks), checks.earlier, len(answers))
    verdicts = (
        _groups_apart(graph, beliefs),
        _expected_error(beliefs),
        _checks_agree(judged),
        _no_new_group(space, beliefs, checks),
        _worth(worth),
        _likelihood_ratio(beliefs, len(answers)),
    )
    return Quality(accuracy, worth, verdicts, 1.0 if judged is None else judged.surest)


def _groups_apart(graph: SimilarityGraph, beliefs: Believed) -> StoppingVerdict:
    """All pairs of groups are kept apart by trusted answers."""
    pairs = list(combinations(beliefs.groups, 2))
    left = sum(not graph.apart(a, b) for a, b in pairs)
    return StoppingVerdict(
        name="groups-apart",
        met=bool(pairs) and left == 0,
        figure=float(left),
        threshold=0.0,
        sentence=f"{left} of {len(pairs)} pairs of groups are not yet told apart by answers.",
    )


def _expected_error(beliefs: Believed) -> StoppingVerdict:
    """``sum_ij p_ij (1 - p_ij) / (N (N - 1) / 2)`` with ``p_ij = F_i . F_j``, through K x K sums alone."""
    p = beliefs.probabilities[:, :-1]
    n, own = len(p), np.einsum("nk,nk->n", p, p)
    total, gram = p.sum(axis=0), p.T @ p
    wrong = (float(total @ total) - own.sum()) - (float((gram**2).sum()) - float(own @ own))
    figure = float(max(wrong, 0.0)) / max(n * (n - 1), 1)
    return StoppingVerdict(
        name="expected-error",
        met=bool(beliefs.groups) and figure < PAIR_ERROR,
        figure=figure,
        threshold=PAIR_ERROR,
        sentence=f"{100 * figure:.1f} % of all pairs are expected to be wrong; below {100 * PAIR_ERROR:.0f} % is enough.",
    )


def _checks_agree(judged: Judgement | None) -> StoppingVerdict:
    """Lower Clopper-Pearson bound (one-sided) of the share of checks that agree with the present prediction.

    59 checks without an error are the fewest that do.
    """
    count = 0 if judged is None else len(judged.right)
    right = 0 if judged is None else int((judged.right > 0.5).sum())
    bound = float(beta_distribution.ppf(1.0 - CONFIDENCE, right, count - right + 1)) if right else 0.0
    return StoppingVerdict(
        name="checks-agree",
        met=bound >= TARGET,
        figure=bound,
        threshold=TARGET,
        sentence=(
            f"{right} of {count} checks agree with the prediction, so at least {100 * bound:.0f} % are right "
            f"(one-sided 95 %); {100 * TARGET:.0f} % is asked for."
        ),
    )


def _no_new_group(space: Space, beliefs: Believed, checks: Checks) -> StoppingVerdict:
    """Checks since one last founded a group, or fitted none: a class of share f escapes M of them with (1 - f)^M."""
    wanted = math.ceil(math.log(1.0 - CONFIDENCE) / math.log(1.0 - SMALLEST))
    founders = [space.index[root] for root in beliefs.groups if root in space.index]
    fits_none = beliefs.probabilities[checks.rows].argmax(axis=1) == len(beliefs.groups)
    stranger = fits_none | np.isin(checks.rows, founders)
    since = int(np.argmax(stranger[::-1])) if stranger.any() else len(checks)
    return StoppingVerdict(
        name="no-new-group",
        met=since >= wanted,
        figure=float(since),
        threshold=float(wanted),
        sentence=(
            f"The last {since} checks all belonged to known groups; {wanted} rule out a class of {100 * SMALLEST:.0f} % "
            "of the samples that nobody has met."
        ),
    )


def _worth(worth: float | None) -> StoppingVerdict:
    """The next hundred answers bring less than they cost."""
    known = 1.0 if worth is None else worth
    points = "an unknown gain" if worth is None else f"{100 * worth:.1f} points"
    return StoppingVerdict(
        name="worth",
        met=known < LEAST_WORTH,
        figure=known,
        threshold=LEAST_WORTH,
        sentence=f"The next hundred answers should bring {points}; below {100 * LEAST_WORTH:.1f} they are hardly worth it.",
    )


def _likelihood_ratio(beliefs: Believed, answers: int) -> StoppingVerdict:
    """Generalised likelihood ratio of the grouping of the answered samples to the nearest other one (one sample moved).

    Stop when it passes ``ln((1 + ln t) / d)``, d = .05 (Garivier and Kaufmann 2016, after Chernoff 1959; used for noisy
    comparisons by Teo et al. 2026).
    """
    threshold = math.log((1.0 + math.log(max(answers, 1))) / (1.0 - CONFIDENCE))
    rows = beliefs.answered[beliefs.placed[beliefs.answered] >= 0]
    p = np.log(np.maximum(beliefs.probabilities[rows], 1e-12))
    mine = p[np.arange(len(rows)), beliefs.placed[rows]]
    p[np.arange(len(rows)), beliefs.placed[rows]] = -np.inf
    ratios = mine - p.max(axis=1) if len(rows) else np.zeros(1)
    below = int((ratios < threshold).sum())
    return StoppingVerdict(
        name="likelihood-ratio",
        met=below == 0,
        figure=float(ratios.min()),
        threshold=threshold,
        sentence=f"The places of {below} of {len(rows)} answered samples might still change with one more answer.",
    )
