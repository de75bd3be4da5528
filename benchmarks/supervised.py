"""A classifier that is trained on labelled images alone, as single-sample active learning measures itself by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize, softmax

from pal_backend.core.learning.backbones import SmallConvNet, initialise
from pal_backend.core.learning.descent import descend
from pal_backend.core.learning.model import floats
from pal_backend.core.learning.schedule import factor
from pal_backend.core.learning.views import MOBY_WEAK, views

LEARNING_RATE = 5e-3
BLOCK = 1024


@dataclass(frozen=True)
class Classifier:
    """The small network of the product with a linear layer on top."""

    network: nn.Module

    @torch.inference_mode()
    def logits(self, images: NDArray[np.uint8]) -> Tensor:
        """float32 (N, C) of images uint8 (N, S, S, C'), without augmentation."""
        return torch.cat([
            self.network(floats(torch.from_numpy(images[start : start + BLOCK])))
            for start in range(0, len(images), BLOCK)
        ])  # fmt: skip

    def accuracy(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
        """Share of the images whose class is foretold."""
        return float((self.logits(images).argmax(dim=1).numpy() == labels).mean())

    def losses(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> NDArray[np.float32]:
        """Cross-entropy of each image, float32 (N,)."""
        return cross_entropy(self.logits(images), torch.from_numpy(labels), reduction="none").numpy()

    def confidence(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """As PT4AL has it: the largest softmax of the logits brought to length 1, float32 (N,)."""
        return softmax(normalize(self.logits(images), dim=1), dim=1).amax(dim=1).numpy()


def classifier(
    images: NDArray[np.uint8], labels: NDArray[np.int64], classes: int, *, seed: int, epochs: int, batch: int
) -> Classifier:
    """Trained from initial weights on views of ``moby-weak`` (flip, crop of the padded image); AdamW, warm-up, half a cosine.

    The last epoch is used: nothing is looked at but the images and labels given.
    """
    generator = torch.Generator().manual_seed(seed)
    body = SmallConvNet(images.shape[-1], generator)
    head = nn.Linear(body.features, classes)
    initialise(head, generator)
    network = nn.Sequential(body, head)
    noise = torch.Generator().manual_seed(seed + 1)

    def loss(rows: NDArray[np.int64]) -> Tensor:
        seen = views(floats(torch.from_numpy(images[rows])), MOBY_WEAK, noise)
        return cross_entropy(network(seen), torch.from_numpy(labels[rows]))

    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-2)
    descend(optimiser, loss, rows=len(images), batch=batch, epochs=epochs, seed=seed, schedule=factor)
    return Classifier(network.eval())
