"""Features made elsewhere, ``features:FILE.npy``: an array, and beside it a list that says whose each row is.

The list is asked for, and the order of the pool is not guessed: identical files are one sample, files that cannot be decoded
are none, and later ones are appended, so nobody outside knows that order, and rows that are off by one would spoil all
that is learned without anybody seeing it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pal_backend.errors import InputError
from pal_backend.pool_index import PoolSample
from pal_backend.weights import MAX_BYTES, open_checked

MAX_WIDTH = 65_536
_SHOWN = 3


def given_features(path: Path, samples: Sequence[PoolSample], limit: int = MAX_BYTES) -> NDArray[np.float32]:
    """The rows of ``path`` that belong to ``samples``, in their order.

    ``FILE.npy`` holds floats (M, D), opened without pickle. ``FILE.txt`` beside it has M lines: the path of an image
    relative to the pool, with forward slashes, the name that a manifest gives it, or the id of a sample. Rows of images that are not in the pool are passed
    over; of several rows of one sample the first counts.

    Args:
        path: ``FILE.npy``.
        samples: of the pool, N of them.
        limit: bytes that either file may have.

    Returns:
        float32 (N, D), as they come: their maker chose the distances.

    Raises:
        NotFoundError: one of the two files is not there.
        InputError: they are not as described, or a sample of the pool has no row.
    """
    found = look(path, limit)
    listed = open_checked(path.with_suffix(".txt"), "names of features", (".txt",), limit)
    try:
        names = listed.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{listed} is not UTF-8; expected a path or sample id a line; write it so") from None
    if len(names) != len(found):
        raise InputError(
            f"{listed} has {len(names)} lines for the {len(found)} rows of {path.name}; expected one each; write both anew"
        )
    row: dict[str, int] = {}
    for number, name in enumerate(names):
        row.setdefault(name, number)
    rows = [
        next((row[name] for name in (sample.id, *sample.paths, *sample.names) if name in row), -1) for sample in samples
    ]
    lacking = [(*sample.paths, sample.id)[0] for sample, place in zip(samples, rows, strict=True) if place < 0]
    if lacking:
        shown = ", ".join(lacking[:_SHOWN]) + (", …" if len(lacking) > _SHOWN else "")
        raise InputError(
            f"{path.name} has no row for {len(lacking)} of the {len(samples)} samples of the pool ({shown}); expected one "
            f"each; add them to {path.name} and {listed.name}, then run `pal init` again"
        )
    features = np.ascontiguousarray(found[rows], np.float32)
    if not np.isfinite(features).all():
        raise InputError(f"{path} holds numbers that are not finite in float32; expected finite ones; mend the file")
    return features


def look(path: Path, limit: int = MAX_BYTES) -> NDArray[np.floating]:
    """The array of a file of features, (M, D), mapped and not read.

    Raises:
        NotFoundError: there is no such file.
        InputError: it holds no such array, or is too large.
    """
    open_checked(path, "features", (".npy",), limit)
    try:
        found: NDArray[np.floating] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as problem:
        raise InputError(
            f"features {path} cannot be read ({problem!s:.200}); expected an array saved with numpy.save, without objects; "
            "save it so"
        ) from None
    if found.ndim != 2 or not 1 <= found.shape[1] <= MAX_WIDTH or found.dtype.kind != "f":
        raise InputError(
            f"features {path} are {found.dtype} {found.shape}; expected floats (rows, columns), at most {MAX_WIDTH} columns; "
            "save them so"
        )
    return found
