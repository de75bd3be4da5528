"""From a recipe's rule to its prior neighbours: the one place that knows which space is which."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch.nn.functional import normalize

from pal_backend.core.learning.autoencoder import train_autoencoder
from pal_backend.core.learning.backbones import MakeBackbone, Tuning
from pal_backend.core.learning.model import Model, features_of
from pal_backend.core.learning.pixels import pca_features
from pal_backend.core.learning.positives import positives
from pal_backend.core.recipes import NeighbourRule
from pal_backend.errors import InputError

SPACES = ("version", "pca", "autoencoder", "backbone", "none")
"""Where distances may be taken (:class:`pal_backend.core.recipes.NeighbourRule`)."""

BLOCK = 256
"""Images at a time: backbones may be large."""


def prior_neighbours(
    rule: NeighbourRule,
    images: NDArray[np.uint8],
    features: NDArray[np.float32],
    *,
    backbone: MakeBackbone,
    seed: int,
    device: torch.device,
    progress: Callable[[dict[str, Any]], None] = lambda state: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> sparse.csr_array:
    """Who may be drawn as whose positive by ``rule``, float32 csr (N, N), as :func:`positives` gives it.

    Features are always those of the images as they are, without augmentation. For "none" the graph is empty.

    Args:
        rule: where to look for neighbours, and how.
        images: the pool, uint8 (N, S, S, C).
        features: of the version in use, (N, D).
        backbone: makes the network whose own features "backbone" means, before any training here.
        seed: of the autoencoder, and of a backbone without weights.
        device: where to compute.
        progress: called after each epoch of the autoencoder with epoch, of and loss, and after each block of images
            that the backbone has seen with done and of.
        should_stop: asked before each step of the autoencoder; if true it stays as it is by then.

    Raises:
        InputError: there is no such space.
    """
    if rule.space == "none":
        return sparse.csr_array((len(images), len(images)), dtype=np.float32)
    if rule.space == "version":
        g = features
    elif rule.space == "pca":
        g = pca_features(images)
    elif rule.space == "autoencoder":
        trained = train_autoencoder(images, seed=seed, device=device, progress=progress, should_stop=should_stop)
        g = trained.features(images)
    elif rule.space == "backbone":
        g = backbone_features(images, backbone, seed=seed, device=device, progress=progress)
    else:
        raise InputError(
            f"there is no prior space {rule.space!r:.60}; expected one of: {', '.join(SPACES)}; correct the recipe"
        )
    return positives(g, rule)


def backbone_features(
    images: NDArray[np.uint8],
    backbone: MakeBackbone,
    *,
    seed: int,
    device: torch.device,
    progress: Callable[[dict[str, Any]], None] = lambda state: None,
) -> NDArray[np.float32]:
    """What a network makes of images, uint8 (N, S, S, C), before any training here: float32 (N, D), N at least 1.

    Rows have length 1, so that distances are those of the angle, as is usual for pretrained networks: the length of
    their features tells how much is to be seen, not what. (Of ImageNet features of CIFAR-10, 57 in 100 of the ten nearest
    neighbours are of one class by the angle and 52 without.)

    ``progress`` is called after each block with done and of, in images.
    """
    initial = torch.Generator().manual_seed(seed)
    network = backbone(images.shape[-1], images.shape[1], initial)
    model = Model(network, Tuning.FROZEN, 1, initial).to(device).to(memory_format=torch.channels_last)
    parts = []
    for start in range(0, len(images), BLOCK):
        block = torch.from_numpy(np.ascontiguousarray(images[start : start + BLOCK]))
        parts.append(features_of(model, block.to(device)))
        progress({"done": start + len(block), "of": len(images)})
    return normalize(torch.cat(parts)).numpy()
