"""What a training with a second encoder has beside its network: that encoder, a predictor, a queue of keys, a classifier."""

from __future__ import annotations

import copy
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pal_backend.core.learning.backbones import Backbone, Projector, initialise
from pal_backend.core.learning.batches import Batch
from pal_backend.core.learning.graph import TrainingGraph
from pal_backend.core.learning.keys import Queue, negatives, rivals
from pal_backend.core.learning.model import Model
from pal_backend.core.recipes import Recipe


class Beside(NamedTuple):
    """What the second encoder makes of the R rows of a batch of B samples: first views before second ones."""

    predictions: Tensor
    """Of the predictor, from the embeddings, float32 (R, K)."""
    keys: Tensor
    """Embeddings of the second encoder, float32 (R, K), without gradient."""
    queue: Tensor
    """Its keys of this batch and earlier ones, of each view, float32 (2, M, K); M is 0 where none are kept."""
    negatives: Tensor
    """How much each of them counts as a negative, float32 (B, M)."""
    logits: Tensor
    """Of the classifier, from the features of the first views, float32 (B, C)."""
    groups: Tensor
    """Of each sample, int64 (B,); -1 for none."""
    rivals: Tensor
    """The groups that answers keep apart from each sample's, bool (B, C)."""


class Momentum(nn.Module):
    """A second encoder that follows a network, and what its losses need.

    Args:
        model: the network at the beginning, which the second encoder is a copy of.
        width: K, of its embeddings.
        recipe: says how many keys are kept, and how slowly the second encoder follows.
        graph: its components are the groups.
        generator: draws the initial weights of predictor and classifier, on the CPU.

    Source:
        Caramalau et al. 2022 (arXiv 2301.01531), section 3; second encoder and predictor are those of Grill et al. 2020
        (arXiv 2006.07733), section 3.1.
    """

    def __init__(
        self, model: Model, width: int, recipe: Recipe, graph: TrainingGraph, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.least, self.repulsion = recipe.momentum, recipe.repulsion
        self.encoder = copy.deepcopy(model).requires_grad_(requires_grad=False)
        self.predictor = Projector(width, width, generator, normalised=True)
        self.queue = Queue(2, min(recipe.queue, graph.size), width)
        self.classifier = nn.Linear(_features(model), max(1, len(graph.sizes)))
        initialise(self.classifier, generator)

    def learning(self) -> list[nn.Parameter]:
        """What the optimiser may change."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def beside(self, seen: Tensor, features: Tensor, embeddings: Tensor, batch: Batch, graph: TrainingGraph) -> Beside:
        """What a batch looks like from here; its keys join the queue, where their samples keep them from being negatives.

        Args:
            seen: two views of each sample, float (2B, C, S, S), all first views before all second ones.
            features, embeddings: what the network makes of them, (2B, D) and (2B, K).
            batch: the samples.
            graph: as it is by now; its components are those of the beginning.
        """
        size, device = len(batch.nodes), seen.device
        with torch.no_grad():
            keys = self.encoder(seen).float()
            self.queue.put(keys.view(2, size, -1), torch.from_numpy(batch.nodes).to(device))
        counted = negatives(graph, batch.nodes, self.queue.samples.cpu().numpy(), self.repulsion)
        return Beside(
            predictions=self.predictor(embeddings).float(),
            keys=keys,
            queue=self.queue.keys.clone(),  # the next batch overwrites it, and a gradient may still need it
            negatives=torch.from_numpy(counted).to(device),
            logits=self.classifier(features[:size]).float(),
            groups=torch.from_numpy(graph.components[batch.nodes]).to(device),
            rivals=torch.from_numpy(rivals(graph, batch.nodes) > 0).to(device),
        )

    @torch.no_grad()
    def follow(self, model: Model, done: float) -> None:
        """One step after the network, when a share ``done`` of all steps is done."""
        m = momentum(self.least, done)
        for own, other in zip(self.encoder.parameters(), model.parameters(), strict=True):
            own.lerp_(other, 1.0 - m)


def momentum(least: float, done: float) -> float:
    r"""Share of itself that a second encoder keeps: :math:`1 - (1 - m)(\cos(\pi t) + 1) / 2`, m at t = 0 and 1 at t = 1.

    >>> [round(momentum(0.99, t), 4) for t in (0.0, 0.5, 1.0)]
    [0.99, 0.995, 1.0]
    """
    return 1.0 - (1.0 - least) * (math.cos(math.pi * min(1.0, done)) + 1.0) / 2.0


def _features(model: Model) -> int:
    network: Backbone = model.network  # type: ignore[assignment]
    return network.features
