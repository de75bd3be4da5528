"""Pools by what a person calls them: a folder, a manifest, ``s3://bucket/prefix``, or a project of Label Studio."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from pal_backend.core.vocabulary import Medium
from pal_backend.errors import InputError
from pal_backend.fetch_targets import AllowList
from pal_backend.label_studio import LabelStudio
from pal_backend.pool_folder import TEXT_SUFFIXES, FolderPool, Pool
from pal_backend.pool_index import LABEL_STUDIO, MANIFESTS
from pal_backend.pool_label_studio import LabelStudioPool, read_address
from pal_backend.pool_manifest import ManifestPool
from pal_backend.pool_s3 import SCHEME, S3Pool
from pal_backend.resolver import Limits, Resolver
from pal_backend.settings import Settings

EXPECTED = "a folder, FILE.csv, FILE.jsonl, s3://bucket/prefix or label-studio:ID"
PASS_SECONDS = 60.0
"""A header that opens Label Studio is used again for so long; it is good for five minutes."""


def read_pool(said: str, medium: Medium = Medium.IMAGE) -> str:
    """How a project keeps its pool: whole paths, addresses as they are. What is near is looked at.

    Raises:
        InputError: it is none of these, or its manifest cannot be used.
        NotFoundError: there is no such manifest.
        ConfigError: the extra ``s3`` is not installed.
    """
    if said.startswith(SCHEME):
        S3Pool(said).check()
        return said
    if said.startswith(LABEL_STUDIO):
        read_address(said)
        return said
    path = Path(said).expanduser().absolute()
    if path.is_dir():
        return str(path)
    if path.suffix.lower() in MANIFESTS:
        if not sum(1 for _ in ManifestPool(path, medium).rows()):
            raise InputError(f"{path} names no sample; expected a line for each; see docs/pools.md")
        return str(path)
    raise InputError(f"{said!r:.200} is no pool; expected {EXPECTED}; see docs/pools.md")


@dataclass(frozen=True)
class Sources:
    """Opens pools; ``label_studio`` makes a client, for pools that need one."""

    settings: Settings
    label_studio: Callable[[], LabelStudio]

    def open(self, pool: str, medium: Medium = Medium.IMAGE) -> Pool:
        """The pool of that name, as :func:`read_pool` gives it.

        Raises:
            InputError, ConfigError: it cannot be opened here.
        """
        suffixes = TEXT_SUFFIXES if medium is Medium.TEXT else None
        if pool.startswith(SCHEME):
            return S3Pool(pool, suffixes)
        if pool.startswith(LABEL_STUDIO):
            client = self.label_studio()
            return LabelStudioPool(pool, client, self.resolver(lambda: client), medium)
        path = Path(pool)
        if path.suffix.lower() in MANIFESTS and not path.is_dir():
            return ManifestPool(path, medium, self.resolver(self.label_studio).fetch)
        return FolderPool(path, suffixes)

    def resolver(self, label_studio: Callable[[], LabelStudio]) -> Resolver:
        """What fetches samples from elsewhere, as the settings allow it."""
        return Resolver(
            AllowList.parse(self.settings.allowed_hosts),
            Limits(self.settings.fetch_bytes, float(self.settings.fetch_seconds)),
            self.settings.label_studio_url,
            _Pass(label_studio),
        )


class _Pass:
    """The header that opens Label Studio, asked for when the first sample needs it."""

    def __init__(self, label_studio: Callable[[], LabelStudio]) -> None:
        self._make = label_studio
        self._client: LabelStudio | None = None
        self._header, self._since = "", float("-inf")
        self._lock = Lock()

    def __call__(self) -> str:
        with self._lock:
            if time.monotonic() - self._since > PASS_SECONDS:
                self._client = self._client or self._make()
                self._header, self._since = self._client.authorization(), time.monotonic()
            return self._header
