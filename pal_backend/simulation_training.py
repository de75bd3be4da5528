"""Retraining within ``pal simulate``: after so many answers features are trained on the graph and judged, as the train job does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.evaluation import held_out_rows, linear_probe
from pal_backend.core.learning.judging import judge
from pal_backend.core.learning.retraining import Material, finite, retrain
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.neighbours import Space, build_space
from pal_backend.core.vocabulary import Answer
from pal_backend.errors import InputError


@dataclass(frozen=True)
class Tried:
    """One training: after how many answers, what the judge said, whether the learner moved to it."""

    version: str
    answers: int
    accepted: bool
    log_loss_before: float | None
    log_loss_after: float | None
    seconds: float
    reason: str


@dataclass
class Retraining:
    """Trains every so many answers, and keeps what is not worse on held-out answers.

    Args:
        material: images and network.
        settings: how to train.
        every: answers between two trainings.
        progress: called after each epoch with the state that ``train`` reports.
    """

    material: Material
    settings: TrainingSettings
    every: int = 200
    progress: Callable[[dict[str, Any]], None] = lambda state: None
    version: str = "v0000"
    """In use."""
    tried: list[Tried] = field(default_factory=list)
    _weights: bytes | None = None
    _trained_at: int = 0
    _probes: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.every < 1:
            raise InputError(f"answers between two trainings must be at least 1, found {self.every}")

    def step(self, space: Space, answers: Sequence[Answer]) -> Space | None:
        """Train if it is time; the space to move to, or None if the learner stays where it is.

        Args:
            space: in use.
            answers: all so far.
        """
        if len(answers) - self._trained_at < self.every:
            return None
        self._trained_at = len(answers)
        settings = replace(self.settings, seed=self.settings.seed + len(self.tried))
        trained = retrain(self.material, space, answers, settings, progress=self.progress, warm_start=self._weights)
        judgement = judge(space.features, trained.features, space.sample_ids, answers)
        version = f"v{len(self.tried) + 1:04d}"
        self.tried.append(
            Tried(
                version=version,
                answers=len(answers),
                accepted=judgement.accepted,
                log_loss_before=finite(judgement.old),
                log_loss_after=finite(judgement.new),
                seconds=round(trained.seconds, 3),
                reason=judgement.reason,
            )
        )
        if not judgement.accepted:
            return None
        self.version, self._weights = version, trained.weights
        return build_space(space.sample_ids, trained.features, difficulty=space.difficulty)

    def probe(self, space: Space, labels: NDArray[np.integer]) -> float:
        """Accuracy of a linear probe on a held-out fifth of all samples in the space in use; worked out once a version."""
        if self.version not in self._probes:
            held = held_out_rows(np.ones(len(labels), bool))
            self._probes[self.version] = linear_probe(space.features, labels, held)
        return self._probes[self.version]
