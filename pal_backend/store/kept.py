"""Annotations that stand although Label Studio lost them, because a person decided so.

Key:
    ``pal:{p}:kept`` set of AnnotationKeys, written by `pal sync --keep`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from redis import Redis
from redis.client import Pipeline

from pal_backend.core.vocabulary import AnnotationKey
from pal_backend.store.records import read_key


class Kept:
    """The decisions of one project."""

    def __init__(self, redis: Redis, project: str) -> None:
        self._redis = redis
        self._kept = f"pal:{project}:kept"

    def add(self, keys: Iterable[AnnotationKey], pipe: Pipeline | None = None) -> None:
        """These stand from now on."""
        fields = [str(key) for key in keys]
        if fields:
            (self._redis if pipe is None else pipe).sadd(self._kept, *fields)

    def all(self) -> frozenset[AnnotationKey]:
        """All that stand by decision.

        Raises:
            InputError: one of them is malformed.
        """
        found = cast("set[str]", self._redis.smembers(self._kept))
        return frozenset(read_key(field, self._kept) for field in found)
