"""Pools in an object store: ``s3://bucket/prefix``, by fsspec and the extra ``s3``.

Who may read the bucket is said as for every other program: ``AWS_*`` in the environment of the workers, or their role.
What is taken in is copied to the artefacts, so that the web process needs no way into the bucket.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import fsspec

from pal_backend.errors import AccessError, ConfigError, InputError, NotFoundError, PalError, UnavailableError
from pal_backend.pool_folder import PoolEntry, limited
from pal_backend.pool_index import MAX_FILE_BYTES, Quarantined

SCHEME = "s3://"
_ADDRESS = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/[^\0-\x1f]*)?\Z", re.ASCII)


@dataclass(frozen=True)
class S3Pool:
    """The objects below a prefix.

    Args:
        address: ``s3://bucket`` or ``s3://bucket/prefix``.
        suffixes: endings of objects that count; None: all do.
        limit: bytes that one may have.
        open_store: gives the file system of fsspec; None: s3fs with the environment's credentials.
    """

    address: str
    suffixes: frozenset[str] | None = None
    limit: int = MAX_FILE_BYTES
    at_once: int = 8
    open_store: Callable[[], Any] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not _ADDRESS.match(self.address):
            raise InputError(f"{self.address!r:.200} is no pool; expected s3://bucket/prefix; mend the address")

    @cached_property
    def _store(self) -> Any:
        """fsspec's store: safe to use from several threads."""
        return (self.open_store or _store)()

    def check(self) -> None:
        """Whether it could be opened here; nothing is sent.

        Raises:
            ConfigError: the extra ``s3`` is not installed.
        """
        _ = self._store

    @property
    def about(self) -> str:
        """Its address."""
        return self.address

    @property
    def _root(self) -> str:
        return self.address.removeprefix(SCHEME).rstrip("/")

    def entries(self) -> Iterator[PoolEntry | Quarantined]:
        """Every object below the prefix but hidden ones, by key.

        Raises:
            NotFoundError: there is no such bucket, or nothing below the prefix.
            AccessError: the credentials do not open it.
            UnavailableError: it cannot be reached.
            InputError: it holds too many.
        """
        with self._storage(self.address):
            self._store.invalidate_cache()
            found = sorted(limited(self._walk(), self.about), key=lambda entry: entry.path)
        if not found:
            raise NotFoundError(f"{self.address} holds nothing; expected objects below it; check bucket and prefix")
        return iter(found)

    def read(self, path: str) -> bytes:
        """Content of one object."""
        with self._storage(path):
            # One byte more than is allowed tells that there is more; the rest is never asked for.
            content = bytes(self._store.cat_file(f"{self._root}/{path}", start=0, end=self.limit + 1))
        if len(content) > self.limit:
            raise InputError(f"larger than the {self.limit / 1e6:g} MB that a file may have; make it smaller")
        return content

    def _walk(self) -> Iterator[PoolEntry | Quarantined]:
        for folder, folders, files in self._store.walk(self._root, detail=True, on_error="raise"):
            for name in [name for name in folders if name.startswith(".")]:
                del folders[name]
            for name, about in files.items():
                path = f"{folder}/{name}"[len(self._root) + 1 :]
                if not name or name.startswith(".") or about.get("type") != "file":
                    continue
                if self.suffixes is None or any(name.lower().endswith(suffix) for suffix in self.suffixes):
                    yield self._entry(path, about)

    def _entry(self, path: str, about: dict[str, Any]) -> PoolEntry | Quarantined:
        size = int(about.get("size") or 0)
        if size > self.limit:
            return Quarantined(path, f"{size / 1e6:.0f} MB; a file may have {self.limit / 1e6:g} MB; make it smaller")
        changed = about.get("LastModified")
        stamp = int(changed.timestamp() * 1e6) if isinstance(changed, datetime) else 0
        return PoolEntry(path, size, stamp, remote=True)

    @contextmanager
    def _storage(self, what: str) -> Iterator[None]:
        try:
            yield
        except PalError:
            raise
        except FileNotFoundError:
            raise NotFoundError(f"{what} is not there; check bucket and prefix") from None
        except PermissionError:
            raise AccessError(
                f"{self.address} may not be read with these credentials; expected leave to list and get; check AWS_PROFILE or "
                "AWS_ACCESS_KEY_ID of the workers"
            ) from None
        except Exception as problem:  # botocore, aiohttp and fsspec have no error in common
            raise UnavailableError(
                f"{self.address} cannot be read: {type(problem).__name__}: {problem!s:.200}; check AWS_ENDPOINT_URL and the "
                "credentials of the workers"
            ) from None


def _store() -> Any:
    try:
        return fsspec.filesystem("s3")
    except (ImportError, ValueError) as problem:
        raise ConfigError(
            f"s3:// cannot be opened ({problem!s:.200}); expected s3fs; install the extra: pip install 'pal-label-studio[s3]'"
        ) from None
