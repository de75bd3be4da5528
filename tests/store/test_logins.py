"""Attempts to sign in."""

from __future__ import annotations

from pal_backend.store.logins import MOST_TRIES, WINDOW_S
from pal_backend.store.stores import Stores


def test_an_address_has_so_many_tries_a_minute(stores: Stores) -> None:
    """Others are not kept waiting by it; going on trying does not lengthen the minute."""
    assert [stores.logins.count("a") for _ in range(MOST_TRIES + 2)] == [True] * MOST_TRIES + [False] * 2
    assert stores.logins.count("b")
    stores.redis.expire("pal:logins:a", 5)
    assert not stores.logins.count("a")
    assert stores.redis.ttl("pal:logins:a") <= 5 < WINDOW_S


def test_coming_in_costs_no_try_and_gives_none_back(stores: Stores) -> None:
    """However often the right ones come, wrong ones add up."""
    for _ in range(MOST_TRIES - 1):
        assert stores.logins.count("a")
        for _ in range(3):
            assert stores.logins.count("a")
            stores.logins.forget("a")
    assert stores.logins.count("a") and not stores.logins.count("a")
    stores.logins.forget("c")
    assert stores.redis.ttl("pal:logins:c") > 0
