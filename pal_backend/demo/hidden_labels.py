"""The classes that only the simulated annotator and the final scoring may know."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from pal_backend.core.posterior import Posterior
from pal_backend.core.vocabulary import SampleId
from pal_backend.errors import InputError
from pal_backend.pool_index import PoolSample


def from_file(path: Path) -> dict[str, int]:
    """File name to class, as ``samples.write_digits`` leaves it."""
    found: dict[str, int] = json.loads(path.read_text())
    return found


def from_folders(paths: Iterable[str]) -> dict[str, int]:
    """Path to the number of the sub-folder it lies in, the usual way to keep labelled images.

    Raises:
        InputError: the images are not in two or more sub-folders.
    """
    folders = {path: PurePosixPath(path).parts[0] if "/" in path else "" for path in paths}
    names = sorted(set(folders.values()))
    if len(names) < 2:
        raise InputError(
            "the simulated annotator has no classes to answer from: expected one sub-folder for each class, "
            "found all images in one; leave --answers away to answer yourself"
        )
    return {path: names.index(folder) for path, folder in folders.items()}


def of_samples(samples: Iterable[PoolSample], classes: Mapping[str, int]) -> dict[SampleId, int]:
    """The class of each sample, from the class of its first file.

    Raises:
        InputError: a sample's file has no class.
    """
    labels: dict[SampleId, int] = {}
    for sample in samples:
        known = next((classes[path] for path in sample.paths if path in classes), None)
        if known is None:
            raise InputError(f"{', '.join(sample.paths)} has no class; every image needs one for a simulated annotator")
        labels[sample.id] = known
    return labels


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
