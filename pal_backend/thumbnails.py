"""Pictures of one size for our pages, made when first asked for and kept in memory."""

from __future__ import annotations

import io
from collections import OrderedDict
from pathlib import Path
from threading import BoundedSemaphore, Lock

from pal_backend.core.vocabulary import SampleId
from pal_backend.errors import InputError, NotFoundError
from pal_backend.media import MediaFiles, Picture

SIDE = 160
"""Pixels: twice what the pages show, for screens of double density."""
DESK_SIDE = 300
"""Pixels: twice what Label Studio shows of a candidate (:data:`label_config.render.THUMBNAIL_PIXELS`)."""
KEPT_BYTES = 64_000_000
QUALITY = 85
AT_ONCE = 2
"""Pictures decoded at a time: one may take some hundred megabytes."""


class Thumbnails:
    """Makes small square pictures; safe to use from several threads.

    A sample is its content, so a thumbnail is never out of date; the least recently used ones go first.
    """

    def __init__(self, files: MediaFiles, side: int = SIDE, kept_bytes: int = KEPT_BYTES) -> None:
        self._files = files
        self._side = side
        self._limit = kept_bytes
        self._size = 0
        self._kept: OrderedDict[tuple[str, SampleId], bytes] = OrderedDict()
        self._lock = Lock()
        self._decoding = BoundedSemaphore(AT_ONCE)

    def get(self, project: str, pool: Path | None, sample: SampleId) -> Picture:
        """The small picture of a sample, a square WebP; its own shape is kept, the rest filled.

        Raises:
            NotFoundError: there is no such sample, or its file cannot be decoded (any more).
        """
        key = (project, sample)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return Picture(self._kept[key], "image/webp")
        content = self._files.read(project, pool, sample).content
        try:
            with self._decoding:
                small = _small(content, self._side)
        except InputError as problem:
            raise NotFoundError(f"sample {sample:.20} cannot be shown: {problem}") from None
        self._keep(key, small)
        return Picture(small, "image/webp")

    def _keep(self, key: tuple[str, SampleId], data: bytes) -> None:
        with self._lock:
            self._size += len(data) - len(self._kept.pop(key, b""))
            self._kept[key] = data
            while self._size > self._limit:
                self._size -= len(self._kept.popitem(last=False)[1])


def _small(content: bytes, side: int) -> bytes:
    """Decoders are loaded when the first picture is asked for: Label Studio's calls never need them."""
    from PIL import Image

    from pal_backend.images import decode

    buffer = io.BytesIO()
    Image.fromarray(decode(content, side).pixels).save(buffer, "WEBP", quality=QUALITY)
    return buffer.getvalue()
