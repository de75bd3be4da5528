"""Platt scaling of P(same), fitted on what is believed of answered samples without their own answers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from pal_backend.core.posterior import SURE

Floats = NDArray[np.float64]

SLOPE_SPREAD, INTERCEPT_SPREAD = 0.3, 0.5
"""Standard deviations of the prior around the identity (slope 1, intercept 0): some fifty samples move it."""
LIKELIEST = 2
"""Groups of each sample that are looked at: doubt is between the first few, and the others would outnumber them."""
STEP = 0.5
"""How far the second fit is followed. Whole steps, one after another, end where the answers are likeliest, and wrong answers
are taken for the truth."""
CERTAIN = 1e-6
"""How close to 0 or 1 answers can bring a belief."""


def fit_calibration(own: Floats, both: Floats) -> tuple[float, float]:
    """Slope and intercept of ``P(same) = sigmoid(slope * logit(p) + intercept)``, maximum a posteriori (Platt 1999).

    P(same) of a sample and a member of group k is its belief in k. What is believed without a sample's own answers is
    held against what is believed with them, for its two likeliest groups: so every answered sample tells, also about
    pairs that nobody asked, and none is judged on its own answers. Each sample counts once, its groups in equal parts.
    What is believed with the answers is itself too modest, or too sure, where the beliefs without them are; so it is worked
    out again, the same answers on the calibrated beliefs, and half the way is gone to what fits then (a damped EM step).

    Args:
        own: float64 (L, K), beliefs in the K groups without the samples' own answers.
        both: float64 (L, K), beliefs with them.
    """
    if own.shape[0] == 0 or own.shape[1] < LIKELIEST:
        return 1.0, 0.0
    top = np.argsort(-own, axis=1, kind="stable")[:, :LIKELIEST]
    p = np.clip(np.take_along_axis(own, top, axis=1).reshape(-1), 1.0 - SURE, SURE)
    same = np.take_along_axis(both, top, axis=1).reshape(-1)
    x = np.stack([logit(p), np.ones(len(p))], axis=1)
    told = logit(np.clip(same, CERTAIN, 1.0 - CERTAIN)) - x[:, 0]
    theta = _fit(x, same)
    theta += STEP * (_fit(x, expit(x @ theta + told)) - theta)
    return float(max(theta[0], 0.05)), float(theta[1])


def _fit(x: Floats, same: Floats) -> Floats:
    """Slope and intercept, (2,), for logits and ones ``x`` (n, 2) and what should come out, (n,); Newton's method."""
    prior = np.asarray([1.0, 0.0])
    precision = np.asarray([SLOPE_SPREAD**-2, INTERCEPT_SPREAD**-2])
    theta = prior.copy()
    for _ in range(25):
        fitted = expit(x @ theta)
        gradient = x.T @ (same - fitted) / LIKELIEST - precision * (theta - prior)
        curvature = (x * (fitted * (1.0 - fitted))[:, None]).T @ x / LIKELIEST + np.diag(precision)
        step = np.linalg.solve(curvature, gradient)
        theta += np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-9:
            break
    return theta
