"""The model of a version: its weights with a loader that needs nothing of ours, and a torch.export program."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load, save
from torch import Tensor, nn

from pal_backend.backbones import Adapted, backbone, classifier
from pal_backend.choosing import settled
from pal_backend.core.choice import SMALL, BackboneName, Choice, Source
from pal_backend.core.learning.backbones import SmallConvNet, Tuning, given
from pal_backend.core.learning.model import Model, floats
from pal_backend.core.learning.pixels import Components
from pal_backend.core.learning.untrained import untrained
from pal_backend.core.vocabulary import Medium
from pal_backend.coverage import GIVEN, Given
from pal_backend.errors import ConflictError, InputError, NotFoundError
from pal_backend.exports.archive import archive
from pal_backend.exports.loader import loader
from pal_backend.exports.snapshot import Made, Snapshot
from pal_backend.given_features import given_features
from pal_backend.pool_content import medium_of
from pal_backend.pool_index import load_images
from pal_backend.store.version_files import Version

CHECKED = 64
"""Samples whose published features the exported model has to give again."""
TOLERANCE = 0.01
"""Largest difference that is allowed, where columns have a standard deviation of 1: another processor rounds in another way."""
WORDS = {
    "small": "the network small",
    "pca": "PCA as a linear layer",
    "features": "a linear head on features from a file",
}
SMALLER = (
    "turned upright, laid on white where transparent, made to fit the square with Lanczos, the rest filled with the mean "
    "colour of its edge; grey pools have one channel"
)


class Portable(nn.Module):
    """Float images (B, C, S, S) in [0, 1], or features (B, D'), to the features of a version, float (B, D).

    Args:
        network: in evaluation mode.
        head: a linear map of what it sees, or None.
        centre, factor: ``(seen - centre) * factor``; None leaves it as it is.
    """

    def __init__(
        self, network: nn.Module, head: nn.Linear | None = None, scaled: tuple[Tensor, Tensor] | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self.head = head
        self.centre: Tensor | None
        self.factor: Tensor | None
        self.register_buffer("centre", None if scaled is None else scaled[0].float())
        self.register_buffer("factor", None if scaled is None else scaled[1].float())
        self.eval().requires_grad_(requires_grad=False)

    def forward(self, images: Tensor) -> Tensor:
        """Features."""
        found: Tensor = self.network(images)
        if self.head is not None:
            found = self.head(found)
        return found if self.centre is None or self.factor is None else (found - self.centre) * self.factor


@dataclass(frozen=True)
class _Subject:
    """A version with what it sees: uint8 images (N, S, S, C), or features made elsewhere, float32 (N, D')."""

    version: Version
    seen: NDArray[np.uint8] | NDArray[np.float32]
    model: Portable
    spec: str


def as_model(snapshot: Snapshot) -> Made:
    """A zip of ``model.safetensors``, ``config.json``, ``load.py`` and ``model.pt2`` (left out, with the reason in the
    config, where torch cannot export the network).

    Raises:
        NotFoundError: there is no model version yet.
        InputError: the version has no model, since its features came from a file.
        ConflictError: the model cannot be made again as it was, since backbone or pool have changed.
        PalError: the backbone or its weights cannot be used.
    """
    subject = _subject(snapshot)
    difference = _difference(subject)
    network, tensors = _described(subject)
    program, problem = _program(subject)
    version, (_, *shape) = subject.version, subject.seen.shape
    side, channels = (shape[0], shape[-1]) if len(shape) == 3 else (1, shape[0])
    features = int(version.features.shape[1])
    config = {
        "project": snapshot.project.name,
        "version": version.id,
        "made by": version.recipe if version.recipe != GIVEN else version.note,
        "made from answers": version.made_from_answers,
        "input": {"channels": channels, "side": side, "range": [0, 1], "made small": SMALLER}
        if side > 1
        else {"features": channels},
        "features": features,
        "network": network,
        "check": {"samples": min(CHECKED, len(subject.seen)), "largest difference": round(difference, 7)},
        "torch": torch.__version__,
        **({"no torch.export program": problem} if problem else {}),
    }
    about = {
        "project": snapshot.project.name,
        "version": version.id,
        "channels": channels,
        "side": side,
        "features": features,
    }
    files = {
        "model.safetensors": save({name: value.contiguous() for name, value in tensors.items()}),
        "config.json": json.dumps(config, indent=1).encode(),
        "load.py": loader(network, **about).encode(),
        **({"model.pt2": program} if program else {}),
    }
    without = "" if program else ", without a torch.export program"
    what = WORDS.get(network["kind"], str(network.get("model", "")))
    return Made(archive(files, "model"), f"{what}, to {features:,} numbers{without}")


def _subject(snapshot: Snapshot) -> _Subject:
    name, stores = snapshot.project.name, snapshot.stores
    if snapshot.version is None:
        raise NotFoundError(f"project {name} has no model version yet; taking in the pool makes one")
    version = stores.versions(name).load(snapshot.version)
    if medium_of(stores.artefacts, name) is Medium.TEXT:
        raise InputError(
            f"version {version.id} has no model that can leave: {name} holds texts, whose words or function of yours give "
            "the features; expected images; take the embeddings home instead"
        )
    row = {sample.id: number for number, sample in enumerate(snapshot.samples)}
    if any(sample not in row for sample in version.sample_ids):
        raise ConflictError(
            f"version {version.id} of {name} has samples that the pool lacks; expected its pool; restore it"
        )
    rows = [row[sample] for sample in version.sample_ids]
    images, choice = (
        load_images(stores.artefacts, name)[rows],
        settled(snapshot.project, stores, snapshot.operator).choice,
    )
    snapshot.progress({"doing": "making the network"})
    if version.recipe == GIVEN:
        return _Subject(version, images, *_as_it_came(version, images, choice, snapshot.device))
    weights, spec = stores.versions(name).weights_of(version.id), str(version.metrics.get("backbone", SMALL))
    source = BackboneName.parse(spec).source
    if weights is None or (
        spec != choice.backbone and source is Source.FACTORY
    ):  # a version must not say what is imported
        raise ConflictError(
            f"version {version.id} was made with the backbone {spec!r:.80}, which the project does not name any more; expected "
            "it; choose it again with `pal init --backbone`"
        )
    seen: NDArray[Any] = images
    if source is Source.FEATURES:
        seen = given_features(Path(BackboneName.parse(spec).name), [snapshot.samples[at] for at in rows])
    return _Subject(version, seen, _trained(weights, seen, spec), spec)


def _trained(weights: bytes, seen: NDArray[Any], spec: str) -> Portable:
    """The network and head of a training, with the scales that were kept beside them."""
    tensors = load(weights)
    make = given if BackboneName.parse(spec).source is Source.FEATURES else backbone(spec)
    network = make(seen.shape[-1], seen.shape[1], torch.Generator())
    tuning = Tuning.HEAD if any(name.startswith("head.") for name in tensors) else Tuning.FULL
    model = Model(network, tuning, 1, torch.Generator())
    if "features.centre" not in tensors or not model.restore(weights):
        raise ConflictError(
            f"the weights do not fit {spec}; expected those of that network; restore the version's folder"
        )
    return Portable(model.network, model.head, (tensors["features.centre"], 1.0 / tensors["features.scale"]))


def _as_it_came(version: Version, images: NDArray[np.uint8], choice: Choice, device: str) -> tuple[Portable, str]:
    """The network, or the principal components, of a version that no training made."""
    found = Given.of(choice, images)
    if found.file is not None or version.note.startswith("the features of "):
        raise InputError(
            f"version {version.id} has no model: it is {version.note}; expected a network; take the embeddings home instead"
        )
    if found.note != version.note:
        raise ConflictError(
            f"version {version.id} is {version.note!r:.80}, but the project is set to {found.note!r:.80}; expected the same; "
            "let workers take in the pool again, then export"
        )
    fitted_on = version.metrics.get("fitted_on")
    fitted_on = fitted_on if isinstance(fitted_on, int) else None
    if found.network is None:
        return Portable(_components(images[:fitted_on])), "pca"
    scaled = untrained(images, found.network, device=device, fitted_on=fitted_on)
    return Portable(
        found.network.cpu(), None, (torch.from_numpy(scaled.centre), torch.from_numpy(scaled.factor))
    ), choice.backbone


def _components(images: NDArray[np.uint8]) -> nn.Sequential:
    """Principal components as a network: block means, then a linear layer."""
    found, (_, side, _, channels) = Components.of(images), images.shape
    small = side // found.block(side)
    # The components were fitted on (s, s, C), a network has (C, s, s).
    weight = (found.pca.components_ * found.signs[:, None]).reshape(-1, small, small, channels)
    weight = np.ascontiguousarray(weight.transpose(0, 3, 1, 2).reshape(len(weight), -1))
    mean = found.pca.mean_.reshape(small, small, channels).transpose(2, 0, 1).reshape(-1)
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(weight))
        linear.bias.copy_(torch.from_numpy(-weight @ mean))
    return nn.Sequential(nn.AvgPool2d(found.block(side)), nn.Flatten(), linear)


@torch.inference_mode()
def _difference(subject: _Subject) -> float:
    """Largest difference from the published features, over samples spread evenly.

    Raises:
        ConflictError: it is too large.
    """
    rows = np.unique(np.linspace(0, len(subject.seen) - 1, min(CHECKED, len(subject.seen))).astype(int))
    images = floats(torch.from_numpy(np.ascontiguousarray(subject.seen[rows])))
    difference = float(np.abs(subject.model(images).numpy() - subject.version.features[rows]).max())
    if not difference <= TOLERANCE:
        raise ConflictError(
            f"the model of version {subject.version.id} gives features that are off by {difference:.3g}; expected at most "
            f"{TOLERANCE}, so pool or weights have changed since; export the embeddings, or train anew"
        )
    return difference


def _described(subject: _Subject) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What ``config.json`` says of the network, and all tensors by name."""
    model, network = subject.model, subject.model.network
    about: dict[str, Any] = {"head": model.head is not None, "scaled": model.centre is not None}
    tensors = {f"{name}": value for name, value in model.state_dict().items() if not name.startswith("network.")}
    inner: nn.Module = network
    if isinstance(network, SmallConvNet):
        inner = network.body
        layers = [layer for layer in network.body if isinstance(layer, nn.Conv2d)]
        blocks = [[c.in_channels, c.out_channels, c.kernel_size[0], c.stride[0]] for c in layers]
        about |= {"kind": "small", "blocks": blocks}
    elif isinstance(network, nn.Sequential) and subject.spec == "pca":
        pool, linear = cast("nn.AvgPool2d", network[0]), cast("nn.Linear", network[2])
        about |= {"kind": "pca", "block": pool.kernel_size, "linear": [linear.in_features, linear.out_features]}
    elif isinstance(network, Adapted):
        inner = network.body
        about |= _library(subject.spec, network)
        tensors |= {"mean": network.mean, "std": network.std}
    elif BackboneName.parse(subject.spec).source is Source.FEATURES:
        about |= {"kind": "features"}
    else:
        name = BackboneName.parse(subject.spec)
        kind = "factory" if name.source is Source.FACTORY else "plugin"
        about |= {"kind": kind, "model": name.name, "channels": subject.seen.shape[-1], "side": subject.seen.shape[1]}
    return about, {**tensors, **{f"network.{name}": value for name, value in inner.state_dict().items()}}


def _library(spec: str, network: Adapted) -> dict[str, Any]:
    """How torchvision or timm make the network."""
    name = BackboneName.parse(spec)
    about: dict[str, Any] = {"kind": str(name.source), "model": name.name, "enlarged": network.side}
    if name.source is Source.TORCHVISION:
        from torchvision import models

        with torch.device("meta"):
            about["classifier"] = classifier(models.get_model(name.name, weights=None))
    stem = getattr(network.body, "conv1", None)
    if isinstance(getattr(network.body, "maxpool", None), nn.Identity) and isinstance(stem, nn.Conv2d):
        about |= {"stem": [stem.in_channels, stem.out_channels], "stem_bias": stem.bias is not None}
    return about


def _program(subject: _Subject) -> tuple[bytes, str]:
    """A torch.export program that takes any number of images, or why there is none."""
    images = floats(torch.from_numpy(np.ascontiguousarray(subject.seen[:2])))
    if len(images) < 2:
        return b"", "it takes two samples to make one"
    buffer = io.BytesIO()
    try:
        with torch.enable_grad():  # what only looks goes through a library's network in parts, as no program can
            program = torch.export.export(subject.model, (images,), dynamic_shapes=({0: torch.export.Dim("batch")},))
        torch.export.save(program, buffer)
    except Exception as problem:  # somebody's network may be anything
        return b"", f"{type(problem).__name__}: {problem!s:.300}"
    return buffer.getvalue(), ""
