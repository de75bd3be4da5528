"""What people call the groups: kept through merges, new versions and the loss of Redis."""

from __future__ import annotations

import numpy as np
import pytest

from pal_backend.core.grouping import Grouping
from pal_backend.core.posterior import Posterior
from pal_backend.errors import InputError, NotFoundError
from pal_backend.store.stores import Stores

IDS = tuple(f"{n:016x}" for n in range(4))


def believed(groups: tuple[int, ...], where: tuple[int, ...]) -> Grouping:
    """Sample i surely in the group that sample ``groups[where[i]]`` founded."""
    certain = np.eye(len(groups), dtype=np.float32)[list(where)]
    founders = tuple(IDS[k] for k in groups)
    alone, cannot = np.full(4, -1, np.int32), np.zeros((0, 2), np.int32)
    return Grouping.of(Posterior(IDS, founders, certain, alone, cannot))


TWO = believed((0, 2), (0, 0, 1, 1))


def test_a_name_goes_with_the_sample_that_founded_its_group(stores: Stores) -> None:
    """When groups merge the name that was given last stands; when they come apart each has its own again."""
    names = stores.names("p")
    names.give(IDS[0], "cats", 1.0, TWO)
    names.give(IDS[2], "dogs", 2.0, TWO)
    assert names.of(TWO) == {IDS[0]: "cats", IDS[2]: "dogs"}
    assert names.of(believed((1,), (0, 0, 0, 0))) == {IDS[1]: "dogs"}
    assert names.of(TWO) == {IDS[0]: "cats", IDS[2]: "dogs"}
    assert names.of(None) == {}


def test_naming_a_merged_group_replaces_the_names_it_came_with(stores: Stores) -> None:
    """A group has one name; that of the founder of its own counts before those that came in."""
    names = stores.names("p")
    names.give(IDS[0], "cats", 1.0, TWO)
    names.give(IDS[2], "dogs", 2.0, TWO)
    one = believed((0,), (0, 0, 0, 0))
    names.give(IDS[0], "  pets \n of all kinds ", 3.0, one)
    assert names.of(one) == {IDS[0]: "pets of all kinds"}
    assert list(names.all()) == [IDS[0]]
    names.give(IDS[0], "", 4.0, one)
    assert names.all() == {}


def test_names_outlive_redis(stores: Stores) -> None:
    """They cannot be had again from Label Studio, so the artefact folder has them too."""
    stores.names("p").give(IDS[2], "dogs", 2.0, TWO)
    stores.redis.flushdb()
    assert stores.names("p").of(TWO) == {IDS[2]: "dogs"}
    stores.names("p").give(IDS[0], "cats", 3.0, TWO)
    assert stores.names("p").of(TWO) == {IDS[0]: "cats", IDS[2]: "dogs"}


def test_a_name_taken_away_does_not_come_back(stores: Stores) -> None:
    """Neither from the file, nor when Redis is lost."""
    stores.names("p").give(IDS[2], "dogs", 2.0, TWO)
    stores.names("p").give(IDS[2], "", 3.0, TWO)
    assert stores.names("p").all() == {}
    stores.redis.flushdb()
    assert stores.names("p").all() == {}


def test_what_cannot_be_a_name(stores: Stores) -> None:
    """Long, unprintable, or of a group that is not there."""
    for text in ("x" * 61, "a\x00b", "a\u202eb"):
        with pytest.raises(InputError, match="expected one line"):
            stores.names("p").give(IDS[0], text, 1.0, TWO)
    with pytest.raises(NotFoundError, match="may have merged"):
        stores.names("p").give(IDS[1], "x", 1.0, TWO)


def test_what_others_wrote_is_checked(stores: Stores) -> None:
    """A malformed entry is an error in words."""
    stores.redis.hset("pal:p:names", IDS[0], "[]")
    with pytest.raises(InputError, match="pal:p:names"):
        stores.names("p").all()
