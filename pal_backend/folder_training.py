"""``pal train``: a model version from a folder of images and a file of answers, without Label Studio and without Redis.

The version's folder is that of :mod:`pal_backend.store.version_files`. While it trains, the folder holds a checkpoint
instead of ``version.json``; run again with the same arguments it goes on there, with the result of an unbroken run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pal_backend.class_folders import ImageFolder, read_folder
from pal_backend.core.choice import Choice
from pal_backend.core.learner import Learner
from pal_backend.core.learning.checkpoint import CheckpointError
from pal_backend.core.learning.judging import judge
from pal_backend.core.learning.retraining import metrics_of
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.learning.training import Trained
from pal_backend.core.neighbours import Space, build_space
from pal_backend.core.recipes import pretext_of, recipe
from pal_backend.core.vocabulary import Annotation, Answer
from pal_backend.coverage import Given
from pal_backend.errors import ConflictError, InputError, NotFoundError
from pal_backend.material import material_of
from pal_backend.pretexts import difficulty_for
from pal_backend.rank_processes import processes_for, retrain_on
from pal_backend.simulation import Annotator, answered
from pal_backend.store.artefacts import Artefacts
from pal_backend.store.records import load_lines
from pal_backend.store.version_files import ABOUT, Version, files_of

CHECKPOINT = "checkpoint.safetensors"
ID = "v0001"
"""Of the version; v0000 would be the features before any training."""
MAX_ANSWER_BYTES = 1_000_000_000
"""Of a file of answers: about five million annotations."""


@dataclass(frozen=True)
class Wanted:
    """What to train.

    Args:
        images: the folder.
        out: where the version goes.
        choice: recipe, backbone, weights, tuning.
        answers: a file of answers, one annotation a line; None for none.
        simulated: make so many answers from class folders; 0 for none.
        epochs: of the training.
        batch: images in one.
        seed: of the training.
        device: "auto", "cpu" or "cuda".
        side: of the images the network sees, in pixels.
        processes: that train together; 0 is one for each CUDA device, and one without.
    """

    images: Path
    out: Path
    choice: Choice
    answers: Path | None = None
    simulated: int = 0
    epochs: int = 30
    batch: int = 256
    seed: int = 0
    device: str = "auto"
    side: int = 32
    processes: int = 0


@dataclass(frozen=True)
class Outcome:
    """What came of it. ``stopped`` before the end leaves a checkpoint and no version."""

    version: Version
    set_aside: int
    """Files that could not be used."""
    answers: int
    """Pairs on which somebody took a side, or was unsure."""
    unknown: int
    """Of them, pairs with a sample that the folder does not hold."""
    resumed: bool
    stopped: bool
    accepted: bool
    """Whether it explains the held-out answers no worse than the features before training."""

    def to_json(self, out: Path) -> dict[str, Any]:
        """The object that ``pal train --json`` prints."""
        own = {name: value for name, value in asdict(self).items() if name != "version"}
        about = {"samples": len(self.version.sample_ids), "recipe": self.version.recipe, "note": self.version.note}
        return {"out": str(out), **about, **own, **self.version.metrics}


@dataclass(frozen=True)
class Reporter:
    """Who is told how far it is."""

    reading: Callable[[int, int], None] = lambda done, of: None
    asking: Callable[[int, int], None] = lambda done, of: None
    epoch: Callable[[dict[str, Any]], None] = lambda state: None
    pretext: Callable[[dict[str, Any]], None] = lambda state: None


def train_folder(
    wanted: Wanted, reporter: Reporter = Reporter(), should_stop: Callable[[], bool] = lambda: False
) -> Outcome:
    """Train, and write the version's folder.

    Raises:
        ConflictError: the folder holds a version already, or a checkpoint of another training.
        UnavailableError: one of several processes died; the last checkpoint is kept.
        PalError: images, answers, recipe, backbone, weights or features cannot be used.
    """
    choice = wanted.choice.check()
    settings = TrainingSettings.of(
        recipe(choice.recipe), epochs=wanted.epochs, batch=wanted.batch, seed=wanted.seed, device=wanted.device
    )
    place = _Place.of(wanted.out)
    annotations = [] if wanted.answers is None else read_answers(wanted.answers)
    folder = read_folder(wanted.images, wanted.side, reporter.reading)
    material = material_of(choice, folder.images, folder.samples)
    space = build_space(folder.ids, Given.of(choice, folder.images).features(folder.samples, wanted.device))
    if wanted.simulated:
        annotations = simulated_answers(space, folder.labels(), wanted.simulated, wanted.seed, reporter.asking)
    answers = [answer for annotation in annotations for answer in annotation.answers]
    unknown = _unknown(answers, folder, wanted.answers)
    kept = place.checkpoint()
    try:
        trained = retrain_on(
            material, space, annotations, settings,
            choice=choice, processes=processes_for(wanted.processes, wanted.device, choice),
            progress=reporter.epoch, should_stop=should_stop, checkpoint=kept, keep=place.keep,
        )  # fmt: skip
    except CheckpointError as problem:
        raise ConflictError(
            f"{wanted.out / CHECKPOINT} cannot be gone on from: {problem}; expected the very images, answers and options "
            "it was begun with; give them again, or another --out"
        ) from None
    version, accepted = _judged(trained, space, annotations, settings, choice)
    stopped, pretext = trained.stopped, pretext_of(choice.recipe, "")
    if pretext and not stopped:
        losses = difficulty_for(
            pretext, None, folder.ids, folder.images,
            seed=wanted.seed, device=wanted.device, progress=reporter.pretext, should_stop=should_stop,
        )  # fmt: skip
        version = replace(version, difficulty=losses, metrics={**version.metrics, "pretext": pretext})
        stopped = should_stop()
    if not stopped:
        place.finish(version, trained, annotations)
    return Outcome(
        version=version,
        set_aside=len(folder.set_aside),
        answers=len(answers),
        unknown=unknown,
        resumed=kept is not None,
        stopped=stopped,
        accepted=accepted,
    )


def read_answers(path: Path) -> list[Annotation]:
    """The annotations of a file, one JSON object a line, as every version's ``answers.jsonl`` has them.

    Raises:
        NotFoundError: it is not there.
        InputError: it is too large, or a line is malformed; the message names the line.
    """
    try:
        if path.stat().st_size > MAX_ANSWER_BYTES:
            raise InputError(
                f"{path} has {path.stat().st_size / 1e6:.0f} MB; a file of answers may have {MAX_ANSWER_BYTES / 1e6:g} MB"
            )
        data = path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(f"{path} is not there; expected a file of answers, one JSON object a line") from None
    except OSError as problem:
        raise InputError(f"{path} cannot be read ({problem.strerror}); expected a file of answers") from None
    return load_lines(data, str(path), "mend the line")


def simulated_answers(
    space: Space,
    labels: NDArray[np.int64],
    count: int,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> list[Annotation]:
    """Right answers to the pairs that the learner asks about in a space, from hidden labels: for trying out."""
    learner = Learner(space, seed=seed)
    annotator = Annotator(labels, space.index, 0.0, np.random.default_rng((seed, 1)))
    return [
        Annotation(answer.annotation, answer.annotation.number, "", answer.annotator, answer.updated_at, (answer,))
        for answer in answered(learner, annotator, count, progress)
    ]


def _unknown(answers: list[Answer], folder: ImageFolder, file: Path | None) -> int:
    """How many answers are about a sample that is not there.

    Raises:
        InputError: all of them.
    """
    known = set(folder.ids)
    unknown = sum(not known.issuperset(answer.pair) for answer in answers)
    if answers and unknown == len(answers):
        raise InputError(
            f"{file} names no sample of the folder ({answers[0].pair.first}, …); expected ids that are the first 16 hex "
            "digits of the SHA-256 of an image file's content; give the answers that belong to these images"
        )
    return unknown


def _judged(
    trained: Trained, space: Space, annotations: Sequence[Annotation], settings: TrainingSettings, choice: Choice
) -> tuple[Version, bool]:
    """The version, and whether it is not worse than the space it was trained from."""
    answers = [answer for annotation in annotations for answer in annotation.answers]
    judgement = judge(space.features, trained.features, space.sample_ids, answers)
    made_by = {name: value for name, value in asdict(choice).items() if name != "recipe"}
    version = Version(
        id=ID,
        sample_ids=space.sample_ids,
        features=trained.features,
        recipe=settings.recipe.name,
        made_from_answers=len(annotations),
        note=judgement.reason,
        metrics={**metrics_of(trained, judgement, space, answers, settings), **made_by},
    )
    return version, judgement.accepted


class _Place:
    """The folder of the version."""

    def __init__(self, artefacts: Artefacts, name: str) -> None:
        self._artefacts, self._name = artefacts, name

    @classmethod
    def of(cls, out: Path) -> _Place:
        """The folder, which may be there but holds no version.

        Raises:
            InputError: it is a file.
            ConflictError: it holds a version.
        """
        whole = out.resolve()
        if whole.exists() and not whole.is_dir():
            raise InputError(f"{out} is not a folder; --out takes the folder to write")
        if (whole / ABOUT).exists():
            raise ConflictError(f"{out} holds a version already; expected a new folder; give another --out")
        return cls(Artefacts(str(whole.parent)), whole.name)

    def checkpoint(self) -> bytes | None:
        """Where an earlier run came to."""
        try:
            return self._artefacts.read(f"{self._name}/{CHECKPOINT}")
        except NotFoundError:
            return None

    def keep(self, data: bytes) -> None:
        """Replace the checkpoint."""
        self._artefacts.write_file(f"{self._name}/{CHECKPOINT}", data)

    def finish(self, version: Version, trained: Trained, annotations: Sequence[Annotation]) -> None:
        """Write the files; the one that says they are all there comes last."""
        for name, data in files_of(version, trained.weights, annotations).items():
            self._artefacts.write_file(f"{self._name}/{name}", data)
        self._artefacts.remove(f"{self._name}/{CHECKPOINT}")
