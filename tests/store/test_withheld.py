"""Questions that are kept from somebody."""

from __future__ import annotations

import pytest
from redis import Redis

from pal_backend.errors import InputError
from pal_backend.store.withheld import Withheld


def test_kept_given_back_and_forgotten(redis: Redis) -> None:
    """The first word stands, of one project alone; given back it is kept from nobody, and known until it is forgotten."""
    withheld = Withheld(redis, "digits")
    withheld.keep("q1", "pairs", ["7", "3", "7"])
    withheld.keep("q1", "pairs", ["8"])
    withheld.keep("q2", "screens", ["3"])
    assert withheld.all() == {"q1": ("3", "7"), "q2": ("3",)}
    assert withheld.all("screens") == {"q2": ("3",)}
    withheld.give_back(["q1", "unknown"])
    assert withheld.all() == {"q1": (), "q2": ("3",)}
    assert withheld.all("pairs") == {"q1": ()}
    withheld.forget("q1")
    withheld.forget("q1")
    assert withheld.all() == {"q2": ("3",)}
    assert Withheld(redis, "birds").all() == {}


def test_kept_from_nobody_is_not_noted(redis: Redis) -> None:
    """So that refill has nothing to look after."""
    Withheld(redis, "digits").keep("q1", "pairs", [])
    assert redis.dbsize() == 0


@pytest.mark.parametrize("text", ["no JSON", "[]", '{"desk": "pairs"}', '{"desk": "pairs", "annotators": [7]}'])
def test_what_is_malformed_is_refused(redis: Redis, text: str) -> None:
    """The message says where it stands and what to do."""
    redis.hset("pal:digits:withheld", "q1", text)
    with pytest.raises(InputError, match=r"pal:digits:withheld q1.*"):
        Withheld(redis, "digits").all()
