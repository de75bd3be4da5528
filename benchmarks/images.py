"""Labelled images for benchmarks; the labels are for the scoring (and a simulated annotator) alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from pal_backend.errors import InputError
from pal_backend.images import decode
from pal_backend.pool_index import MAX_FILE_BYTES

SIDE = 32
PER_CLASS = 1000
"""Images of each class that are taken of CIFAR-10's training set."""


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images uint8 (N, 32, 32, 3) and classes int64 (N,)."""

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    @cached_property
    def digest(self) -> str:
        """Of pixels and classes."""
        found = hashlib.sha256(np.ascontiguousarray(self.images).data)
        found.update(np.ascontiguousarray(self.labels).data)
        return found.hexdigest()[:16]


def from_folder(folder: Path) -> LabelledImages:
    """The images of a folder whose subfolders are the classes, in the order of their names.

    Raises:
        InputError: there are not two subfolders with images, or a file is no image.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; expected one with a subfolder for each class")
    files = [
        (path, parent.name)
        for parent in sorted(folder.iterdir())
        if parent.is_dir()
        for path in sorted(parent.iterdir())
        if path.is_file()
    ]
    classes = sorted({label for _, label in files})
    if len(classes) < 2:
        raise InputError(
            f"{folder} has {len(classes)} subfolders with images; expected two or more, one for each class"
        )
    pixels = []
    for path, _ in track(files, "images", transient=True):
        try:
            with path.open("rb") as file:
                pixels.append(decode(file.read(MAX_FILE_BYTES + 1), SIDE).pixels)
        except InputError as problem:
            raise InputError(f"{path}: {problem}") from None
    labels = np.asarray([classes.index(label) for _, label in files], np.int64)
    return LabelledImages(folder.name, np.stack(pixels), labels)


def cifar10(folder: Path) -> LabelledImages:
    """The first 1,000 images of each class of CIFAR-10's training set, which torchvision downloads into ``folder``.

    Raises:
        InputError: they cannot be had.
    """
    from torchvision.datasets import CIFAR10

    try:
        whole = CIFAR10(str(folder), train=True, download=True)
    except (OSError, RuntimeError) as problem:
        raise InputError(
            f"CIFAR-10 cannot be downloaded ({problem}); give a folder with a subfolder for each class: --images FOLDER"
        ) from None
    labels = np.asarray(whole.targets, np.int64)
    rows = np.sort(np.concatenate([np.flatnonzero(labels == c)[:PER_CLASS] for c in range(10)]))
    return LabelledImages("cifar10", np.asarray(whole.data, np.uint8)[rows], labels[rows])
