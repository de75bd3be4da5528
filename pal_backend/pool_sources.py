"""Pools by what a person calls them: a folder, a manifest, ``s3://bucket/prefix``, or a project of Label Studio."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pal_backend.core.vocabulary import Medium
from pal_backend.errors import InputError
from pal_backend.pool_folder import TEXT_SUFFIXES, FolderPool, Pool
from pal_backend.pool_index import MANIFESTS
from pal_backend.pool_manifest import ManifestPool

EXPECTED = "a folder, FILE.csv or FILE.jsonl"


def read_pool(said: str, medium: Medium = Medium.IMAGE) -> str:
    """How a project keeps its pool: whole paths, addresses as they are. What is near is looked at.

    Raises:
        InputError: it is none of these, or its manifest cannot be used.
        NotFoundError: there is no such manifest.
    """
    path = Path(said).expanduser().absolute()
    if path.is_dir():
        return str(path)
    if path.suffix.lower() in MANIFESTS:
        if not sum(1 for _ in ManifestPool(path, medium).rows()):
            raise InputError(f"{path} names no sample; expected a line for each; see docs/pools.md")
        return str(path)
    raise InputError(f"{said!r:.200} is no pool; expected {EXPECTED}; see docs/pools.md")


def open_pool(pool: str, medium: Medium, fetch: Callable[[str], bytes] | None = None) -> Pool:
    """The pool of that name.

    Args:
        pool: as :func:`read_pool` gives it.
        medium: what its samples are.
        fetch: gets what is at an address.
    """
    path = Path(pool)
    if path.suffix.lower() in MANIFESTS and not path.is_dir():
        return ManifestPool(path, medium, fetch)
    return FolderPool(path, TEXT_SUFFIXES if medium is Medium.TEXT else None)
