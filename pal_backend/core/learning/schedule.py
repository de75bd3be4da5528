"""The learning rate over a training."""

from __future__ import annotations

import math

WARM_UP = 0.1
"""Share of the steps during which the learning rate rises."""


def factor(done: float) -> float:
    """Factor of the learning rate after a share ``done`` in [0, 1] of the steps: linear warm-up, half a cosine down to 0."""
    if done < WARM_UP:
        return (done + 1e-3) / (WARM_UP + 1e-3)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, (done - WARM_UP) / (1.0 - WARM_UP))))
