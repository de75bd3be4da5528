"""What an ingested pool holds, as web and workers read it: samples, their files, their small images. numpy only."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.vocabulary import SampleId
from pal_backend.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from pal_backend.store.artefacts import Artefacts

MAX_FILE_BYTES = 50_000_000
"""Larger files are not read."""
LABEL_STUDIO = "label-studio:"
"""So begins a pool that is a project of Label Studio."""
MANIFESTS = (".csv", ".jsonl")
"""Endings of manifests."""
SIGNATURE_BYTES = 16
"""How many first bytes :func:`content_type` needs."""


@dataclass(frozen=True)
class PoolSample:
    """One image or text of the pool; identical files are one sample with several paths."""

    id: SampleId
    paths: tuple[str, ...]
    """Relative to the pool, with forward slashes, or addresses elsewhere; sorted; of a missing sample the last ones known."""
    width: int
    """Pixels, as a person sees the image; 0 of a text."""
    height: int
    missing: bool = False
    """No file holds it any more. It keeps its row, so that rows of model versions stay what they were."""
    names: tuple[str, ...] = ()
    """What the team calls it, where a manifest says."""


class Quarantined(NamedTuple):
    """A file that was set aside and is never served."""

    path: str
    reason: str


def pool_file(project: str, name: str) -> str:
    """Path of a file of the pool within the artefact folder."""
    return f"projects/{project}/pool/{name}"


def quarantine_file(project: str) -> str:
    """Path of the list of files set aside."""
    return f"projects/{project}/quarantine.jsonl"


def load_samples(artefacts: Artefacts, project: str) -> list[PoolSample]:
    """The samples of the pool; their order never changes, new ones are appended.

    Raises:
        NotFoundError: the pool was never ingested.
    """
    rows = read_lines(artefacts, pool_file(project, "samples.jsonl"))
    return [PoolSample(**{**row, "paths": tuple(row["paths"]), "names": tuple(row.get("names", ()))}) for row in rows]


def load_images(artefacts: Artefacts, project: str) -> NDArray[np.uint8]:
    """The small images, uint8 (N, S, S, C) with C 1 or 3, row by row those of :func:`load_samples`.

    Raises:
        NotFoundError: the pool was never ingested.
    """
    from safetensors.numpy import load

    count = len(load_samples(artefacts, project))
    images: NDArray[np.uint8] = load(artefacts.read(pool_file(project, "images.safetensors")))["images"]
    # Images are written before samples: after a crash between the two there are rows that no sample names yet.
    return images[:count]


def load_near(artefacts: Artefacts, project: str) -> dict[SampleId, SampleId]:
    """Near duplicates: each to the sample of the pool that stands for it; empty where none were looked for."""
    try:
        return {row["sample"]: row["near"] for row in read_lines(artefacts, pool_file(project, "near.jsonl"))}
    except NotFoundError:
        return {}


def load_withdrawn(artefacts: Artefacts, project: str) -> frozenset[SampleId]:
    """Samples that the pool has no more; a short file beside the long list of all."""
    try:
        return frozenset(row["sample"] for row in read_lines(artefacts, pool_file(project, "withdrawn.jsonl")))
    except NotFoundError:
        return frozenset()


def load_texts(artefacts: Artefacts, project: str) -> list[str]:
    """The texts, row by row those of :func:`load_samples`.

    Raises:
        NotFoundError: the pool was never ingested, or is one of images.
    """
    count = len(load_samples(artefacts, project))
    return [row["text"] for row in read_lines(artefacts, pool_file(project, "texts.jsonl"))][:count]


def copy_file(project: str, sample: SampleId) -> str:
    """Where the copy of a sample lies that came from elsewhere: pictures are shown without asking for them there again."""
    return pool_file(project, f"copies/{sample[:2]}/{sample}")


def local_root(pool: str) -> Path | None:
    """The folder below which a pool's relative paths lie; None of a pool elsewhere."""
    if "://" in pool or pool.startswith(LABEL_STUDIO):
        return None
    path = Path(pool)
    return path.parent if path.suffix.lower() in MANIFESTS and not path.is_dir() else path


def load_quarantine(artefacts: Artefacts, project: str) -> list[Quarantined]:
    """Files of the pool that were set aside, by path; empty if the pool was never ingested."""
    try:
        rows = read_lines(artefacts, quarantine_file(project))
    except NotFoundError:
        return []
    return [Quarantined(row["path"], row["reason"]) for row in rows]


def read_lines(artefacts: Artefacts, path: str) -> list[Any]:
    """JSON objects, one a line."""
    # Not splitlines(): texts may hold signs, such as U+2028, that it takes for ends of lines.
    return [json.loads(line) for line in artefacts.read(path).decode().split("\n") if line]


def write_lines(artefacts: Artefacts, path: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replace a file by JSON objects, one a line."""
    artefacts.write_file(path, "".join(json.dumps(row) + "\n" for row in rows).encode())


def first_paths(samples: Sequence[PoolSample]) -> dict[SampleId, str]:
    """The file that shows each sample; samples without a file are left out."""
    return {sample.id: sample.paths[0] for sample in samples if not sample.missing}


def read_inside(root: Path, relative: str, limit: int = MAX_FILE_BYTES) -> bytes:
    """Content of a regular file of the pool, never of one outside it.

    A link within the pool is followed, one that leads out is refused. Every part of the resolved path is opened without
    following links, so that a folder swapped for a link between check and opening is refused too.

    Raises:
        InputError: the path leads out of the pool, is no regular file, or holds more than ``limit`` bytes.
        NotFoundError: there is no such file.
    """
    parts = PurePosixPath(relative).parts
    if not parts or relative.startswith("/") or ".." in parts or "\0" in relative:
        raise InputError(f"{relative!r} is not a path inside the pool; expected one such as 'cats/1.png'")
    try:
        base = root.resolve(strict=True)
        target = base.joinpath(*parts).resolve(strict=True)
        if not target.is_relative_to(base):
            raise InputError(f"{relative} is a link that leads out of the pool; copy the file into the pool")
        descriptor = _open_plain(base, target.relative_to(base).parts)
        try:
            return _read(descriptor, relative, limit)
        finally:
            os.close(descriptor)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(f"{relative} is not in the pool any more") from None
    except (OSError, RuntimeError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise InputError(f"{relative} cannot be read: {reason}") from None


def _open_plain(base: Path, parts: Sequence[str]) -> int:
    folder = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for number, part in enumerate(parts, start=1):
        # O_NONBLOCK: opening a named pipe must not wait for a writer.
        kind = os.O_NONBLOCK if number == len(parts) else os.O_DIRECTORY
        try:
            inner = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | kind, dir_fd=folder)
        finally:
            os.close(folder)
        folder = inner
    return folder


def _read(descriptor: int, relative: str, limit: int) -> bytes:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise InputError(f"{relative} is not a regular file")
    chunks: list[bytes] = []
    size = 0
    while chunk := os.read(descriptor, 1 << 20):
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            raise InputError(
                f"{relative} is larger than the {limit / 1e6:g} MB that an image may have; make it smaller"
            )
    return b"".join(chunks)


def content_type(head: bytes) -> str | None:
    """Media type of an image we accept, told by its first :data:`SIGNATURE_BYTES` bytes; None for anything else."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    # "BM" alone would be any text that begins so: bytes 6-9 are reserved and zero in every bitmap.
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":
        return "image/bmp"
    return None
