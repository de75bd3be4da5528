"""Pictures of a pool, shown to annotators' browsers under signed URLs: its files, or the copies of what lies elsewhere.

Label Studio sends no credential with a picture, and a task's data never changes, so the signature has no expiry: whoever
has the URL can see that one picture until `pal rotate-media` changes the key.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import quote

from pal_backend.core.vocabulary import SampleId
from pal_backend.errors import InputError, NotFoundError
from pal_backend.pool_index import SIGNATURE_BYTES, content_type, copy_file, load_samples, read_inside

if TYPE_CHECKING:
    from pal_backend.store.artefacts import Artefacts

REREAD_SECONDS = 60.0
"""After this long the pool's list is read again: a sample may have been set aside."""
MISS_SECONDS = 2.0
"""An unknown sample makes the list be read again, at most this often: it may just have been added."""


@dataclass(frozen=True)
class MediaLinks:
    """Makes and checks the URLs of pictures. The key is hidden from ``repr``."""

    key: str = field(repr=False)
    base_url: str
    """How browsers reach the web process, without a slash at its end."""

    def url(self, project: str, sample: SampleId) -> str:
        """Where a browser finds a sample's picture."""
        return f"{self.base_url}/media/{quote(project)}/{quote(sample)}?sig={self.sign(project, sample)}"

    def small(self, project: str, sample: SampleId) -> str:
        """Where a browser finds the picture in the one size that candidates of a screen have."""
        return f"{self.url(project, sample)}&small=1"

    def sign(self, project: str, sample: SampleId) -> str:
        """HMAC-SHA256 of project and sample, 32 hex digits."""
        return hmac.new(self.key.encode(), f"media/{project}/{sample}".encode(), hashlib.sha256).hexdigest()[:32]

    def check(self, project: str, sample: SampleId, signature: str) -> None:
        """Let a request with our signature pass.

        Raises:
            NotFoundError: the signature is another; it reads like a picture that is not there.
        """
        if not hmac.compare_digest(self.sign(project, sample).encode(), signature.encode("utf-8", "replace")):
            raise _missing()


@dataclass(frozen=True)
class Picture:
    """A file of the pool, as it is sent."""

    content: bytes
    media_type: str
    """One of a few raster image types."""


class MediaFiles:
    """Finds the files of samples. Keeps the list of each pool for a minute; safe to use from several threads."""

    def __init__(self, artefacts: Artefacts, clock: Callable[[], float]) -> None:
        self._artefacts = artefacts
        self._clock = clock
        self._lists: dict[str, tuple[float, Mapping[SampleId, tuple[str, ...]]]] = {}
        self._lock = Lock()

    def read(self, project: str, pool: Path | None, sample: SampleId) -> Picture:
        """The picture of a sample.

        Args:
            project: whose it is.
            pool: the folder its paths lie in; None of a pool elsewhere.
            sample: which one.

        Raises:
            NotFoundError: the sample is unknown, set aside, gone, changed since it was listed, or no raster image.
        """
        for content in self._contents(project, pool, sample):
            media_type = content_type(content[:SIGNATURE_BYTES])
            # A sample is its content: what was put in the file's place since then is another sample.
            if media_type is not None and hashlib.sha256(content).hexdigest().startswith(sample):
                return Picture(content, media_type)
        raise _missing()

    def _contents(self, project: str, pool: Path | None, sample: SampleId) -> Iterator[bytes]:
        paths = self._paths(project, sample)
        for path in paths:
            if pool is not None and "://" not in path:
                try:
                    yield read_inside(pool, path)
                except (NotFoundError, InputError):
                    continue
        if paths:
            try:
                yield self._artefacts.read(copy_file(project, sample))
            except (NotFoundError, InputError):
                return

    def _paths(self, project: str, sample: SampleId) -> tuple[str, ...]:
        with self._lock:
            read_at, paths = self._lists.get(project, (float("-inf"), {}))
            age = self._clock() - read_at
            if age > REREAD_SECONDS or (sample not in paths and age > MISS_SECONDS):
                samples = load_samples(self._artefacts, project)
                paths = {one.id: one.paths for one in samples if not one.missing}
                self._lists[project] = (self._clock(), paths)
        return paths.get(sample, ())


def _missing() -> NotFoundError:
    return NotFoundError(
        "there is no such picture; expected a link that PAL made; run `pal rotate-media` if links are old"
    )
