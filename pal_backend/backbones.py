"""Backbones by name: ours, torchvision's, timm's, those of installed packages, and any importable factory.

This is where code that somebody named is imported: workers and the command line use it, the web process never does
(``.importlinter``), and :mod:`pal_backend.choosing` says whose names come this far. Nothing is ever downloaded. torchvision
and timm are imported when first asked for.

A package offers its own in its ``pyproject.toml``::

    [project.entry-points."pal_backend.backbones"]
    mean-colour = "my_package.networks:mean_colour"
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from pal_backend.core import plugged
from pal_backend.core.choice import SMALL, WEIGHT_FILES, BackboneName, Choice, Source
from pal_backend.core.learning.backbones import MakeBackbone, checked, given, small
from pal_backend.errors import ConfigError, InputError, PalError
from pal_backend.weights import MAX_BYTES, fit, open_checked, read_weights

GROUP = "pal_backend.backbones"
"""Entry points of this group are factories of backbones."""
SIGNATURE = "(channels, side, generator) -> torch.nn.Module"
TINY = 64
"""Images of at most this side meet a 3x3 stem instead of one that was made for 224 pixels."""
PIXELS = 2**22
"""In one go where no gradient is kept: 83 images of 224 pixels, so that a ResNet-50 needs about a gigabyte."""
CLASSES = 1000
"""Outputs of the layer that is taken off."""
AUXILIARY = ("googlenet", "inception_v3")
"""Models of torchvision with outputs beside the last; they are not offered."""


def backbone(spec: str, weights: Path | None = None, *, limit: int = MAX_BYTES) -> MakeBackbone:
    """What makes the network of that name; what it makes is tried on two images first.

    The file of weights is read when a network is made. All randomness comes from the generator that the maker is given.

    Args:
        spec: as :meth:`~pal_backend.core.choice.BackboneName.parse` reads it.
        weights: a file of weights; None: as the generator draws them, or as a factory brings them along.
        limit: bytes that a file of weights may have.

    Raises:
        InputError: the name cannot be read or is not known, or the file is no file of weights.
        NotFoundError: the file is not there.
        ConfigError: what is named cannot be imported.
    """
    name = BackboneName.parse(spec)
    if name.source is Source.FEATURES:
        raise InputError(f"{spec!r:.60} is a file of features, not a network; choose tuning frozen or head with it")
    if weights is not None:
        open_checked(weights, "weights", WEIGHT_FILES, limit)
    build = _builder(name)

    def make(channels: int, side: int, generator: torch.Generator) -> object:
        with torch.random.fork_rng(devices=[]):  # libraries draw from the global generator; it is left as it was
            torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
            built = build(channels, side, generator)
        if weights is not None and isinstance(built.network, nn.Module):
            inner = built.network.body if isinstance(built.network, Adapted) else built.network
            fit(inner, read_weights(weights, limit), built.removed, f"weights {weights} for {spec}")
        return built.network

    return checked(make, spec)


def network_of(choice: Choice) -> MakeBackbone:
    """What makes the network that a complete choice names.

    Raises:
        PalError: the backbone or its weights cannot be used.
    """
    if BackboneName.parse(choice.backbone).source is Source.FEATURES:
        return given
    return backbone(choice.backbone, Path(choice.weights) if choice.weights else None)


def known() -> list[str]:
    """What may be named, as patterns and names; nothing is imported for it."""
    return [
        SMALL,
        "torchvision:NAME",
        "timm:NAME",
        "package.module:factory",
        "features:FILE.npy",
        *plugged.names(GROUP),
    ]


class Built(NamedTuple):
    """A network, and the names of the parts that it lacks on purpose."""

    network: Any
    removed: tuple[str, ...] = ()


Builder = Callable[[int, int, torch.Generator], Built]


class Adapted(nn.Module):
    """A library's network behind images as the house has them: (B, 1 or 3, S, S) in [0, 1] to (B, features).

    Grey images enter as three equal channels. Images are enlarged to ``side`` if that is given, and normalised as the
    network was trained. What only looks goes through the network in parts, whose size follows that of the enlarged images.
    """

    def __init__(
        self, body: nn.Module, *, mean: Iterable[float], std: Iterable[float], side: int | None, features: int
    ) -> None:
        super().__init__()
        self.body = body
        self.side = side
        self.features = features
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(list(mean)).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(list(std)).view(1, -1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Features of images in [0, 1]."""
        side = self.side or images.shape[-1]
        if torch.is_grad_enabled():
            return self._seen(images)
        return torch.cat([self._seen(part) for part in torch.split(images, max(1, PIXELS // (side * side)))])

    def _seen(self, images: Tensor) -> Tensor:
        if self.side is not None and images.shape[-1] != self.side:
            images = functional.interpolate(images, size=(self.side, self.side), mode="bilinear", antialias=True)
        seen = (images.expand(-1, self.mean.shape[1], -1, -1) - self.mean) / self.std
        features: Tensor = self.body(seen).flatten(1)
        return features


def _builder(name: BackboneName) -> Builder:
    match name.source:
        case Source.SMALL:
            return lambda channels, side, generator: Built(small(channels, side, generator))
        case Source.TORCHVISION:
            return _torchvision(name)
        case Source.TIMM:
            return _timm(name)
        case Source.FACTORY:
            return _own(imported(name.name), name.name)
        case _:
            point = plugged.find(GROUP, name.name, "backbone", known())
            return _own(plugged.load(point, "backbone", SIGNATURE), f"{name.name!r} of {plugged.place(point)}")


def _own(factory: Callable[..., Any], about: str) -> Builder:
    def build(channels: int, side: int, generator: torch.Generator) -> Built:
        try:
            return Built(factory(channels, side, generator))
        except PalError:
            raise
        except Exception as problem:  # somebody's function may fail in any way
            raise ConfigError(
                f"the backbone {about} failed: {type(problem).__name__}: {problem}; expected a network from {SIGNATURE}; "
                "mend it, or choose another with --backbone"
            ) from problem

    return build


def imported(name: str) -> Callable[..., Any]:
    """The function ``package.module:factory``.

    Raises:
        ConfigError: it cannot be imported, or is none.
    """
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as problem:  # a module may fail in any way while it is imported
        raise ConfigError(
            f"the backbone {name} cannot be imported: {type(problem).__name__}: {problem}; expected a function "
            f"{attribute} in {module}; install the package where `pal` and the workers run"
        ) from problem
    if not callable(found):
        raise ConfigError(
            f"the backbone {name} is of type {type(found).__name__}; expected a callable {SIGNATURE}; name another"
        )
    return found  # type: ignore[no-any-return]  # what is imported has no type


def _torchvision(name: BackboneName) -> Builder:
    from torchvision import models

    offered = [model for model in models.list_models(module=models) if model not in AUXILIARY]
    if name.name not in offered:
        raise _unknown(f"torchvision:{name.name}", name.name, offered)

    def build(channels: int, side: int, generator: torch.Generator) -> Built:
        network = models.get_model(name.name, weights=None)
        head = classifier(network)
        network.set_submodule(head, nn.Identity())
        # ImageNet's mean and deviation, by which all of torchvision's classifiers were trained.
        return Built(_adapted(network, name, side, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)), (head,))

    return build


def classifier(network: nn.Module) -> str:
    """Name of the layer whose outputs are the classes: the last one of a thousand outputs."""
    layers: list[str] = [
        path
        for path, layer in network.named_modules()
        if (isinstance(layer, nn.Linear) and layer.out_features == CLASSES)
        or (isinstance(layer, nn.Conv2d) and layer.out_channels == CLASSES)
    ]
    return layers[-1]


def _timm(name: BackboneName) -> Builder:
    try:
        timm = importlib.import_module("timm")
    except ImportError as problem:
        raise ConfigError(
            f"timm:{name.name} needs the package timm, which cannot be imported ({problem}); install the extra: "
            "pip install 'pal-label-studio[timm]'"
        ) from None
    architecture = name.name.partition(".")[0]
    if not timm.is_model(architecture):
        raise _unknown(f"timm:{name.name}", architecture, timm.list_models())

    def build(channels: int, side: int, generator: torch.Generator) -> Built:
        try:
            network: Any = timm.create_model(name.name, pretrained=False, num_classes=0)
        except RuntimeError as problem:
            raise InputError(f"timm:{name.name} cannot be made: {problem}; choose another") from None
        about: dict[str, Any] = network.pretrained_cfg
        head = about.get("classifier") or ()
        return Built(
            _adapted(network, name, side, mean=about["mean"], std=about["std"]),
            (head,) if isinstance(head, str) else tuple(head),
        )

    return build


def _adapted(
    network: nn.Module, name: BackboneName, side: int, *, mean: Iterable[float], std: Iterable[float]
) -> Adapted:
    """The network with a stem for the images it will see, and the width of what it gives."""
    if name.side is None and side <= TINY:
        _shrink_stem(network)
    mean = list(mean)
    network.eval()
    entering = name.side or side
    try:
        with torch.no_grad():
            width = network(torch.zeros(1, len(mean), entering, entering)).flatten(1).shape[1]
    except Exception as problem:  # networks of a fixed size fail in many ways
        spec = f"{name.source}:{name.name}"
        raise ConfigError(
            f"the backbone {spec} fails on images of {entering} pixels ({type(problem).__name__}: {problem!s:.200}); "
            f"expected images of the side it was made for; let them be enlarged, such as {spec}@224"
        ) from None
    network.train()
    return Adapted(network, mean=mean, std=std, side=name.side, features=width)


def _shrink_stem(network: nn.Module) -> None:
    """Turn the 7x7 stem of a ResNet, which makes 32 pixels 8, into a 3x3 one that keeps them (as SimCLR's appendix B.9)."""
    stem = getattr(network, "conv1", None)
    if isinstance(stem, nn.Conv2d) and stem.kernel_size == (7, 7) and hasattr(network, "maxpool"):
        network.conv1 = nn.Conv2d(stem.in_channels, stem.out_channels, 3, padding=1, bias=stem.bias is not None)
        nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
        network.maxpool = nn.Identity()


def _unknown(spec: str, name: str, offered: list[str]) -> InputError:
    near = difflib.get_close_matches(name, offered, 5) or offered[:5]
    return InputError(f"there is no backbone {spec:.80}; expected one such as {', '.join(near)}; choose one of them")
