"""What stands by a person's decision."""

from __future__ import annotations

from redis import Redis

from pal_backend.core.vocabulary import AnnotationKey
from pal_backend.store.kept import Kept


def test_decisions_add_up(redis: Redis) -> None:
    """Keys once kept stay kept, in one project alone; keeping none is fine."""
    kept = Kept(redis, "digits")
    kept.add([AnnotationKey("pairs", 1)])
    kept.add([])
    kept.add([AnnotationKey("pairs", 2), AnnotationKey("pairs", 1)])
    assert kept.all() == {AnnotationKey("pairs", 1), AnnotationKey("pairs", 2)}
    assert Kept(redis, "birds").all() == frozenset()
