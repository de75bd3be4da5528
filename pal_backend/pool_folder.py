"""A pool as an ingest sees it, and the plainest one: a folder of files on this machine."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from pal_backend.errors import InputError
from pal_backend.pool_index import Quarantined, read_inside

MAX_ENTRIES = 1_000_000
"""Files of one pool."""
TEXT_SUFFIXES = frozenset({".txt", ".text", ".md"})
"""Endings of the files that are the texts of a folder."""

Entry = TypeVar("Entry")


class PoolEntry(NamedTuple):
    """A file of the pool as a walk sees it: enough to tell that it did not change."""

    path: str
    """Relative to the pool, or the address it has elsewhere."""
    bytes: int
    """-1 where that is not known beforehand."""
    mtime_ns: int
    """When it changed last, or another whole number that changes with the content."""
    name: str = ""
    """What the team calls it, if they say."""
    remote: bool = False
    """Whether it is fetched from elsewhere, so that a copy has to be kept."""


class Pool(Protocol):
    """Where samples come from."""

    @property
    def about(self) -> str:
        """What messages call it."""

    @property
    def at_once(self) -> int:
        """Files that may be read at a time."""

    def entries(self) -> Iterator[PoolEntry | Quarantined]:
        """Every file, in an order that is the same each time.

        Raises:
            PalError: the pool is not there, cannot be read, or is too large.
        """

    def read(self, path: str) -> bytes:
        """Content of one file, once :meth:`entries` has told of it; safe to call from several threads.

        Raises:
            InputError: it must not be read, or is too large; the message says why.
            NotFoundError: it is gone.
            UnavailableError: it cannot be had now.
        """


@dataclass(frozen=True)
class FolderPool:
    """A folder of files on this machine."""

    root: Path
    suffixes: frozenset[str] | None = None
    """Endings of files that count; None: all do."""
    at_once: int = 1

    @property
    def about(self) -> str:
        """Its path."""
        return str(self.root)

    def entries(self) -> Iterator[PoolEntry | Quarantined]:
        """Every file below the folder but hidden ones, sorted by path.

        Links to folders are not walked: those that stay inside would give every file twice, others lead out of the pool.

        Raises:
            InputError: the folder is not there.
        """
        if not self.root.is_dir():
            raise InputError(f"{self.root} is not a folder; give the folder that holds the samples")
        return iter(sorted(limited(self._walk(), self.about), key=lambda entry: entry.path))

    def _walk(self) -> Iterator[PoolEntry | Quarantined]:
        base = self.root.resolve()
        closed: list[OSError] = []
        for folder, folders, files in os.walk(base, onerror=closed.append):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in (*files, *folders):
                path = Path(folder, name)
                if name.startswith(".") or (name in folders and not path.is_symlink()):
                    continue
                if self.suffixes is not None and path.suffix.lower() not in self.suffixes:
                    continue
                entry = entry_at(base, path)
                if entry is not None:
                    yield entry
        for problem in closed:
            inside = Path(problem.filename).relative_to(base).as_posix()
            yield Quarantined(inside, f"a folder that cannot be read: {problem.strerror}")

    def read(self, path: str) -> bytes:
        """Content of one file of the pool; errors as :func:`pal_backend.pool_index.read_inside`."""
        return read_inside(self.root, path)


def entry_at(base: Path, path: Path) -> PoolEntry | Quarantined | None:
    """What a path below ``base``, which is resolved, is; None for a folder and for what has gone meanwhile."""
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


def limited(entries: Iterable[Entry], about: str, most: int = MAX_ENTRIES) -> Iterator[Entry]:
    """The entries, as long as they are not too many.

    Raises:
        InputError: there are more than ``most``.
    """
    for number, entry in enumerate(entries):
        if number == most:
            raise InputError(f"{about} holds more than {most:,} files; a pool may have so many; give a part of it")
        yield entry
