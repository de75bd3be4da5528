"""The plain loop of a training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pal_backend.core.learning.descent import descend


def run(**options: Any) -> tuple[torch.Tensor, list[np.ndarray], list[dict[str, Any]]]:
    """The mean of ten numbers, found by descent; the batches, and what was told."""
    numbers, at = torch.arange(10.0), torch.zeros((), requires_grad=True)
    batches: list[np.ndarray] = []
    told: list[dict[str, Any]] = []

    def loss(rows: np.ndarray) -> torch.Tensor:
        batches.append(rows)
        return (numbers[torch.from_numpy(rows)] - at).square().mean()

    given = {"rows": 10, "batch": 4, "epochs": 3, "seed": 0, "schedule": lambda done: 1.0, "progress": told.append}
    descend(torch.optim.SGD([at], lr=0.1), loss, **(given | options))
    return at.detach(), batches, told


def test_every_row_comes_once_an_epoch_and_the_loss_is_its_mean() -> None:
    """In another order each time; the last batch is what is left."""
    at, batches, told = run(epochs=30)
    assert [len(rows) for rows in batches[:3]] == [4, 4, 2]
    epochs = [np.concatenate(batches[start : start + 3]) for start in range(0, 90, 3)]
    assert all(sorted(rows.tolist()) == list(range(10)) for rows in epochs)
    assert epochs[0].tolist() != epochs[1].tolist()
    assert float(at) == pytest.approx(4.5, abs=1.5)
    assert [state["epoch"] for state in told] == list(range(1, 31))
    assert told[-1]["loss"] == pytest.approx(8.25, abs=2.5)


def test_the_rate_follows_the_schedule_and_a_stop_ends_it() -> None:
    """With a factor of 0 nothing moves; asked to stop, no further batch is drawn."""
    assert float(run(schedule=lambda done: 0.0)[0]) == 0.0
    asked: list[float] = []
    run(schedule=lambda done: asked.append(done) or 1.0)
    assert asked == [step / 9 for step in range(9)]
    left = iter([False, False, True])
    assert len(run(should_stop=lambda: next(left))[1]) == 2
