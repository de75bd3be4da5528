"""What a project's choice means for a training: the network, how much of it learns, on what, and what it goes on from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.choice import Choice
from pal_backend.core.learning.training import Trained
from pal_backend.coverage import GIVEN, Given
from pal_backend.pool_index import PoolSample
from pal_backend.store.version_files import Version


def as_it_comes(
    choice: Choice, version: Version, images: NDArray[np.uint8], samples: Sequence[PoolSample], device: str
) -> tuple[Trained, str] | None:
    """Features of a network that does not learn, with the words that tell what they are; None if they are in use already.

    Raises:
        PalError: the backbone, its weights or the file of features cannot be used.
    """
    started = time.perf_counter()
    found = Given.of(choice, images)
    if version.recipe == GIVEN and version.note == found.note:
        return None
    features = found.features(samples, device)
    trained = Trained(b"", features, (), 0.0, time.perf_counter() - started, stopped=False, warm=False)
    return trained, found.note


def made_by(choice: Choice) -> dict[str, str]:
    """Backbone, weights and tuning, as a version's metrics hold them."""
    return {name: text for name, text in asdict(choice).items() if name != "recipe"}


def goes_on(choice: Choice, version: Version) -> bool:
    """Whether a training may start from a version's weights: they are of the same network, tuned in the same way.

    Else a network chosen with weights of its own would be overwritten by the last one of the same shape.
    """
    before = {"backbone": "small", "weights": "", "tuning": "full"} | version.metrics
    return all(before[name] == text for name, text in made_by(choice).items())
