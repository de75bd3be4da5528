"""What a training trains: a backbone, a head where only that learns, and the projector; their weights as safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from pal_backend.core.learning.backbones import Backbone, MakeBackbone, Projector, Tuning
from pal_backend.core.learning.ranks import ALONE, Ranks, gathered

FORMAT = "pal-weights-2"
"""Written into the weights."""


class Model(nn.Module):
    """Backbone, head and projector: float (B, C, S, S) in [0, 1] to embeddings (B, K).

    Args:
        network: a :class:`Backbone`.
        tuning: with HEAD the network is as it came, in evaluation mode, and a linear head learns that begins as the
            identity; with FROZEN nothing learns.
        width: K.
        generator: draws the projector's weights.
        normalised: of the projector.
    """

    def __init__(
        self, network: nn.Module, tuning: Tuning, width: int, generator: torch.Generator, *, normalised: bool = False
    ) -> None:
        super().__init__()
        self.network = network
        self.tuning = tuning
        features = cast("Backbone", network).features
        self.head = _identity(features) if tuning is Tuning.HEAD else None
        self.projector = Projector(features, width, generator, normalised=normalised)
        if tuning is not Tuning.FULL:
            self.network.requires_grad_(requires_grad=False)

    def features(self, images: Tensor) -> Tensor:
        """Features (B, D) of images in [0, 1]."""
        found: Tensor = self.network(images)
        return found if self.head is None else cast("Tensor", self.head(found))

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings of images in [0, 1]."""
        embeddings: Tensor = self.projector(self.features(images))
        return embeddings

    def train(self, mode: bool = True) -> Model:  # the signature of nn.Module
        """Training mode for what learns; statistics of a frozen network stay as they came."""
        super().train(mode)
        if self.tuning is not Tuning.FULL:
            self.network.eval()
        return self

    def learning(self) -> list[nn.Parameter]:
        """What the optimiser may change."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def restore(self, weights: bytes) -> bool:
        """Load network and head if every tensor of theirs fits, and then the projector likewise; else change nothing."""
        try:
            tensors = load(weights)
        except SafetensorError:
            return False
        parts: list[tuple[nn.Module, str]] = [(self.network, "network.")]
        if self.head is not None and any(name.startswith("head.") for name in tensors):
            parts.append((self.head, "head."))
        elif self.head is None and any(name.startswith("head.") for name in tensors):
            return False
        if not all(_fits(module, tensors, prefix) for module, prefix in parts):
            return False
        if _fits(self.projector, tensors, "projector."):
            parts.append((self.projector, "projector."))
        for module, prefix in parts:
            module.load_state_dict(_under(tensors, prefix))
        return True


@torch.inference_mode()
def features_of(model: Model, images: Tensor, block: int = 1024, ranks: Ranks = ALONE) -> Tensor:
    """What a model makes of uint8 images (N, S, S, C), float32 (N, D) on the CPU, each column as it comes.

    Several processes share the images out, and all have the same features of all of them in the end.
    """
    model.eval()
    own = images[ranks.rank :: ranks.size]
    found = torch.cat([model.features(floats(part)).float().cpu() for part in torch.split(own, block)])
    return gathered(found, torch.arange(ranks.rank, len(images), ranks.size), len(images), ranks)


def floats(images: Tensor) -> Tensor:
    """uint8 (B, S, S, C) to float (B, C, S, S) in [0, 1]; features (B, D) stay as they are."""
    if images.ndim == 2:
        return images
    return images.permute(0, 3, 1, 2).float().div(255.0)


def pack(model: Model, images: Tensor, ranks: Ranks = ALONE) -> tuple[bytes, NDArray[np.float32]]:
    """A trained model as a safetensors file, and the scaled features of the images it was trained on.

    Each column of the features has mean 0 and standard deviation 1 over those images: a network's own scales are
    accidental, and distances would follow its few strongest columns. The scales are kept with the weights.
    """
    features = features_of(model, images, ranks=ranks)
    centre, scale = features.mean(dim=0), features.std(dim=0, correction=0) + 1e-6
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    about = {"format": FORMAT, "images": list(images.shape[1:]), "tuning": str(model.tuning)}
    weights = save(
        {**tensors, "features.centre": centre, "features.scale": scale},
        {"about": json.dumps(about)},  # one key: their order is random
    )
    return weights, ((features - centre) / scale).numpy()


def embed(
    weights: bytes, images: NDArray[np.uint8] | NDArray[np.float32], *, backbone: MakeBackbone, device: torch.device
) -> NDArray[np.float32]:
    """Features, float32 (N, D), of images, uint8 (N, S, S, C), or features, float32 (N, D'), under weights that
    :func:`pack` made.

    Raises:
        ValueError: the weights are damaged, or belong to another backbone or another number of channels.
    """
    try:
        tensors = load(weights)
    except SafetensorError:
        tensors = {}
    tuning = Tuning.HEAD if any(name.startswith("head.") for name in tensors) else Tuning.FULL
    generator = torch.Generator()
    network = backbone(images.shape[-1], images.shape[1], generator)
    model = Model(network, tuning, 1, generator)
    scales = tensors.get("features.centre"), tensors.get("features.scale")
    if scales[0] is None or scales[1] is None or not model.restore(weights):
        raise ValueError(
            "these weights do not fit the images: damaged, of another backbone, or trained on another number of channels"
        )
    place = torch.from_numpy(np.ascontiguousarray(images)).to(device)
    scaled: NDArray[np.float32] = ((features_of(model.to(device), place) - scales[0]) / scales[1]).numpy()
    return scaled


def _identity(width: int) -> nn.Linear:
    head = nn.Linear(width, width)
    with torch.no_grad():
        head.weight.copy_(torch.eye(width))
        head.bias.zero_()
    return head


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _fits(module: nn.Module, tensors: Mapping[str, Tensor], prefix: str) -> bool:
    shapes = {name: value.shape for name, value in module.state_dict().items()}
    return {name: value.shape for name, value in _under(tensors, prefix).items()} == shapes
