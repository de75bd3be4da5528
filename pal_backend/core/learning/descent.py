"""The plain loop of a training: epochs, batches of shuffled rows, a learning rate that follows a schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def descend(
    optimiser: torch.optim.Optimizer,
    loss: Callable[[NDArray[np.int64]], Tensor],
    *,
    rows: int,
    batch: int,
    epochs: int,
    seed: int,
    schedule: Callable[[float], float],
    progress: Callable[[dict[str, Any]], None] = lambda state: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Take a step down for each batch; every row comes once an epoch.

    Args:
        optimiser: its learning rate is the highest, and is changed.
        loss: mean loss, shape (), of a batch of rows, int64 (B,).
        rows: how many there are.
        batch: B; the last of an epoch may be smaller.
        epochs: passes over the rows.
        seed: of their order.
        schedule: factor of the learning rate after a share in [0, 1) of the steps.
        progress: called after each epoch with epoch, of and loss.
        should_stop: asked before each step; if true nothing more is done.
    """
    rng, step, steps = np.random.default_rng(seed), 0, epochs * -(-rows // batch)
    highest = optimiser.param_groups[0]["lr"]
    for number in range(1, epochs + 1):
        total, order = 0.0, rng.permutation(rows)
        for start in range(0, rows, batch):
            if should_stop():
                return
            chosen = order[start : start + batch]
            for group in optimiser.param_groups:
                group["lr"] = highest * schedule(step / steps)
            found = loss(chosen)
            optimiser.zero_grad(set_to_none=True)
            found.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            total += float(found.detach()) * len(chosen)
            step += 1
        progress({"epoch": number, "of": epochs, "loss": total / rows})
