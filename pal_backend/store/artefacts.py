"""Files that processes share: pools, model versions, revisions. A local folder, or any fsspec URL (s3://, memory://).

No Redis key is owned here. A file or folder appears whole or not at all. A local one is written beside its place, flushed
to the disk and renamed; an object store cannot rename, so there a folder counts only once a pointer file names it.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import fsspec
from fsspec.implementations.local import LocalFileSystem

from pal_backend.errors import ConfigError, ConflictError, InputError, NotFoundError, UnavailableError

PRIVATE = 0o700
"""Mode of folders we make: pools may hold anything, and secrets.json lies beside them."""


class Artefacts:
    """Files under one root.

    Args:
        root: a folder, made when something is first written, or an fsspec URL such as ``s3://bucket/prefix``.

    Raises:
        ConfigError: no file system is installed for the URL.
    """

    def __init__(self, root: str) -> None:
        try:
            self._fs, self._root = fsspec.core.url_to_fs(root)
        except (ImportError, ValueError) as problem:
            raise ConfigError(
                f"PAL_ARTEFACTS={root!r} cannot be opened ({problem}); expected a folder or an fsspec URL; "
                "for s3:// install pal-label-studio[s3]"
            ) from None
        self.root = root
        self.local = isinstance(self._fs, LocalFileSystem)
        """Whether a folder appears by one rename."""

    def write_folder(self, path: str, files: Mapping[str, bytes], *, replace: bool = True) -> None:
        """Make the folder ``path`` hold just ``files`` (name to bytes).

        Args:
            path: where, below the root.
            files: what it holds; a name may have a folder in it.
            replace: whether a folder that is there already gives way.

        Raises:
            ConflictError: it is there already and ``replace`` is False.
            InputError: the path or a name leads out of the root.
            UnavailableError: the storage refuses or is full.
        """
        places = {name: self._place(f"{path}/{name}") for name in files}
        with _storage(path, self.root):
            if self.local:
                self._write_local(Path(self._place(path)), files, replace)
                return
            if not replace and self.exists(path):
                raise ConflictError(f"{path} is there already; expected a new name; take the next free one")
            self.remove(path)
            for name, data in files.items():
                self._fs.pipe_file(places[name], data)

    def _write_local(self, folder: Path, files: Mapping[str, bytes], replace: bool) -> None:
        _make_private(folder.parent)
        beside = folder.parent / f".tmp-{folder.name}-{secrets.token_hex(4)}"
        beside.mkdir(mode=PRIVATE)
        try:
            for name, data in files.items():
                (beside / name).parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
                _write_flushed(beside / name, data)
            _flush_folder(beside)
            _put_in_place(beside, folder, replace)
            _flush_folder(folder.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def write_file(self, path: str, data: bytes) -> None:
        """Replace the file ``path``: a reader sees the old bytes or the new.

        Raises:
            InputError: the path leads out of the root.
            UnavailableError: the storage refuses or is full.
        """
        place = self._place(path)
        with _storage(path, self.root):
            if not self.local:
                self._fs.pipe_file(place, data)
                return
            file = Path(place)
            _make_private(file.parent)
            beside = file.parent / f".tmp-{file.name}-{secrets.token_hex(4)}"
            try:
                _write_flushed(beside, data)
                beside.replace(file)
                _flush_folder(file.parent)
            finally:
                beside.unlink(missing_ok=True)

    def read(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        """The bytes of a file, or those from ``start`` up to ``end``.

        Raises:
            NotFoundError: there is no such file.
            InputError: the path leads out of the root.
            UnavailableError: the storage refuses.
        """
        place = self._place(path)
        with _storage(path, self.root):
            try:
                return bytes(self._fs.cat_file(place, start=start, end=end))
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                raise NotFoundError(
                    f"the artefact {path} is not there; expected it under {self.root}; check PAL_HOME and PAL_ARTEFACTS"
                ) from None

    def exists(self, path: str) -> bool:
        """Whether a file or folder is there."""
        place = self._place(path)
        self._fs.invalidate_cache()
        return bool(self._fs.exists(place))

    def list(self, path: str) -> list[str]:
        """Names in a folder, sorted; unfinished ones are left out, and an absent folder is empty."""
        place = self._place(path)
        self._fs.invalidate_cache()
        try:
            found = self._fs.ls(place, detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        names = {PurePosixPath(item).name for item in found if item.rstrip("/") != place}
        return sorted(name for name in names if not name.startswith("."))

    def remove(self, path: str) -> None:
        """Remove a file or folder; an absent one is fine."""
        place = self._place(path)
        if place == self._root:
            raise InputError("the whole artefact folder cannot be removed; expected a path in it; name one")
        self._fs.invalidate_cache()
        try:
            self._fs.rm(place, recursive=True)
        except FileNotFoundError:
            return

    def _place(self, path: str) -> str:
        parts = path.split("/")
        if (
            path.startswith(("/", "~"))
            or "\\" in path
            or "\0" in path
            or not all(p and p not in {".", ".."} for p in parts)
        ):
            raise InputError(f"the path {path!r:.100} leads elsewhere; expected names joined by '/'; use such a path")
        place = f"{self._root.rstrip('/')}/{path}"
        # A link inside the folder must not lead out of it either.
        if self.local and not Path(place).resolve().is_relative_to(Path(self._root).resolve()):
            raise InputError(
                f"the path {path!r:.100} leads out of the artefact folder; expected one inside; remove the link"
            )
        return place


@contextmanager
def _storage(path: str, root: str) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise UnavailableError(
            f"the artefact {path} cannot be kept or read ({problem.strerror or type(problem).__name__}); expected "
            f"{root} to allow it; check that storage, its space and its permissions"
        ) from problem


def _make_private(folder: Path) -> None:
    """Make a folder and those above it; ``mkdir(parents=True)`` would give the upper ones the usual mode."""
    if folder.is_dir():
        return
    _make_private(folder.parent)
    folder.mkdir(mode=PRIVATE, exist_ok=True)


def _write_flushed(file: Path, data: bytes) -> None:
    with file.open("xb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())


def _flush_folder(folder: Path) -> None:
    """A rename is on the disk only when its folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _put_in_place(beside: Path, folder: Path, replace: bool) -> None:
    """Rename ``beside`` to ``folder``; what was there ends up under the first name."""
    try:
        beside.rename(folder)
    except OSError:
        if not folder.exists():
            raise
        if not replace:
            raise ConflictError(
                f"{folder.name} is there already; expected a new name; take the next free one"
            ) from None
        if _exchange(beside, folder):
            return
        # Without an exchange there is an instant in which neither is there; never one in which half is.
        aside = beside.with_name(beside.name + "-old")
        folder.rename(aside)
        beside.rename(folder)
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two paths in one step (Linux ``renameat2``); False where that cannot be done."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return int(renameat2(here, os.fsencode(first), here, os.fsencode(second), exchange)) == 0
