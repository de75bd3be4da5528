"""``pal evaluate``: how good a model version is, by classes that only the scoring sees, and by answers it was not made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pal_backend.core import evaluation
from pal_backend.core.evaluation import Calibration
from pal_backend.core.learner import Learner
from pal_backend.core.learning.judging import answered_pairs, for_training
from pal_backend.core.neighbours import Space, build_space
from pal_backend.core.vocabulary import Answer, SampleId
from pal_backend.errors import InputError, NotFoundError
from pal_backend.store.artefacts import Artefacts
from pal_backend.store.stores import Stores
from pal_backend.store.version_files import ABOUT, Version, VersionFiles

UNKNOWN = -1
"""Class of a sample of which none is known."""


@dataclass(frozen=True)
class ByClasses:
    """Figures that need the classes; all in 0..1 but ARI, which is about 0 by chance.

    ``probe`` and ``knn`` are accuracies on ``held_out`` samples by a classifier on the frozen features of the others.
    The ARIs are of k-means told the number of classes, and of the groups that the learner finds with the answers of the
    version, over all samples and over those that no answer is about; None without answers.
    """

    samples: int
    classes: int
    held_out: int
    probe: float
    knn: float
    kmeans_ari: float
    beliefs_ari: float | None
    beliefs_ari_unseen: float | None
    groups: int | None


@dataclass(frozen=True)
class Evaluation:
    """What could be measured."""

    version: str
    recipe: str
    answers: int
    by_classes: ByClasses | None
    """None where no classes were given."""
    calibration: Calibration | None
    """Of P(same) on the answered pairs that no training sees; None where there is none."""

    def to_json(self) -> dict[str, Any]:
        """The object that ``pal evaluate --json`` prints."""
        return {
            "version": self.version,
            "recipe": self.recipe,
            "answers": self.answers,
            "by_classes": None if self.by_classes is None else asdict(self.by_classes),
            "calibration": None if self.calibration is None else self.calibration._asdict(),
        }


def load(target: str, stores: Stores | None = None) -> tuple[Version, list[Answer], str]:
    """A version, its answers, and the folder of its images if that is known.

    Args:
        target: the folder of a version, or with ``stores`` the name of a project, whose current version it is.
        stores: of the installation, where ``target`` is a project.

    Raises:
        NotFoundError: it is not there, or there is no version yet.
        InputError: its files are malformed.
    """
    if stores is not None:
        project = stores.projects.get(target)
        versions = stores.versions(target)
        version = versions.load(versions.current_or_fail())
        now = [answer for annotation in stores.answers(target).all() for answer in annotation.answers]
        return version, now, project.pool
    whole = Path(target).resolve()
    if not (whole / ABOUT).exists():
        raise NotFoundError(
            f"{target} holds no {ABOUT}; expected the folder of a finished version, as `pal train --out` writes it"
        )
    files = VersionFiles(Artefacts(str(whole.parent)), whole.name)
    return files.load(), [answer for annotation in files.answers() for answer in annotation.answers], ""


def evaluate(
    version: Version, answers: Sequence[Answer], labels: NDArray[np.int64] | None = None, seed: int = 0
) -> Evaluation:
    """Measure all that can be.

    Args:
        version: N samples with features.
        answers: of people, held-out ones among them.
        labels: int64 (N,), the class of each sample, :data:`UNKNOWN` where it is not known; None for none.
        seed: of the held-out fifth and of k-means.

    Raises:
        InputError: the labels do not fit, or tell nothing apart.
    """
    space = build_space(version.sample_ids, version.features)
    return Evaluation(
        version=version.id,
        recipe=version.recipe,
        answers=len(answers),
        by_classes=None
        if labels is None
        else _by_classes(space, answers, _checked(labels, len(version.features)), seed),
        calibration=_calibration(space, answers),
    )


def labels_of(version: Version, known: dict[SampleId, int]) -> NDArray[np.int64]:
    """The classes in the order of the version's rows, int64 (N,).

    Raises:
        InputError: no sample of the version has one.
    """
    labels = np.asarray([known.get(sample, UNKNOWN) for sample in version.sample_ids], np.int64)
    if (labels == UNKNOWN).all():
        raise InputError(
            "the folder holds no image of this version; expected the images it was made from; give that folder"
        )
    return labels


def groups_of(space: Space, answers: Sequence[Answer]) -> NDArray[np.int64]:
    """The most probable group of each sample, int64 (N,), as a learner in this space believes after the answers."""
    learner = Learner(space)
    learner.set_answers(answers)
    return learner.posterior().assignment()[0]


def seen_in(space: Space, answers: Sequence[Answer]) -> NDArray[np.bool_]:
    """Which samples an answer is about, bool (N,)."""
    asked = {sample for answer in answers for sample in answer.pair}
    return np.asarray([sample in asked for sample in space.sample_ids], bool)


def _checked(labels: NDArray[np.int64], samples: int) -> NDArray[np.int64]:
    if labels.shape != (samples,):
        raise InputError(
            f"labels of shape {labels.shape} do not fit {samples} samples; expected ({samples},), a whole number for each "
            "row of the version"
        )
    classes, counts = np.unique(labels[labels != UNKNOWN], return_counts=True)
    if len(classes) < 2 or counts.sum() < 5:
        raise InputError(
            f"{counts.sum()} samples of {len(classes)} classes tell nothing; expected two classes or more and five samples "
            "or more"
        )
    return labels


def _by_classes(space: Space, answers: Sequence[Answer], labels: NDArray[np.int64], seed: int) -> ByClasses:
    rows = labels != UNKNOWN
    x, y = space.features[rows], labels[rows]
    held = evaluation.held_out_rows(np.ones(len(y), bool), seed)
    groups = groups_of(space, answers)[rows] if answers else None
    return ByClasses(
        samples=len(y),
        classes=len(np.unique(y)),
        held_out=int(held.sum()),
        probe=evaluation.linear_probe(x, y, held),
        knn=evaluation.knn_accuracy(x, y, held),
        kmeans_ari=evaluation.kmeans_ari(x, y, seed),
        beliefs_ari=None if groups is None else evaluation.ari(y, groups),
        beliefs_ari_unseen=None if groups is None else evaluation.ari_unseen(y, groups, seen_in(space, answers)[rows]),
        groups=None if groups is None else len(np.unique(groups)),
    )


def _calibration(space: Space, answers: Sequence[Answer]) -> Calibration | None:
    pairs, same, held = answered_pairs(space.sample_ids, answers)
    if not held.any():
        return None
    learner = Learner(space)
    learner.set_answers(for_training(answers))
    p = learner.posterior().probability_same(pairs[held, 0], pairs[held, 1])
    return evaluation.calibration(p, same[held])
