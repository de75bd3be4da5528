"""The classes that only the simulated annotator and the final scoring may know."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pal_backend.core.posterior import Posterior
from pal_backend.core.vocabulary import SampleId


def from_file(path: Path) -> dict[str, int]:
    """File name to class, as ``samples.write_digits`` leaves it."""
    found: dict[str, int] = json.loads(path.read_text())
    return found


@dataclass(frozen=True)
class Score:
    """How well groups fit the hidden classes."""

    ari: float
    nmi: float
    accuracy: float
    """Share of samples that have the most frequent class of their group."""
    groups: int


def score(posterior: Posterior, labels: Mapping[SampleId, int]) -> Score:
    """Score the most probable group of every sample."""
    from pal_backend.core import evaluation

    groups, _ = posterior.assignment()
    truth = np.array([labels[sample] for sample in posterior.sample_ids])
    return Score(
        ari=round(evaluation.ari(truth, groups), 4),
        nmi=round(evaluation.nmi(truth, groups), 4),
        accuracy=round(evaluation.majority_accuracy(truth, groups), 4),
        groups=len(np.unique(groups)),
    )
