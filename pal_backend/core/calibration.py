"""Platt scaling of P(same), fitted on what is believed of answered samples without their own answers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.posterior import SURE

Floats = NDArray[np.float64]

SLOPE_SPREAD, INTERCEPT_SPREAD = 0.3, 0.5
"""Standard deviations of the prior around the identity (slope 1, intercept 0): some fifty samples move it."""
LIKELIEST = 2
"""Groups of each sample that are looked at: doubt is between the first few, and the others would outnumber them."""


def fit_calibration(own: Floats, both: Floats) -> tuple[float, float]:
    """Slope and intercept of ``P(same) = sigmoid(slope * logit(p) + intercept)``, maximum a posteriori (Platt 1999).

    P(same) of a sample and a member of group k is its belief in k. What is believed without a sample's own answers is
    held against what is believed with them, for its two likeliest groups: so every answered sample tells, also about
    pairs that nobody asked, and none is judged on its own answers. Each sample counts once, its groups in equal parts.

    Args:
        own: float64 (L, K), beliefs in the K groups without the samples' own answers.
        both: float64 (L, K), beliefs with them.
    """
    if own.shape[0] == 0 or own.shape[1] < LIKELIEST:
        return 1.0, 0.0
    top = np.argsort(-own, axis=1, kind="stable")[:, :LIKELIEST]
    p = np.clip(np.take_along_axis(own, top, axis=1).reshape(-1), 1.0 - SURE, SURE)
    same = np.take_along_axis(both, top, axis=1).reshape(-1)
    x = np.stack([np.log(p) - np.log1p(-p), np.ones(len(p))], axis=1)
    prior = np.asarray([1.0, 0.0])
    precision = np.asarray([SLOPE_SPREAD**-2, INTERCEPT_SPREAD**-2])
    theta = prior.copy()
    for _ in range(25):
        fitted = 1.0 / (1.0 + np.exp(-np.clip(x @ theta, -30.0, 30.0)))
        gradient = x.T @ (same - fitted) / LIKELIEST - precision * (theta - prior)
        curvature = (x * (fitted * (1.0 - fitted))[:, None]).T @ x / LIKELIEST + np.diag(precision)
        step = np.linalg.solve(curvature, gradient)
        theta += np.clip(step, -1.0, 1.0)
        if np.abs(step).max() < 1e-9:
            break
    return float(max(theta[0], 0.05)), float(theta[1])
