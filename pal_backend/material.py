"""What a choice of backbone, weights and tuning means for a training: the network, how much of it learns, and on what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pal_backend.backbones import backbone
from pal_backend.core.choice import BackboneName, Choice, Source
from pal_backend.core.learning.backbones import Tuning, given
from pal_backend.core.learning.retraining import Material
from pal_backend.given_features import given_features
from pal_backend.pool_index import PoolSample


def material_of(choice: Choice, images: NDArray[np.uint8], samples: Sequence[PoolSample]) -> Material:
    """What a complete choice names, for these samples and their images, row by row.

    Raises:
        PalError: the backbone, its weights or the file of features cannot be used.
    """
    name = BackboneName.parse(choice.backbone)
    seen = given_features(Path(name.name), samples) if name.source is Source.FEATURES else images
    return material_on(choice, images, seen)


def material_on(choice: Choice, images: NDArray[np.uint8], seen: NDArray[np.uint8] | NDArray[np.float32]) -> Material:
    """The same, where what the network sees is there already: the images, or features made elsewhere, (N, D).

    Raises:
        PalError: the backbone or its weights cannot be used.
    """
    tuning = Tuning(choice.tuning)
    if BackboneName.parse(choice.backbone).source is Source.FEATURES:
        return Material(images, seen, given, tuning)
    return Material(images, seen, backbone(choice.backbone, Path(choice.weights) if choice.weights else None), tuning)
