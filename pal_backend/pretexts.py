"""Losses of the pretext task that a project's recipe or strategy asks for: those of a version, or learned now."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.vocabulary import SampleId
from pal_backend.store.version_files import Version

log = logging.getLogger(__name__)


def difficulty_for(
    wanted: str,
    version: Version | None,
    sample_ids: Sequence[SampleId],
    images: NDArray[np.uint8],
    *,
    seed: int,
    device: str,
    progress: Callable[[dict[str, Any]], None] = lambda state: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> NDArray[np.float32] | None:
    """The losses of a pretext task, float32 (N,); None if none is wanted.

    They belong to the images alone, so a version passes them on; a pool that grew has its task learned anew, since the
    losses of two networks cannot be compared.

    Args:
        wanted: the task by name, as :func:`~pal_backend.core.recipes.pretext_of` tells it; "" for none.
        version: that may have the losses of these samples already.
        sample_ids: in the order of the images.
        images: uint8 (N, S, S, C).
        seed, progress, should_stop: as of :func:`pal_backend.core.learning.pretext.learn`.
        device: auto, cpu or cuda.

    Raises:
        InputError: there is no such task.
    """
    if not wanted:
        return None
    if version is not None and has(version, wanted, sample_ids):
        return version.difficulty
    from pal_backend.core.learning.pretext import learn
    from pal_backend.core.learning.training import pick_device

    log.info("learning the pretext task %s on %d samples", wanted, len(images))
    learned = learn(images, wanted, seed=seed, device=pick_device(device), progress=progress, should_stop=should_stop)
    return learned.losses(images)


def has(version: Version, wanted: str, sample_ids: Sequence[SampleId]) -> bool:
    """Whether a version has the losses of a task for these samples, or none is wanted."""
    return not wanted or (version.pretext == wanted and version.sample_ids == tuple(sample_ids))
