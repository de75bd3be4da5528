"""Trains a backbone with SimCLR on the similarity graph and computes the features of all images."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from pal_backend.core.learning.backbones import Projector, SmallConvNet
from pal_backend.core.learning.batches import Edges, Shares, epoch, induced, with_views
from pal_backend.core.learning.graph import TrainingGraph
from pal_backend.core.learning.losses.simclr import simclr
from pal_backend.core.learning.views import STRONG, Augmentation, views

Report = Callable[[dict[str, Any]], None]
VIEWS = 2
FORMAT = "pal-small-conv-1"
"""Written into the weights: which network they belong to."""
_WARM_UP = 0.1
"""Share of the steps during which the learning rate rises."""


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    ``epochs`` counts passes in which every sample comes once in a uniform part; with the parts that follow the graph an
    epoch shows about twice as many images.
    """

    epochs: int = 30
    batch: int = 256
    """Samples; rows of the loss are twice as many."""
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    temperature: float = 0.5
    repulsion: float = 2.0
    embedding: int = 128
    """Width of the projector's output."""
    augmentation: Augmentation = STRONG
    shares: Shares = field(default_factory=Shares)
    seed: int = 0
    device: str = "auto"
    """auto (CUDA if there), cpu or cuda."""


@dataclass(frozen=True)
class Trained:
    """What a training made.

    Args:
        weights: the network as a safetensors file; :func:`embed` reads it.
        features: float32 (N, D), of the images as they are, each column with mean 0 and standard deviation 1: the net's
            own scales are accidental, and distances would follow its few strongest columns.
        losses: mean loss of each epoch that was finished.
        seconds: wall-clock time.
        stopped: ended early because it was asked to.
        warm: went on from the weights given.
    """

    weights: bytes
    features: NDArray[np.float32]
    losses: tuple[float, ...]
    seconds: float
    stopped: bool
    warm: bool


def train(
    images: NDArray[np.uint8],
    graph: TrainingGraph,
    settings: TrainingSettings,
    *,
    progress: Report = lambda state: None,
    should_stop: Callable[[], bool] = lambda: False,
    warm_start: bytes | None = None,
) -> Trained:
    """Train on ``images``, uint8 (N, S, S, C), row by row the samples of ``graph``.

    On the CPU the same arguments and number of threads give the same result to the last bit.

    Args:
        images: the pool.
        graph: what is alike.
        settings: how to train.
        progress: called after each epoch with epoch, of, loss, positives (per row) and images_per_second.
        should_stop: asked before each step; if true the training ends, and its result is marked.
        warm_start: weights of an earlier training; not used if they are of another shape.

    Raises:
        ValueError: images and graph are of different sizes.
    """
    if len(images) != graph.size:
        raise ValueError(f"{len(images)} images do not fit a graph of {graph.size} samples")
    started = time.perf_counter()
    run = _Run.start(images, graph, settings, warm_start)
    losses: list[float] = []
    for number in range(1, settings.epochs + 1):
        state = run.epoch(should_stop)
        if state is None:
            break
        losses.append(state["loss"])
        progress({"epoch": number, "of": settings.epochs, **state})
    features = _features(run.network, run.images)
    centre, scale = features.mean(dim=0), features.std(dim=0, correction=0) + 1e-6
    tensors = {name: value.detach().cpu().contiguous() for name, value in run.state().items()}
    weights = save(
        {**tensors, "features.centre": centre, "features.scale": scale},
        {"about": json.dumps({"format": FORMAT, "images": list(images.shape[1:])})},  # one key: their order is random
    )
    stopped = len(losses) < settings.epochs
    return Trained(
        weights, ((features - centre) / scale).numpy(), tuple(losses), time.perf_counter() - started, stopped, run.warm
    )


def embed(weights: bytes, images: NDArray[np.uint8], device: str = "auto") -> NDArray[np.float32]:
    """Features, float32 (N, D), of images, uint8 (N, S, S, C), under weights that :func:`train` returned.

    The columns are scaled as for the images of the training, so that images which came later lie in the same space.

    Raises:
        ValueError: the weights are damaged, or were trained on images with another number of channels.
    """
    network = SmallConvNet(images.shape[-1], torch.Generator())
    if not _restore(network, weights, "network."):
        raise ValueError("these weights do not fit the images: damaged, or trained on another number of channels")
    place = pick_device(device)
    features = _features(network.to(place), torch.from_numpy(np.ascontiguousarray(images)).to(place))
    tensors = load(weights)
    scaled: NDArray[np.float32] = ((features - tensors["features.centre"]) / tensors["features.scale"]).numpy()
    return scaled


def pick_device(name: str) -> torch.device:
    """auto: CUDA if there is a device, else the CPU."""
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


@dataclass
class _Run:
    """A training under way."""

    images: Tensor
    """uint8 (N, S, S, C) on the device: small images fit, and fetching a batch is one indexing."""
    graph: TrainingGraph
    settings: TrainingSettings
    network: SmallConvNet
    projector: Projector
    optimiser: torch.optim.Optimizer
    rng: np.random.Generator
    noise: torch.Generator
    warm: bool
    step: int = 0
    steps: int = 1
    """Expected in all; known after the first epoch is planned."""

    @classmethod
    def start(
        cls, images: NDArray[np.uint8], graph: TrainingGraph, settings: TrainingSettings, warm_start: bytes | None
    ) -> _Run:
        device = pick_device(settings.device)
        initial = torch.Generator().manual_seed(settings.seed)
        network = SmallConvNet(images.shape[-1], initial)
        projector = Projector(network.features, settings.embedding, initial)
        warm = warm_start is not None and _restore(network, warm_start, "network.")
        if warm and warm_start is not None:
            _restore(projector, warm_start, "projector.")
        network.to(device).to(memory_format=torch.channels_last)
        projector.to(device)
        parameters = [*network.parameters(), *projector.parameters()]
        optimiser = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)
        return cls(
            images=torch.from_numpy(np.ascontiguousarray(images)).to(device),
            graph=graph,
            settings=settings,
            network=network,
            projector=projector,
            optimiser=optimiser,
            rng=np.random.default_rng(settings.seed),
            noise=torch.Generator(device).manual_seed(settings.seed + 1),
            warm=warm,
        )

    def epoch(self, should_stop: Callable[[], bool]) -> dict[str, float] | None:
        """One epoch; None if it was stopped."""
        started = time.perf_counter()
        batches = list(epoch(self.graph, self.settings.batch, self.rng, self.settings.shares))
        self.steps = max(self.steps, len(batches) * self.settings.epochs)
        loss, positives, shown = 0.0, 0.0, 0
        for nodes in batches:
            if should_stop():
                return None
            edges = with_views(induced(self.graph, nodes), len(nodes), VIEWS, self.graph.view)
            loss += self._step(nodes, edges)
            rows = len(nodes) * VIEWS
            positives += float((edges.weights > 0).sum()) / rows
            shown += rows
        return {
            "loss": loss / len(batches),
            "positives": positives / len(batches),
            "images_per_second": shown / (time.perf_counter() - started),
        }

    def _step(self, nodes: NDArray[np.int64], edges: Edges) -> float:
        settings, device = self.settings, self.images.device
        for group in self.optimiser.param_groups:
            group["lr"] = settings.learning_rate * _schedule(self.step / self.steps)
        batch = _floats(self.images[torch.from_numpy(nodes).to(device)])
        seen = views(batch.repeat(VIEWS, 1, 1, 1), settings.augmentation, self.noise)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            embeddings = self.projector(self.network(seen.contiguous(memory_format=torch.channels_last)))
        rows, columns, weights = (torch.from_numpy(part).to(device) for part in edges)
        loss = simclr(
            embeddings.float(), rows, columns, weights, temperature=settings.temperature, repulsion=settings.repulsion
        )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.step += 1
        return float(loss.detach())

    def state(self) -> dict[str, Tensor]:
        """All weights, by name."""
        return {
            **{f"network.{name}": value for name, value in self.network.state_dict().items()},
            **{f"projector.{name}": value for name, value in self.projector.state_dict().items()},
        }


def _schedule(done: float) -> float:
    """Factor of the learning rate after a share of the steps: linear warm-up, then half a cosine down to 0."""
    if done < _WARM_UP:
        return (done + 1e-3) / (_WARM_UP + 1e-3)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, (done - _WARM_UP) / (1.0 - _WARM_UP))))


def _floats(images: Tensor) -> Tensor:
    """uint8 (B, S, S, C) to float (B, C, S, S) in [0, 1]."""
    return images.permute(0, 3, 1, 2).float().div(255.0)


@torch.inference_mode()
def _features(network: SmallConvNet, images: Tensor, block: int = 1024) -> Tensor:
    """What the network makes of uint8 images (N, S, S, C), float32 (N, D) on the CPU."""
    network.eval()
    return torch.cat([network(_floats(part)).float().cpu() for part in torch.split(images, block)])


def _restore(module: torch.nn.Module, weights: bytes, prefix: str) -> bool:
    """Load the tensors under ``prefix`` if every one of them fits; otherwise change nothing."""
    try:
        tensors = load(weights)
    except SafetensorError:
        return False
    state = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    shapes = {name: value.shape for name, value in module.state_dict().items()}
    if {name: value.shape for name, value in state.items()} != shapes:
        return False
    module.load_state_dict(state)
    return True
