"""Losses of a pretext task: how hard each sample is to a network that was never told a label."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pal_backend.core.learning.backbones import MakeBackbone, small
from pal_backend.core.learning.descent import descend
from pal_backend.core.learning.model import floats
from pal_backend.core.learning.pretext_tasks import MaskedPatches, Rotation, Task, ViewAlignment
from pal_backend.core.learning.schedule import factor
from pal_backend.errors import InputError

EPOCHS = 15
"""As in PT4AL."""
BATCH = 256
BLOCK = 512

TASKS: Mapping[str, Callable[[int, int, MakeBackbone, torch.Generator], nn.Module]] = MappingProxyType(
    {"rotation": Rotation, "view-alignment": ViewAlignment, "masked-patches": MaskedPatches}
)
"""By the names that recipes use: (channels, side, backbone, generator) to a task with initial weights."""


@dataclass(frozen=True, eq=False)
class Pretext:
    """A task that was learned."""

    task: Task
    device: torch.device
    seed: int

    @torch.inference_mode()
    def losses(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The loss of each image, uint8 (N, S, S, C) to float32 (N,), >= 0; the same images in the same order give the same."""
        noise = torch.Generator(self.device).manual_seed(self.seed)
        parts = [
            self.task.losses(_batch(images[start : start + BLOCK], self.device), noise).cpu()
            for start in range(0, len(images), BLOCK)
        ]
        return torch.cat(parts).numpy() if parts else np.empty(0, np.float32)


def learn(
    images: NDArray[np.uint8],
    name: str,
    *,
    seed: int,
    epochs: int = EPOCHS,
    backbone: MakeBackbone = small,
    device: str | torch.device = "cpu",
    progress: Callable[[dict[str, Any]], None] = lambda state: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Pretext:
    """Learn a pretext task on ``images``, uint8 (N, S, S, C), without augmentation but the task's own.

    Linear warm-up and half a cosine instead of the paper's constant rate, and the last epoch instead of the best one. On
    the CPU the same arguments and number of threads give the same result to the last bit.

    Args:
        images: to learn from.
        name: of :data:`TASKS`.
        seed: of the initial weights, the order of the images and whatever the task draws.
        epochs: passes over the images.
        backbone: makes the network (the masked patches have an autoencoder of their own).
        device: where to compute.
        progress: called after each epoch with epoch, of and loss.
        should_stop: asked before each step; if true the task stays as it is by then.

    Raises:
        InputError: there is no such task.

    Source: Yi et al. 2022 (arXiv 2201.07459), section 3: batches of 256, 15 epochs
    """
    if name not in TASKS:
        raise InputError(
            f"there is no pretext task {name!r:.60}; expected one of: {', '.join(TASKS)}; correct the recipe"
        )
    place = torch.device(device)
    module = TASKS[name](images.shape[-1], images.shape[1], backbone, torch.Generator().manual_seed(seed)).to(place)
    task: Task = module  # type: ignore[assignment]
    noise = torch.Generator(place).manual_seed(seed + 1)
    descend(
        task.optimiser(),
        lambda rows: task.loss(_batch(images[rows], place), noise),
        rows=len(images),
        batch=BATCH,
        epochs=epochs,
        seed=seed,
        schedule=factor,
        progress=progress,
        should_stop=should_stop,
    )
    module.eval()
    return Pretext(task, place, seed)


def _batch(images: NDArray[np.uint8], device: torch.device) -> Tensor:
    return floats(torch.from_numpy(np.ascontiguousarray(images)).to(device))
