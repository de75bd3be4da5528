"""Features of a network as it comes, before anything was learned here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pal_backend.core.learning.backbones import Tuning
from pal_backend.core.learning.model import Model, features_of
from pal_backend.core.learning.training import pick_device

_ROUNDING = 1e-6
"""A column that varies by less than this share of its largest value varies by float32's rounding alone."""


@dataclass(frozen=True)
class AsItComes:
    """What a backbone sees in images, and how its columns were scaled: ``features = (seen - centre) * factor``.

    Args:
        features: float32 (N, D), each column with mean 0 and standard deviation 1; one that is the same for all is 0.
        centre, factor: float64 (D,).
    """

    features: NDArray[np.float32]
    centre: NDArray[np.float64]
    factor: NDArray[np.float64]


def untrained(
    images: NDArray[np.uint8], network: nn.Module, *, device: str = "auto", fitted_on: int | None = None
) -> AsItComes:
    """What a backbone sees in images, uint8 (N, S, S, C).

    Scaled as after a training, since a network's own scales are accidental. Mean and deviation are those of the first ``fitted_on``
    images, if that is given.
    """
    place = pick_device(device)
    model = Model(network, Tuning.FROZEN, 1, torch.Generator()).to(place)
    seen = features_of(model, torch.from_numpy(np.ascontiguousarray(images)).to(place)).double().numpy()
    known = seen[:fitted_on]
    centre = known.mean(axis=0)
    scale = known.std(axis=0)
    says_something = scale > _ROUNDING * np.abs(known).max(axis=0)
    factor = np.where(says_something, 1.0 / np.where(says_something, scale, 1.0), 0.0)
    return AsItComes(((seen - centre) * factor).astype(np.float32), centre, factor)
