"""The train and ingest jobs in their steps: snapshot, train, judge, publish."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pal_backend import samples
from pal_backend.core.learner import Learner
from pal_backend.core.learning import graph as training_graph, judging, training
from pal_backend.core.neighbours import Space, build_space
from pal_backend.core.vocabulary import Annotation, Answer
from pal_backend.errors import ConflictError, UnavailableError
from pal_backend.store.projects import Project
from pal_backend.store.versions import Version
from worker.agenda import count_components
from worker.bootstrap import Workshop

log = logging.getLogger(__name__)

Progress = Callable[[dict[str, Any]], None]
GIVEN = "given"
"""Recipe of a version that no training made: PCA of the resized pixels."""


@dataclass(frozen=True)
class Snapshot:
    """What a training works on; taken once, so that answers that come meanwhile do not shift under it."""

    project: Project
    version: Version
    space: Space
    images: NDArray[np.uint8]
    annotations: list[Annotation]

    @property
    def answers(self) -> list[Answer]:
        """Every answer of every annotation."""
        return [answer for annotation in self.annotations for answer in annotation.answers]
