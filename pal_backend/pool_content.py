"""What an ingest makes of the content of files: small images, or texts, row by row as the samples stand."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from pal_backend.core.near import near_duplicates
from pal_backend.core.vocabulary import Medium, SampleId
from pal_backend.errors import InputError, NotFoundError
from pal_backend.images import decode, is_grey, resize
from pal_backend.pool_index import PoolSample, content_type, load_images, load_texts, pool_file, write_lines
from pal_backend.store.artefacts import Artefacts

IMAGE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".avif"}
)
"""Files with these endings are meant as images: when one is of no known type, that is reported."""
MAX_TEXT_CHARACTERS = 20_000
"""More than a person reads to compare it with another one."""


class Taken(NamedTuple):
    """A sample that was found: its id, and width and height of an image."""

    sample: SampleId
    width: int = 0
    height: int = 0


@dataclass
class Images:
    """Small images of ``side`` pixels, uint8 (S, S, 1 or 3)."""

    side: int
    pixels: dict[SampleId, NDArray[np.uint8]] = field(default_factory=dict)
    changed: bool = False
    """Whether something was taken since it was read."""

    def has(self, sample: SampleId) -> bool:
        """Whether its small image is kept, of this side."""
        return sample in self.pixels and len(self.pixels[sample]) == self.side

    def take(self, path: str, data: bytes) -> Taken | None:
        """Decode an image file; errors as :func:`pal_backend.images.decode`."""
        if content_type(data) is None and PurePath(path).suffix.lower() not in IMAGE_SUFFIXES:
            return None
        sample = hashlib.sha256(data).hexdigest()[:16]
        image = decode(data, self.side)
        self.pixels[sample], self.changed = image.pixels, True
        return Taken(sample, image.width, image.height)

    def save(self, artefacts: Artefacts, project: str, samples: Sequence[PoolSample]) -> None:
        """Write ``images.safetensors``."""
        images = self.stacked(samples)
        artefacts.write_file(pool_file(project, "images.safetensors"), save({"images": images}))
        self.changed = False

    def save_near(self, artefacts: Artefacts, project: str, samples: Sequence[PoolSample]) -> None:
        """Write ``near.jsonl``: which samples of the pool are near duplicates of which. One that is missing stands for none."""
        here = [sample for sample in samples if not sample.missing]
        found = near_duplicates(self.stacked(here)) if here else np.empty(0, np.int64)
        rows = np.flatnonzero(found != np.arange(len(found)))
        lines = ({"sample": here[row].id, "near": here[found[row]].id} for row in rows)
        write_lines(artefacts, pool_file(project, "near.jsonl"), lines)

    def stacked(self, samples: Sequence[PoolSample]) -> NDArray[np.uint8]:
        """One array (N, S, S, C): C is 1 if the whole pool is grey, else 3."""
        sized = [_sized(self.pixels[sample.id], self.side) for sample in samples]
        if all(is_grey(image) for image in sized):
            return np.stack([image[..., :1] for image in sized])
        return np.stack(sized)


@dataclass
class Texts:
    """Texts, in normal form NFC, with line ends as one sign and without blanks around."""

    texts: dict[SampleId, str] = field(default_factory=dict)
    changed: bool = False
    """Whether something was taken since it was read."""

    def has(self, sample: SampleId) -> bool:
        """Whether the text is kept."""
        return sample in self.texts

    def take(self, path: str, data: bytes) -> Taken | None:
        """Read a text; errors as :func:`read_text`."""
        text = read_text(data)
        sample = hashlib.sha256(text.encode()).hexdigest()[:16]
        self.texts[sample], self.changed = text, True
        return Taken(sample)

    def save(self, artefacts: Artefacts, project: str, samples: Sequence[PoolSample]) -> None:
        """Write ``texts.jsonl``."""
        rows = ({"id": sample.id, "text": self.texts[sample.id]} for sample in samples)
        write_lines(artefacts, pool_file(project, "texts.jsonl"), rows)
        self.changed = False


def read_text(data: bytes) -> str:
    """A sample's text.

    Raises:
        InputError: not UTF-8, empty, too long, or with a NUL in it.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise InputError(f"not UTF-8 at byte {problem.start}; save the text as UTF-8") from None
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
    if not text:
        raise InputError("an empty text; there is nothing to compare")
    if len(text) > MAX_TEXT_CHARACTERS:
        raise InputError(
            f"the text has {len(text):,} characters; {MAX_TEXT_CHARACTERS:,} are allowed; cut it into parts"
        )
    if "\0" in text:
        raise InputError("the text has a NUL in it, so it is none; expected text in UTF-8")
    return text


def content_of(
    medium: Medium, artefacts: Artefacts, project: str, samples: Sequence[PoolSample], side: int
) -> Images | Texts:
    """What was kept of these samples so far."""
    if medium is Medium.TEXT:
        texts = load_texts(artefacts, project) if samples else []
        return Texts({sample.id: text for sample, text in zip(samples, texts, strict=True)})
    images = load_images(artefacts, project) if samples else np.empty((0, side, side, 1), np.uint8)
    return Images(side, {sample.id: image for sample, image in zip(samples, images, strict=True)})


def medium_of(artefacts: Artefacts, project: str) -> Medium:
    """What a pool that was ingested holds, by what is kept of it.

    Raises:
        NotFoundError: it was never ingested.
    """
    kinds = {Medium.IMAGE: "images.safetensors", Medium.TEXT: "texts.jsonl"}
    for medium, file in kinds.items():
        if artefacts.exists(pool_file(project, file)):
            return medium
    raise NotFoundError(f"the pool of {project} was not taken in yet; expected its samples; run `pal init {project}`")


def _sized(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    colour = np.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image
    # Only a missing sample comes in another size: its file cannot be decoded again.
    return colour if len(colour) == side else resize(colour, side)
