"""The learning rate over a training."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pal_backend.core.learning.schedule import WARM_UP, factor


def test_it_rises_to_one_and_falls_to_zero_without_a_jump() -> None:
    """Linear warm-up, then half a cosine, the two meeting at the top."""
    assert 0 < factor(0.0) < 0.02
    assert factor(WARM_UP / 2) == pytest.approx(0.5, abs=0.01)
    assert factor(WARM_UP - 1e-9) == pytest.approx(factor(WARM_UP), abs=1e-6) == 1.0
    assert factor((1 + WARM_UP) / 2) == pytest.approx(0.5)
    assert factor(1.0) == pytest.approx(0.0)
    rates = [factor(step / 100) for step in range(101)]
    assert all(a < b for a, b in pairwise(rates[:11]))
    assert all(a > b for a, b in pairwise(rates[10:]))


def test_more_steps_than_planned_leave_it_at_zero() -> None:
    """The cosine does not rise again."""
    assert factor(1.3) == pytest.approx(0.0)
