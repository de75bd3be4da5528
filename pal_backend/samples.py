"""Pools: a folder of image files becomes samples, small images and a list of files set aside."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import save

from pal_backend.core.vocabulary import SampleId
from pal_backend.errors import InputError, NotFoundError
from pal_backend.images import decode, is_grey, resize
from pal_backend.pool_index import (
    PoolSample,
    Quarantined,
    content_type,
    load_images,
    load_samples,
    pool_file,
    quarantine_file,
    read_inside,
    read_lines,
    write_lines,
)
from pal_backend.store.artefacts import Artefacts

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".avif"}
)
"""Files with these endings are meant as images: when one is of no known type, that is reported."""

Progress = Callable[[int, int], None]
"""Called with (files done, files in all)."""


@dataclass(frozen=True)
class IngestReport:
    """What an ingest found; counts."""

    samples: int
    new: int
    duplicates: int
    """Further paths of samples that have one already."""
    quarantined: int
    missing: int
    """Samples that no file of the pool holds any more."""
    ignored: int
    """Files that are no images and do not claim to be."""


class PoolEntry(NamedTuple):
    """A file of the pool as a walk sees it: enough to tell that it did not change."""

    path: str
    bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class FolderPool:
    """A folder of image files on this machine."""

    root: Path

    def entries(self) -> Iterator[PoolEntry | Quarantined]:
        """Every file below the folder but hidden ones, sorted by path.

        Links to folders are not walked: those that stay inside would give every file twice, others lead out of the pool.

        Raises:
            InputError: the folder is not there.
        """
        if not self.root.is_dir():
            raise InputError(f"{self.root} is not a folder; give the folder that holds the images")
        return iter(sorted(self._walk(), key=lambda entry: entry.path))

    def _walk(self) -> Iterator[PoolEntry | Quarantined]:
        base = self.root.resolve()
        closed: list[OSError] = []
        for folder, folders, files in os.walk(base, onerror=closed.append):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in (*files, *folders):
                path = Path(folder, name)
                if name.startswith(".") or (name in folders and not path.is_symlink()):
                    continue
                entry = _entry(base, path)
                if entry is not None:
                    yield entry
        for problem in closed:
            inside = Path(problem.filename).relative_to(base).as_posix()
            yield Quarantined(inside, f"a folder that cannot be read: {problem.strerror}")

    def read(self, path: str) -> bytes:
        """Content of one file of the pool; errors as :func:`pal_backend.pool_index.read_inside`."""
        return read_inside(self.root, path)


def _entry(base: Path, path: Path) -> PoolEntry | Quarantined | None:
    relative = path.relative_to(base).as_posix()
    if not _is_utf8(relative):
        return Quarantined(relative.encode("utf-8", "replace").decode(), "the file name is not UTF-8; rename the file")
    try:
        target = path.resolve(strict=True)
        if not target.is_relative_to(base):
            return Quarantined(relative, "a link that leads out of the pool; copy the file into the pool")
        status = target.stat()
    except (OSError, RuntimeError):
        return Quarantined(relative, "a link that leads nowhere") if path.is_symlink() else None
    if stat.S_ISDIR(status.st_mode):
        return None
    if not stat.S_ISREG(status.st_mode):
        return Quarantined(relative, "not a regular file")
    return PoolEntry(relative, status.st_size, status.st_mtime_ns)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def ingest(
    pool: FolderPool, artefacts: Artefacts, project: str, image_size: int, progress: Progress = lambda done, of: None
) -> IngestReport:
    """Bring the pool's samples, small images and quarantine list up to date with its files.

    Known samples keep their rows and new ones are appended, by path. Files whose size and time of change are as before
    are not read again. Each file is replaced whole; images come before samples, so that a crash leaves a readable pool.

    Raises:
        InputError: the folder is not there, or holds no image.
    """
    work = _Ingest.load(pool, artefacts, project, image_size)
    entries = list(pool.entries())
    for done, entry in enumerate(entries, start=1):
        if isinstance(entry, Quarantined):
            work.quarantine.append(entry)
        else:
            work.take(entry)
        progress(done, len(entries))
    return work.publish(artefacts, project)


class _File(NamedTuple):
    """What is remembered of a file: its sample, or why it was set aside, or neither if it is no image."""

    path: str
    bytes: int
    mtime_ns: int
    sample: SampleId = ""
    reason: str = ""


@dataclass
class _Ingest:
    """One ingest under way: what was known before, and what the walk found so far."""

    pool: FolderPool
    side: int
    known: dict[SampleId, PoolSample]
    pixels: dict[SampleId, NDArray[np.uint8]]
    """Small images, uint8 (S, S, 1 or 3), in the order of the rows."""
    files: dict[str, _File]
    paths: dict[SampleId, list[str]] = field(default_factory=dict)
    seen: list[_File] = field(default_factory=list)
    quarantine: list[Quarantined] = field(default_factory=list)
    ignored: int = 0

    @classmethod
    def load(cls, pool: FolderPool, artefacts: Artefacts, project: str, side: int) -> _Ingest:
        """Start from what the last ingest left, if there was one."""
        try:
            samples = load_samples(artefacts, project)
            images = load_images(artefacts, project)
        except NotFoundError:
            samples, images = [], np.empty((0, side, side, 1), np.uint8)
        try:
            files = [_File(**row) for row in read_lines(artefacts, pool_file(project, "files.jsonl"))]
        except NotFoundError:
            files = []
        return cls(
            pool=pool,
            side=side,
            known={sample.id: sample for sample in samples},
            pixels={sample.id: image for sample, image in zip(samples, images, strict=True)},
            files={file.path: file for file in files},
        )

    def take(self, entry: PoolEntry) -> None:
        """Find out which sample a file holds."""
        file = self.files.get(entry.path)
        if file is None or not self._still_good(file, entry):
            try:
                file = self._read(entry)
            except NotFoundError:  # deleted since the walk
                return
            except InputError as problem:  # not remembered: permissions change without a change of the file
                self.quarantine.append(Quarantined(entry.path, str(problem)))
                return
        self.seen.append(file)
        if file.sample:
            self.paths.setdefault(file.sample, []).append(file.path)
        elif file.reason:
            self.quarantine.append(Quarantined(file.path, file.reason))
        else:
            self.ignored += 1

    def _still_good(self, file: _File, entry: PoolEntry) -> bool:
        if (file.bytes, file.mtime_ns) != (entry.bytes, entry.mtime_ns):
            return False
        return not file.sample or (file.sample in self.known and self._has_pixels(file.sample))

    def _has_pixels(self, sample: SampleId) -> bool:
        return sample in self.pixels and len(self.pixels[sample]) == self.side

    def _read(self, entry: PoolEntry) -> _File:
        data = self.pool.read(entry.path)
        if content_type(data) is None and Path(entry.path).suffix.lower() not in IMAGE_SUFFIXES:
            return _File(*entry)
        sample = hashlib.sha256(data).hexdigest()[:16]
        if sample not in self.known or not self._has_pixels(sample):
            try:
                image = decode(data, self.side)
            except InputError as problem:
                return _File(*entry, reason=str(problem))
            self.pixels[sample] = image.pixels
            self.known.setdefault(sample, PoolSample(sample, (), image.width, image.height))
        return _File(*entry, sample=sample)

    def publish(self, artefacts: Artefacts, project: str) -> IngestReport:
        """Write what was found."""
        samples = [self._with_paths(sample) for sample in self.known.values()]
        if not samples:
            raise InputError(
                f"{self.pool.root} holds no image that can be used ({len(self.quarantine)} set aside, {self.ignored} other files); "
                "expected PNG, JPEG, WebP, GIF or BMP files"
            )
        new = sum(not sample.paths for sample in self.known.values())
        images = _stack([self.pixels[sample.id] for sample in samples], self.side)
        artefacts.write_file(pool_file(project, "images.safetensors"), save({"images": images}))
        write_lines(artefacts, pool_file(project, "samples.jsonl"), map(asdict, samples))
        write_lines(artefacts, quarantine_file(project), (entry._asdict() for entry in sorted(self.quarantine)))
        write_lines(artefacts, pool_file(project, "files.jsonl"), (file._asdict() for file in self.seen))
        return IngestReport(
            samples=len(samples),
            new=new,
            duplicates=sum(len(sample.paths) - 1 for sample in samples if not sample.missing),
            quarantined=len(self.quarantine),
            missing=sum(sample.missing for sample in samples),
            ignored=self.ignored,
        )

    def _with_paths(self, sample: PoolSample) -> PoolSample:
        paths = self.paths.get(sample.id)
        return replace(sample, missing=True) if paths is None else replace(sample, paths=tuple(paths), missing=False)


def _stack(pixels: list[NDArray[np.uint8]], side: int) -> NDArray[np.uint8]:
    """One array (N, S, S, C): C is 1 if the whole pool is grey, else 3."""
    sized = [_sized(image, side) for image in pixels]
    if all(is_grey(image) for image in sized):
        return np.stack([image[..., :1] for image in sized])
    return np.stack(sized)


def _sized(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    colour = np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image
    # Only a missing sample comes in another size: its file cannot be decoded again.
    return colour if len(colour) == side else resize(colour, side)


def write_digits(folder: Path, labels: Path, progress: Progress = lambda done, of: None) -> None:
    """Write scikit-learn's 1,797 handwritten digits (8 x 8 pixels) as PNG files that a person can read.

    96 x 96 pixels, dark ink on white, smoothly enlarged; the mean of the four pixels in the middle of each 12 x 12 block
    gives back the original value. The names say nothing of the class. Files that are there already are left alone.

    Args:
        folder: where the images go.
        labels: where the classes go, a JSON object from file name to digit, for a simulated annotator and for scoring;
            outside ``folder``, so that nothing that reads the pool can see it.
        progress: called with (files done, files in all).

    Raises:
        InputError: ``labels`` lies inside ``folder``.
    """
    from sklearn.datasets import load_digits

    if labels.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{labels} lies inside {folder}; the hidden classes must be kept outside the pool")
    folder.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    classes: dict[str, int] = {}
    for done, (pixels, digit) in enumerate(zip(digits.images, digits.target, strict=True), start=1):
        name = hashlib.sha256(pixels.astype(np.uint8).tobytes()).hexdigest()[:12] + ".png"
        classes[name] = int(digit)
        if not (folder / name).exists():
            _replace(folder / name, _enlarged(pixels))
        progress(done, len(digits.target))
    _replace(labels, json.dumps(classes, indent=0, sort_keys=True).encode())


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(data)
    partial.replace(path)


def _enlarged(pixels: NDArray[np.float64]) -> bytes:
    """A digit of 8 x 8 values 0..16 as a PNG file."""
    grey = Image.fromarray((255 - pixels * 255 / 16).astype(np.float32))
    large = np.asarray(grey.resize((96, 96), Image.Resampling.BICUBIC)).clip(0, 255).round().astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(large).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
