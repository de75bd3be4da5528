"""A small convolutional autoencoder: features from pixels alone that know more than principal components.

GPS-SSL's own example of a prior space is an autoencoder trained with the mean squared error and Adam at 1e-3
(arXiv 2401.01990, section 4; theirs is fully connected, 3072-2048-1024-1024, 100 epochs). Ours is convolutional and
narrow, so that a CPU trains it on 10,000 images in a minute or two.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate, mse_loss

from pal_backend.core.learning.backbones import initialise
from pal_backend.core.learning.descent import descend

SIDE = 32
"""Images are averaged down (or blown up) to this side first: what makes neighbours alike is coarse."""
FEATURES = 64
"""Width of the bottleneck, D."""
BATCH = 128
LEARNING_RATE = 1e-3


class Autoencoder(nn.Module):
    """Images to features and back: (B, C, 32, 32) to (B, 64) to (B, C, 32, 32).

    Args:
        channels: 1 for grey images, 3 for colour.
        generator: draws the initial weights, on the CPU.
    """

    def __init__(self, channels: int, generator: torch.Generator) -> None:
        super().__init__()
        self.channels = channels
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, 16, 4, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(16, 32, 4, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2, padding=1), nn.ReLU(),
            nn.Flatten(), nn.Linear(64 * 16, FEATURES),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Linear(FEATURES, 64 * 16), nn.ReLU(), nn.Unflatten(1, (64, 4, 4)),
            nn.Upsample(scale_factor=2), nn.Conv2d(64, 32, 3, padding=1), nn.ReLU(),
            nn.Upsample(scale_factor=2), nn.Conv2d(32, 16, 3, padding=1), nn.ReLU(),
            nn.Upsample(scale_factor=2), nn.Conv2d(16, channels, 3, padding=1),
        )  # fmt: skip
        initialise(self, generator)

    def forward(self, images: Tensor) -> Tensor:
        """What is left of images after the bottleneck."""
        restored: Tensor = self.decoder(self.encoder(images))
        return restored

    @torch.inference_mode()
    def features(self, images: NDArray[np.uint8], block: int = 1024) -> NDArray[np.float32]:
        """Features, float32 (N, 64), of images, uint8 (N, S, S, C)."""
        place = next(self.parameters()).device
        parts = [self.encoder(_floats(images[start : start + block], place)) for start in range(0, len(images), block)]
        return torch.cat(parts).cpu().numpy() if parts else np.empty((0, FEATURES), np.float32)


def train_autoencoder(
    images: NDArray[np.uint8],
    *,
    seed: int,
    epochs: int = 20,
    device: str | torch.device = "cpu",
    progress: Callable[[dict[str, Any]], None] = lambda state: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Autoencoder:
    """The autoencoder that has learned to restore ``images``, uint8 (N, S, S, C), N at least 1.

    Minimises the mean of (x - decode(encode(x)))^2 over pixels in [0, 1]; Adam, learning rate down to 0 along half a
    cosine. On the CPU the same arguments and number of threads give the same result to the last bit.

    Args:
        images: to learn from.
        seed: of the initial weights and the order of the images.
        epochs: passes over the images.
        device: where to compute.
        progress: called after each epoch with epoch, of and loss.
        should_stop: asked before each step; if true the training ends with what it has learned by then.
    """
    network = Autoencoder(images.shape[-1], torch.Generator().manual_seed(seed)).to(device)
    place = torch.device(device)

    def loss(rows: NDArray[np.int64]) -> Tensor:
        x = _floats(images[rows], place)
        return mse_loss(network(x), x)

    descend(
        torch.optim.Adam(network.parameters(), lr=LEARNING_RATE),
        loss,
        rows=len(images),
        batch=BATCH,
        epochs=epochs,
        seed=seed,
        schedule=lambda done: 0.5 * (1.0 + math.cos(math.pi * done)),
        progress=progress,
        should_stop=should_stop,
    )
    return network.eval()


def _floats(images: NDArray[np.uint8], device: torch.device) -> Tensor:
    """uint8 (B, S, S, C) to float (B, C, 32, 32) in [0, 1]."""
    x = torch.from_numpy(np.ascontiguousarray(images)).to(device).permute(0, 3, 1, 2).float().div(255.0)
    return x if x.shape[-1] == SIDE else interpolate(x, size=(SIDE, SIDE), mode="bilinear", antialias=True)
