"""Pools: files become samples, small images or texts, and a list of files set aside."""

from __future__ import annotations

import hashlib
import io
import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pal_backend.core.vocabulary import Medium, SampleId
from pal_backend.errors import InputError, NotFoundError, PalError
from pal_backend.pool_content import Images, Texts, content_of
from pal_backend.pool_folder import Pool, PoolEntry
from pal_backend.pool_index import (
    PoolSample,
    Quarantined,
    copy_file,
    load_samples,
    pool_file,
    quarantine_file,
    read_lines,
    write_lines,
)
from pal_backend.store.artefacts import Artefacts

KEEP_EVERY = 2_000
"""Files fetched from elsewhere after which a long ingest keeps what it has."""
NOUNS = {Images: "image", Texts: "text"}
EXPECTED = {Images: "PNG, JPEG, WebP, GIF or BMP files", Texts: "texts in UTF-8"}

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


def ingest(
    pool: Pool,
    artefacts: Artefacts,
    project: str,
    image_size: int,
    progress: Progress = lambda done, of: None,
    *,
    medium: Medium = Medium.IMAGE,
) -> IngestReport:
    """Bring the pool's samples, what is kept of their content, and the quarantine list up to date with its files.

    Known samples keep their rows and new ones are appended, in the order of the pool. Files whose size and time of change
    are as before are not read again, files from elsewhere are copied. Each file is replaced whole; content comes before
    samples, so that a crash leaves a readable pool, and a long ingest keeps what it has now and then.

    Raises:
        InputError: the pool is not there, or holds no sample.
        PalError: as the pool's :meth:`~pal_backend.pool_folder.Pool.entries`.
    """
    work = _Ingest.load(pool, artefacts, project, image_size, medium)
    entries = list(pool.entries())
    for done, (entry, found) in enumerate(work.look(entries), start=1):
        work.take(entry, found)
        if work.unkept >= max(KEEP_EVERY, len(work.known) // 4):
            work.publish(whole=False)
        progress(done, len(entries))
    return work.publish()


class _File(NamedTuple):
    """What is remembered of a file: its sample, or why it was set aside, or neither if it is none."""

    path: str
    bytes: int
    mtime_ns: int
    sample: SampleId = ""
    reason: str = ""
    name: str = ""


Found = _File | bytes | PalError | None
"""What looking at an entry gives: what is remembered, its content, or why that cannot be had."""


@dataclass
class _Ingest:
    """One ingest under way: what was known before, and what the walk found so far."""

    pool: Pool
    artefacts: Artefacts
    project: str
    content: Images | Texts
    known: dict[SampleId, PoolSample]
    """In the order of the rows."""
    files: dict[str, _File]
    kept: list[PoolSample]
    """The samples as they stand written."""
    seen: dict[str, _File] = field(default_factory=dict)
    quarantine: list[Quarantined] = field(default_factory=list)
    ignored: int = 0
    stale: bool = False
    """Whether near duplicates have to be looked for."""
    unkept: int = 0
    """Files fetched from elsewhere since something was last written."""

    @classmethod
    def load(cls, pool: Pool, artefacts: Artefacts, project: str, side: int, medium: Medium) -> _Ingest:
        """Start from what the last ingest left, if there was one."""
        try:
            samples = load_samples(artefacts, project)
        except NotFoundError:
            samples = []
        try:
            files = [_File(**row) for row in read_lines(artefacts, pool_file(project, "files.jsonl"))]
        except NotFoundError:
            files = []
        return cls(
            pool=pool,
            artefacts=artefacts,
            project=project,
            content=content_of(medium, artefacts, project, samples, side),
            known={sample.id: sample for sample in samples},
            files={file.path: file for file in files},
            kept=samples,
        )

    def look(self, entries: Sequence[PoolEntry | Quarantined]) -> Iterator[tuple[PoolEntry | Quarantined, Found]]:
        """Each entry with what there is about it; a few files are read ahead, as many as the pool allows."""
        with ThreadPoolExecutor(self.pool.at_once, "ingest") as threads:
            ahead: deque[tuple[PoolEntry | Quarantined, Found | Future[Found]]] = deque()
            for entry in entries:
                found: Found | Future[Found] = None
                if isinstance(entry, PoolEntry):
                    kept = self.files.get(entry.path)
                    good = kept is not None and self._still_good(kept, entry)
                    found = kept if good else threads.submit(self._read, entry)
                ahead.append((entry, found))
                if len(ahead) > self.pool.at_once:
                    yield _waited(ahead.popleft())
            while ahead:
                yield _waited(ahead.popleft())

    def take(self, entry: PoolEntry | Quarantined, found: Found) -> None:
        """Note which sample a file holds."""
        if isinstance(entry, Quarantined):
            self.quarantine.append(entry)
            return
        file = self._kept(entry, found) if isinstance(found, bytes) else found
        if isinstance(file, NotFoundError) and not entry.remote:  # deleted since the walk
            return
        if not isinstance(file, _File):  # not remembered: permissions change without a change of the file
            self.quarantine.append(Quarantined(entry.path, str(file)))
            return
        self.seen[file.path] = file._replace(name=entry.name)
        if file.reason:
            self.quarantine.append(Quarantined(file.path, file.reason))
        self.ignored += not (file.sample or file.reason)

    def _still_good(self, file: _File, entry: PoolEntry) -> bool:
        if (file.bytes, file.mtime_ns) != (entry.bytes, entry.mtime_ns):
            return False
        if entry.bytes < 0 and file.reason:  # it may be another picture by now, and nothing tells
            return False
        return not file.sample or (file.sample in self.known and self.content.has(file.sample))

    def _read(self, entry: PoolEntry) -> Found:
        try:
            return self.pool.read(entry.path)
        except PalError as problem:
            return problem

    def _kept(self, entry: PoolEntry, data: bytes) -> _File:
        """What a file holds, decoded and kept."""
        file = _File(entry.path, entry.bytes, entry.mtime_ns)
        try:
            taken = self.content.take(entry.path, data)
        except InputError as problem:
            return file._replace(reason=str(problem))
        if taken is None:
            return file
        if taken.sample not in self.known:
            self.known[taken.sample] = PoolSample(taken.sample, (), taken.width, taken.height)
        if entry.remote:
            self.unkept += 1
            copy = copy_file(self.project, taken.sample)
            if isinstance(self.content, Images) and not self.artefacts.exists(copy):
                self.artefacts.write_file(copy, data)
        return file._replace(sample=taken.sample)

    def publish(self, *, whole: bool = True) -> IngestReport:
        """Write what was found; before the end, what was not looked at yet stands as it was."""
        new = sum(not sample.paths for sample in self.known.values())
        files = self.seen if whole else self.files | self.seen
        paths: dict[SampleId, list[_File]] = defaultdict(list)
        for file in files.values():
            if file.sample:
                paths[file.sample].append(file)
        samples = [_with_paths(sample, paths.get(sample.id)) for sample in self.known.values()]
        if not samples:
            raise InputError(
                f"{self.pool.about} holds no {NOUNS[type(self.content)]} that can be used ({len(self.quarantine)} set aside, "
                f"{self.ignored} other files); expected {EXPECTED[type(self.content)]}{self._first_reason()}"
            )
        self.stale = self.stale or self.content.changed or samples != self.kept
        if self.content.changed:
            self.content.save(self.artefacts, self.project, samples)
        if samples != self.kept:
            self._write("samples.jsonl", map(asdict, samples))
            self._write("withdrawn.jsonl", ({"sample": sample.id} for sample in samples if sample.missing))
            self.kept = samples
        if whole and self.stale and isinstance(self.content, Images):
            self.content.save_near(self.artefacts, self.project, samples)
        if whole:
            aside = sorted(self.quarantine)
            write_lines(self.artefacts, quarantine_file(self.project), (entry._asdict() for entry in aside))
        if files != self.files:
            self._write("files.jsonl", (file._asdict() for file in files.values()))
            self.files = files
        self.unkept = 0
        return IngestReport(
            samples=len(samples),
            new=new,
            duplicates=sum(len(sample.paths) - 1 for sample in samples if not sample.missing),
            quarantined=len(self.quarantine),
            missing=sum(sample.missing for sample in samples),
            ignored=self.ignored,
        )

    def _write(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        write_lines(self.artefacts, pool_file(self.project, name), rows)

    def _first_reason(self) -> str:
        return f"; the first: {self.quarantine[0].path}: {self.quarantine[0].reason}" if self.quarantine else ""


def _waited(
    ahead: tuple[PoolEntry | Quarantined, Found | Future[Found]],
) -> tuple[PoolEntry | Quarantined, Found]:
    entry, found = ahead
    return entry, found.result() if isinstance(found, Future) else found


def _with_paths(sample: PoolSample, files: list[_File] | None) -> PoolSample:
    if files is None:
        return replace(sample, missing=True)
    names = tuple(dict.fromkeys(file.name for file in files if file.name))
    return replace(sample, paths=tuple(file.path for file in files), missing=False, names=names)


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
