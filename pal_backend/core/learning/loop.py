"""A training under way: batches, views, loss, step; with its place, so that it can be kept and taken up again."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from pal_backend.core.learning.backbones import MakeBackbone, Tuning
from pal_backend.core.learning.batches import Batch, epoch
from pal_backend.core.learning.checkpoint import (
    Checkpoint,
    CheckpointError,
    optimiser_tensors,
    prior_of,
    prior_tensors,
    restore_optimiser,
)
from pal_backend.core.learning.graph import TrainingGraph
from pal_backend.core.learning.model import Model, features_of, floats
from pal_backend.core.learning.norms import statistics_of, take_over
from pal_backend.core.learning.objectives import GraphBatch, objective
from pal_backend.core.learning.precision import has_bfloat16, layout
from pal_backend.core.learning.ranks import ALONE, Ranks, add_up_gradients, anyone, gathered, part_of
from pal_backend.core.learning.relations import edges_of
from pal_backend.core.learning.schedule import factor
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.learning.views import PRESETS, views

Positives = Callable[[NDArray[np.float32]], sparse.csr_array]
VIEWS = 2


@dataclass
class Place:
    """Where a training is."""

    epoch: int = 0
    """Epochs finished."""
    batch: int = 0
    """Batches done of the epoch under way."""
    step: int = 0
    steps: int = 1
    """Expected in all; known after the first epoch is planned."""
    plan: dict[str, Any] = field(default_factory=dict)
    """Random state from which the batches of the epoch under way were drawn."""
    sums: dict[str, float] = field(default_factory=dict)
    """Of the losses and positives of the epoch under way."""
    history: list[dict[str, float]] = field(default_factory=list)
    """Means of the finished epochs."""
    seconds: float = 0.0
    warm: bool = False
    sittings: int = 1
    """Processes that worked on it."""


@dataclass
class Run:
    """A training under way."""

    images: Tensor
    """uint8 (N, S, S, C), or features float32 (N, D), on the device: small images fit, and fetching a batch is one indexing."""
    graph: TrainingGraph
    settings: TrainingSettings
    model: Model
    optimiser: torch.optim.Optimizer
    rng: np.random.Generator
    noise: torch.Generator
    positives: Positives | None
    place: Place
    digest: str
    narrow: bool
    """Whether the network computes in bfloat16."""
    refreshed: bool = False
    ranks: Ranks = ALONE

    @classmethod
    def start(
        cls,
        images: NDArray[np.uint8] | NDArray[np.float32],
        graph: TrainingGraph,
        settings: TrainingSettings,
        device: torch.device,
        *,
        backbone: MakeBackbone,
        tuning: Tuning,
        positives: Positives | None,
        warm_start: bytes | None,
        ranks: Ranks = ALONE,
    ) -> Run:
        """Before the first step."""
        initial = torch.Generator().manual_seed(settings.seed)
        network = backbone(images.shape[-1], images.shape[1], initial)
        model = Model(network, tuning, settings.embedding, initial, normalised=settings.recipe.normalised)
        take_over(model)
        warm = warm_start is not None and model.restore(warm_start)
        model.to(device).to(memory_format=layout(device))
        rng = np.random.default_rng(settings.seed)
        narrow = has_bfloat16(device) if settings.narrow is None else settings.narrow
        return cls(
            images=torch.from_numpy(np.ascontiguousarray(images)).to(device),
            graph=graph,
            settings=settings,
            model=model,
            optimiser=torch.optim.AdamW(
                model.learning(), lr=settings.recipe.learning_rate, weight_decay=settings.weight_decay
            ),
            rng=rng,
            noise=torch.Generator(device).manual_seed(settings.seed + 1),
            positives=positives,
            place=Place(plan=dict(rng.bit_generator.state), warm=warm),
            digest=_digest(images, graph, replace(settings, narrow=narrow), model),
            narrow=narrow,
            ranks=ranks,
        )

    def epoch(self, should_stop: Callable[[], bool], keep: Callable[[], None]) -> dict[str, Any] | None:
        """What is left of the epoch under way; None if it was stopped. ``keep`` is called between steps."""
        place, started, shown = self.place, time.perf_counter(), 0
        batches = self._plan()
        while place.batch < len(batches):
            if anyone(should_stop(), self.ranks):
                return None
            self._step(batches[place.batch])
            shown += len(batches[place.batch].nodes) * VIEWS
            place.batch += 1
            keep()
        means = {name: value / len(batches) for name, value in place.sums.items()}
        place.history.append(means)
        place.epoch, place.batch, place.sums = place.epoch + 1, 0, {}
        place.plan = dict(self.rng.bit_generator.state)
        return {
            "loss": means["loss"],
            "parts": {name: value for name, value in means.items() if name not in {"loss", "positives"}},
            "positives": means["positives"],
            "images_per_second": shown / (time.perf_counter() - started),
        }

    def _plan(self) -> list[Batch]:
        """The batches of the epoch under way, drawn again if it was interrupted."""
        place, settings = self.place, self.settings
        every = settings.recipe.neighbours.refresh
        due = every and place.epoch and place.epoch % every == 0
        if self.positives is not None and due and place.batch == 0:
            self.graph = self.graph.with_prior(
                self.positives(features_of(self.model, self.images, ranks=self.ranks).numpy())
            )
            self.refreshed = True
        self.rng.bit_generator.state = place.plan
        batches = list(epoch(self.graph, settings.batch, self.rng, settings.recipe.shares))
        place.steps = max(place.steps, len(batches) * settings.epochs)
        return batches

    def _step(self, drawn: Batch) -> None:
        recipe, device, place = self.settings.recipe, self.images.device, self.place
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.learning_rate * factor(place.step / place.steps)
        self.model.train()
        count = VIEWS * len(drawn.nodes)
        uniform = torch.cat([torch.arange(drawn.uniform) + view * len(drawn.nodes) for view in range(VIEWS)]).to(device)
        own = part_of(len(drawn.nodes), drawn.uniform, VIEWS, self.ranks)
        rows = own.rows.to(device)
        seen = self._seen(drawn.nodes, rows)
        with (
            self._own_randomness(),
            statistics_of(self.model, own.uniform.to(device), self.ranks),
            torch.autocast(device.type, torch.bfloat16, enabled=self.narrow),
        ):
            embeddings = self.model(seen)
        Z = gathered(embeddings.float(), rows, count, self.ranks)
        edges = edges_of(self.graph, drawn, VIEWS, importance=recipe.importance)
        i, j, weights = (torch.from_numpy(part).to(device) for part in edges)
        terms = objective(recipe.objective)(Z, GraphBatch(i, j, weights, uniform), recipe)
        self.optimiser.zero_grad(set_to_none=True)
        terms.loss.backward()  # type: ignore[no-untyped-call]
        add_up_gradients(self.model.learning(), self.ranks)
        self.optimiser.step()
        place.step += 1
        for name, value in terms._asdict().items():
            place.sums[name] = place.sums.get(name, 0.0) + float(value.detach())
        positives = float((edges.weights > 0).sum()) / count
        place.sums["positives"] = place.sums.get("positives", 0.0) + positives

    def _seen(self, nodes: NDArray[np.int64], rows: Tensor) -> Tensor:
        """Views of samples, of all first views before all second ones those of ``rows``."""
        batch = floats(self.images[torch.from_numpy(nodes).to(self.images.device)[rows % len(nodes)]])
        if batch.ndim == 2:  # features made elsewhere: there is nothing to draw views of
            return batch
        augmentation = PRESETS[self.settings.recipe.augmentation]
        drawn = views(
            batch, augmentation, self.noise, of=VIEWS * len(nodes), rows=rows if self.ranks.size > 1 else None
        )
        return drawn.contiguous(memory_format=layout(drawn.device))

    @contextmanager
    def _own_randomness(self) -> Iterator[None]:
        """Dropout draws from torch's global state and from nowhere else: for this step it follows from seed, step and rank."""
        device = self.images.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(self.settings.seed * 1_000_003 + self.place.step + (self.ranks.rank << 55))
            yield

    def checkpoint(self) -> bytes:
        """All of it, as a file."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= optimiser_tensors(self.optimiser)
        tensors["noise"] = self.noise.get_state()
        if self.refreshed:
            tensors |= prior_tensors(self.graph.prior)
            tensors["precision"] = torch.tensor(self.graph.precision, dtype=torch.float64)
        return Checkpoint(tensors, asdict(self.place), self.digest).to_bytes()

    def resume(self, data: bytes) -> None:
        """Go on from a checkpoint.

        Raises:
            CheckpointError: it is damaged, or belongs to another training.
        """
        kept = Checkpoint.from_bytes(data, self.digest)
        try:
            self._take(kept.tensors, Place(**kept.place))
        except (KeyError, TypeError, ValueError, RuntimeError) as problem:
            raise CheckpointError(f"this checkpoint is damaged ({problem!s:.80}); start anew without it") from None

    def _take(self, tensors: dict[str, Tensor], place: Place) -> None:
        self.model.load_state_dict(
            {name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")}
        )
        restore_optimiser(self.optimiser, tensors)
        self.noise.set_state(tensors["noise"])
        self.rng.bit_generator.state = place.plan  # refuses what is no state
        self.place = replace(place, sittings=place.sittings + 1)
        if "precision" in tensors:
            prior = prior_of(tensors, self.graph.size)
            self.graph = replace(self.graph, prior=prior, precision=float(tensors["precision"]))
            self.refreshed = True


def _digest(
    images: NDArray[np.uint8] | NDArray[np.float32], graph: TrainingGraph, settings: TrainingSettings, model: Model
) -> str:
    """Of everything that decides what a training gives."""
    digest = hashlib.sha256(f"{settings.decisive}|{model.tuning}|{images.shape}".encode())
    prior = graph.prior
    for part in (
        images, prior.data, prior.indices, prior.indptr, graph.pairs, graph.signed, graph.components, graph.cannot
    ):  # fmt: skip
        digest.update(np.ascontiguousarray(part).data)
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()
