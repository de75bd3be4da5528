"""A folder of images, and the classes that its sub-folders name: for trying out and for scoring, never for learning."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.vocabulary import SampleId
from pal_backend.errors import InputError
from pal_backend.pool_folder import FolderPool
from pal_backend.pool_index import PoolSample, Quarantined, load_images, load_quarantine, load_samples
from pal_backend.samples import Progress, ingest
from pal_backend.store.artefacts import Artefacts


@dataclass(frozen=True, eq=False)
class ImageFolder:
    """What a folder holds.

    Args:
        samples: N of them, sorted by path.
        images: uint8 (N, S, S, C), C 1 if all are grey, else 3.
        set_aside: files that could not be used, with the reason.
    """

    samples: tuple[PoolSample, ...]
    images: NDArray[np.uint8]
    set_aside: tuple[Quarantined, ...]

    @property
    def ids(self) -> tuple[SampleId, ...]:
        """Of the samples, in the order of the rows."""
        return tuple(sample.id for sample in self.samples)

    def labels(self) -> NDArray[np.int64]:
        """The class of each sample, int64 (N,), by the sub-folder it lies in.

        Raises:
            InputError: there are no sub-folders to tell classes apart.
        """
        classes = from_folders(path for sample in self.samples for path in sample.paths)
        known = of_samples(self.samples, classes)
        return np.asarray([known[sample] for sample in self.ids], np.int64)


def read_folder(folder: Path, side: int, progress: Progress = lambda done, of: None) -> ImageFolder:
    """The images of a folder, small and square, under the limits of every pool; nothing is kept.

    Args:
        folder: holds the images, in sub-folders or not.
        side: S, in pixels.
        progress: called with (files done, files in all).

    Raises:
        InputError: it is not there, or holds no image.
    """
    with tempfile.TemporaryDirectory(prefix="pal-") as place:
        artefacts = Artefacts(place)
        ingest(FolderPool(folder), artefacts, "folder", side, progress)
        return ImageFolder(
            samples=tuple(load_samples(artefacts, "folder")),
            images=load_images(artefacts, "folder").copy(),
            set_aside=tuple(load_quarantine(artefacts, "folder")),
        )


def from_folders(paths: Iterable[str], mend: str = "sort the images into such folders") -> dict[str, int]:
    """Path to the number of the sub-folder it lies in, the usual way to keep labelled images.

    Args:
        paths: relative, with forward slashes.
        mend: what the message tells a person to do.

    Raises:
        InputError: the images are not in two or more sub-folders.
    """
    folders = {path: PurePosixPath(path).parts[0] if "/" in path else "" for path in paths}
    names = sorted(set(folders.values()))
    if len(names) < 2:
        raise InputError(
            f"there are no classes: found all images in one folder, expected one sub-folder for each class; {mend}"
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
