"""Platt scaling of P(same), fitted on what was predicted before each answer came."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pal_backend.core.posterior import SURE
from pal_backend.core.vocabulary import Answer, Verdict

SLOPE_SPREAD, INTERCEPT_SPREAD = 0.3, 0.5
"""Standard deviations of the prior around the identity (slope 1, intercept 0): some fifty answers move it."""


def fit_calibration(answers: Iterable[Answer]) -> tuple[float, float]:
    """Slope and intercept of ``P(same) = sigmoid(slope * logit(predicted) + intercept)``, maximum a posteriori.

    Each answer's ``predicted`` was made before it came, so the fit is prequential: nothing is judged on its own
    training data (Platt 1999; Dawid 1984). Unsure answers, and those without a prediction, are left out.
    """
    known = [a for a in answers if a.predicted is not None and a.verdict is not Verdict.UNSURE]
    if not known:
        return 1.0, 0.0
    p = np.clip(np.asarray([a.predicted for a in known], np.float64), 1.0 - SURE, SURE)
    same = np.asarray([a.verdict is Verdict.SAME for a in known], np.float64)
    x = np.stack([np.log(p) - np.log1p(-p), np.ones(len(p))], axis=1)
    prior = np.asarray([1.0, 0.0])
    precision = np.asarray([SLOPE_SPREAD**-2, INTERCEPT_SPREAD**-2])
    theta = prior.copy()
    for _ in range(25):
        fitted = 1.0 / (1.0 + np.exp(-np.clip(x @ theta, -30.0, 30.0)))
        gradient = x.T @ (same - fitted) - precision * (theta - prior)
        curvature = (x * (fitted * (1.0 - fitted))[:, None]).T @ x + np.diag(precision)
        step = np.linalg.solve(curvature, gradient)
        theta += np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-9:
            break
    return float(max(theta[0], 0.05)), float(theta[1])
