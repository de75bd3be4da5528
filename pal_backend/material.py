"""What a choice of backbone, weights and tuning means for a training: the network, how much of it learns, and on what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pal_backend.backbones import network_of
from pal_backend.core.choice import BackboneName, Choice, Source
from pal_backend.core.learning.backbones import Tuning, given
from pal_backend.core.learning.retraining import Material
from pal_backend.given_features import given_features
from pal_backend.pool_index import PoolSample


def material_of(
    choice: Choice,
    images: NDArray[np.uint8],
    samples: Sequence[PoolSample],
    texts: NDArray[np.float32] | None = None,
) -> Material:
    """What a complete choice names, for these samples and their images, or what was seen in their texts, row by row.

    Raises:
        PalError: the backbone, its weights or the file of features cannot be used.
    """
    if texts is not None:
        return Material(images, texts, given, Tuning(choice.tuning))
    name = BackboneName.parse(choice.backbone)
    seen = given_features(Path(name.name), samples) if name.source is Source.FEATURES else images
    return Material(images, seen, network_of(choice), Tuning(choice.tuning))
