"""Why the samples of a revision are where they are, and what deserves a second look; as workers publish it.

No Redis key is owned here. Artefacts: in the folder of each revision ``ties.safetensors``
(:class:`~pal_backend.core.ties.Ties`) and ``review.json`` (:class:`Review`); in that of each model version
``neighbours.safetensors``: the neighbour graph, csr, ``starts`` int32 (N + 1,), ``rows`` int32, ``weights`` float32. Of
large arrays single rows are read.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray

from pal_backend.core.ties import Ties
from pal_backend.core.vocabulary import Pair, SampleId
from pal_backend.errors import InputError, NotFoundError
from pal_backend.store.artefacts import Artefacts
from pal_backend.store.records import Record
from pal_backend.store.version_files import load_arrays

MOST = 500
"""Conflicts that are kept; nobody looks at more before the next revision."""
_TYPES = {"F32": np.dtype(np.float32), "I32": np.dtype(np.int32)}
LONGEST_HEADER = 1_000_000


@dataclass(frozen=True)
class Conflict:
    """Answers that cannot all be right: the pairs involved, and words for a person."""

    pairs: tuple[Pair, ...]
    sentence: str


@dataclass(frozen=True)
class Doubt:
    """A union that may be none; see :class:`pal_backend.core.review.DoubtfulMerge`."""

    group: SampleId
    two: float
    stake: float
    small: tuple[SampleId, ...]
    large: tuple[SampleId, ...]
    bridges: tuple[Pair, ...]


@dataclass(frozen=True)
class Review:
    """What waits for a person's decision: the first conflicts, how many there are, and the most doubtful unions."""

    conflicts: tuple[Conflict, ...] = ()
    total: int = 0
    doubts: tuple[Doubt, ...] = ()


def files_of(ties: Ties, review: Review) -> dict[str, bytes]:
    """The files of a revision, by name."""
    return {
        "ties.safetensors": safetensors.numpy.save(ties.arrays()),
        "review.json": json.dumps(asdict(review), allow_nan=False).encode(),
    }


class Reasons:
    """Reads them, for one project. Threads may share it; the last revision's ties are kept in memory."""

    def __init__(self, artefacts: Artefacts, project: str) -> None:
        self._artefacts = artefacts
        self._folder = f"projects/{project}"
        self._ties: tuple[int, Ties] | None = None

    def ties(self, revision: int) -> Ties | None:
        """The answered graph of a revision, None where it was published by a release that did not tell, or is gone.

        Raises:
            InputError: the file is malformed.
        """
        kept = self._ties
        if kept is not None and kept[0] == revision:
            return kept[1]
        path = f"{self._folder}/revisions/{revision}/ties.safetensors"
        try:
            found = Ties.load(load_arrays(self._artefacts.read(path), path))
        except NotFoundError:
            return None
        except (KeyError, ValueError) as problem:
            raise _unfit(path, problem) from None
        self._ties = (revision, found)
        return found

    def review(self, revision: int) -> Review:
        """What waits for a decision; empty where nobody has looked.

        Raises:
            InputError: the file is malformed.
        """
        path = f"{self._folder}/revisions/{revision}/review.json"
        try:
            record = Record(self._artefacts.read(path), path)
        except NotFoundError:
            return Review()
        conflicts = [Record.of(one, f"{path} conflicts") for one in record.items("conflicts")]
        doubts = [Record.of(one, f"{path} doubts") for one in record.items("doubts")]
        return Review(
            tuple(Conflict(_pairs(one, "pairs"), one.text("sentence")) for one in conflicts),
            record.whole("total"),
            tuple(
                Doubt(
                    one.text("group"),
                    one.number("two"),
                    one.number("stake"),
                    one.texts("small"),
                    one.texts("large"),
                    _pairs(one, "bridges"),
                )
                for one in doubts
            ),
        )

    def beliefs(self, revision: int, row: int) -> NDArray[np.float32] | None:
        """Probability of each group of one sample, float32 (K,); None where the revision is gone.

        Raises:
            InputError: the file is malformed.
        """
        found = self._slices(f"{self._folder}/revisions/{revision}/posterior.safetensors")
        return None if found is None else found.rows("probabilities", row, row + 1)[0]

    def neighbours(self, version: str, row: int) -> list[tuple[int, float]]:
        """Rows that share an edge of the neighbour graph with a row, and the weights in (0, 1], nearest first; empty where
        no sitting has published them yet.

        Raises:
            InputError: the file is malformed.
        """
        found = self._slices(self._neighbours(version))
        if found is None:
            return []
        first, last = found.rows("starts", row, row + 2).tolist()
        rows, weights = (found.rows(name, first, last).tolist() for name in ("rows", "weights"))
        return sorted(zip(rows, weights, strict=True), key=lambda item: -item[1])

    def keep_neighbours(self, version: str, starts: Any, rows: Any, weights: Any) -> None:
        """Publish the neighbour graph of a version, csr, unless it is there."""
        path = self._neighbours(version)
        if self._artefacts.exists(path):
            return
        arrays = {
            "starts": np.asarray(starts, np.int32),
            "rows": np.asarray(rows, np.int32),
            "weights": np.asarray(weights, np.float32),
        }
        self._artefacts.write_file(path, safetensors.numpy.save(arrays))

    def _neighbours(self, version: str) -> str:
        return f"{self._folder}/versions/{version}/neighbours.safetensors"

    def _slices(self, path: str) -> _Slices | None:
        try:
            return _Slices(self._artefacts, path)
        except NotFoundError:
            return None


class _Slices:
    """Some rows of a safetensors file, without reading the rest of it."""

    def __init__(self, artefacts: Artefacts, path: str) -> None:
        self._artefacts, self._path = artefacts, path
        start = artefacts.read(path, 0, 8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else LONGEST_HEADER + 1
        if length > LONGEST_HEADER:
            raise _unfit(path, "no header")
        self._data = 8 + length
        self._header: Mapping[str, Any] = Record(artefacts.read(path, 8, self._data), path).value

    def rows(self, name: str, first: int, last: int) -> NDArray[Any]:
        """The rows from ``first`` up to ``last`` of a tensor.

        Raises:
            InputError: there are no such rows.
        """
        try:
            about = dict(self._header[name])
            shape: Sequence[int] = [int(size) for size in about["shape"]]
            kind, offset = _TYPES[about["dtype"]], self._data + int(about["data_offsets"][0])
        except (KeyError, TypeError, ValueError, IndexError) as problem:
            raise _unfit(self._path, problem) from None
        if not 0 <= first <= last <= shape[0]:
            raise _unfit(self._path, f"no rows {first} to {last}")
        width = kind.itemsize * int(np.prod(shape[1:], dtype=np.int64))
        if first == last:
            return np.zeros((0, *shape[1:]), kind)
        data = self._artefacts.read(self._path, offset + first * width, offset + last * width)
        if len(data) != (last - first) * width:
            raise _unfit(self._path, "it ends too early")
        return np.frombuffer(data, kind).reshape(last - first, *shape[1:])


def _pairs(record: Record, name: str) -> tuple[Pair, ...]:
    found = record.items(name)
    if not all(
        isinstance(item, list) and len(item) == 2 and all(isinstance(one, str) for one in item) for item in found
    ):
        raise record.wrong(f"{name} that are none", "lists of two samples")
    return tuple(Pair(*item) for item in found)


def _unfit(path: str, problem: object) -> InputError:
    return InputError(
        f"{path} does not hold what it should ({problem}); expected a worker's file; publish a new revision"
    )
