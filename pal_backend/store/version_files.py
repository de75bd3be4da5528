"""One model version as a folder of files: ``version.json``, ``samples.json`` (ids in the order of the rows),
``features.safetensors`` (and in it ``difficulty``, where a pretext task was asked for), ``weights.safetensors`` (where
something was trained) and ``answers.jsonl``.

No key is owned here: ``pal train`` writes such a folder without Redis, and ``pal evaluate`` reads it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from pal_backend.core.vocabulary import Annotation, SampleId
from pal_backend.errors import InputError, NotFoundError
from pal_backend.store.artefacts import Artefacts
from pal_backend.store.records import Record, dump, dump_lines, load_lines

ABOUT = "version.json"
"""Where it is there, the other files are."""


@dataclass(frozen=True, eq=False)
class Version:
    """One model version. ``features`` is float32 (N, D), row i belonging to ``sample_ids[i]``; it may be read-only.

    ``difficulty`` is float32 (N,), finite, each sample's loss in the pretext task that ``metrics["pretext"]`` names; None
    where none was asked for.
    """

    id: str
    """v0000, v0001..."""
    sample_ids: tuple[SampleId, ...]
    features: NDArray[np.float32]
    recipe: str
    made_from_answers: int
    note: str
    metrics: dict[str, Any]
    difficulty: NDArray[np.float32] | None = None

    @property
    def pretext(self) -> str:
        """The pretext task whose losses it has; "" if it has none."""
        return "" if self.difficulty is None else str(self.metrics.get("pretext", ""))


def files_of(version: Version, weights: bytes | None, answers: Sequence[Annotation]) -> dict[str, bytes]:
    """The files of a version by name, :data:`ABOUT` last.

    Raises:
        InputError: the number of rows, or of losses, is not that of the samples.
    """
    if len(version.sample_ids) != len(version.features):
        raise InputError(
            f"version {version.id} has {len(version.features)} rows of features for {len(version.sample_ids)} samples; "
            "expected one each; build it from one list"
        )
    about = {
        "id": version.id,
        "samples": len(version.sample_ids),
        "recipe": version.recipe,
        "made_from_answers": version.made_from_answers,
        "note": version.note,
        "metrics": version.metrics,
    }
    arrays = {"features": np.ascontiguousarray(version.features, dtype=np.float32)}
    if version.difficulty is not None:
        if version.difficulty.shape != (len(version.features),):
            raise InputError(
                f"version {version.id} has losses of shape {version.difficulty.shape} for {len(version.features)} samples; "
                "expected one each; learn the pretext task on the same images"
            )
        arrays["difficulty"] = np.ascontiguousarray(version.difficulty, dtype=np.float32)
    return {
        "samples.json": dump({"sample_ids": list(version.sample_ids)}).encode(),
        "features.safetensors": safetensors.numpy.save(arrays),
        "answers.jsonl": dump_lines(answers),
        **({} if weights is None else {"weights.safetensors": weights}),
        ABOUT: json.dumps(about, indent=1, allow_nan=False).encode(),
    }


class VersionFiles:
    """Reads the folder ``path`` of the artefacts. Each method raises what is stated at :meth:`load`."""

    def __init__(self, artefacts: Artefacts, path: str) -> None:
        self._artefacts = artefacts
        self._path = path

    def load(self) -> Version:
        """A version with its features.

        Raises:
            NotFoundError: a file is not there.
            InputError: a file is malformed; the message names it.
        """
        about, sample_ids = self.describe(), self.load_ids()
        path = self._of("features.safetensors")
        arrays = load_arrays(self._artefacts.read(path), path)
        features, difficulty = arrays.get("features"), arrays.get("difficulty")
        if (
            features is None
            or features.dtype != np.float32
            or features.shape[:1] != (len(sample_ids),)
            or features.ndim != 2
        ):
            raise InputError(
                f"{path} does not hold float32 features of {len(sample_ids)} samples; expected it; restore the file"
            )
        if difficulty is not None and not _losses(difficulty, len(sample_ids)):
            raise InputError(
                f"{path} holds a difficulty that is not {len(sample_ids)} finite float32 numbers; expected them; "
                "restore the file"
            )
        return Version(
            id=str(about["id"]),
            sample_ids=sample_ids,
            features=features,
            recipe=str(about["recipe"]),
            made_from_answers=int(about["made_from_answers"]),
            note=str(about["note"]),
            metrics=dict(about["metrics"]),
            difficulty=difficulty,
        )

    def load_ids(self) -> tuple[SampleId, ...]:
        """The samples, in the order of the rows."""
        path = self._of("samples.json")
        return Record(self._artefacts.read(path), path).texts("sample_ids")

    def describe(self) -> dict[str, Any]:
        """What is known about it: id, samples (how many), recipe, made_from_answers, note, metrics."""
        path = self._of(ABOUT)
        record = Record(self._artefacts.read(path), path)
        return {
            "id": record.text("id"),
            "samples": record.whole("samples"),
            "recipe": record.text("recipe"),
            "made_from_answers": record.whole("made_from_answers"),
            "note": record.text("note"),
            "metrics": record.mapping("metrics"),
        }

    def weights(self) -> bytes | None:
        """The backbone as safetensors bytes, None where nothing was trained."""
        try:
            return self._artefacts.read(self._of("weights.safetensors"))
        except NotFoundError:
            return None

    def answers(self) -> list[Annotation]:
        """The annotations it was made from."""
        path = self._of("answers.jsonl")
        return load_lines(self._artefacts.read(path), path)

    def _of(self, name: str) -> str:
        return f"{self._path}/{name}"


def _losses(found: NDArray[Any], count: int) -> bool:
    return found.dtype == np.float32 and found.shape == (count,) and bool(np.isfinite(found).all())


def load_arrays(data: bytes, path: str) -> dict[str, NDArray[Any]]:
    """Arrays of a safetensors file; nothing in it is executed.

    Raises:
        InputError: it is no such file.
    """
    try:
        return cast("dict[str, NDArray[Any]]", safetensors.numpy.load(data))
    except (SafetensorError, KeyError, ValueError) as problem:
        raise InputError(f"{path} is no safetensors file ({problem!s:.100}); expected one; restore the file") from None
