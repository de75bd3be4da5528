"""What desks ask for in Label Studio is kept by desk."""

from __future__ import annotations

import pytest

from pal_backend.core.choice import Choice
from pal_backend.errors import InputError
from pal_backend.store.stores import Stores


def test_what_a_desk_asks_for_is_kept_until_it_asks_for_nothing(stores: Stores) -> None:
    """Each desk for itself; an empty choice leaves no trace."""
    asked = stores.asked("birds")
    asked.put("screens", Choice(recipe="vicreg"))
    asked.put("pairs", Choice(backbone="small", weights="w.safetensors", tuning="head"))
    assert asked.all() == {
        "pairs": Choice(backbone="small", weights="w.safetensors", tuning="head"),
        "screens": Choice(recipe="vicreg"),
    }
    asked.put("pairs", Choice())
    assert list(asked.all()) == ["screens"]
    assert stores.asked("fish").all() == {}


def test_a_malformed_entry_is_named(stores: Stores) -> None:
    """Redis is not ours alone."""
    stores.redis.hset("pal:birds:asked", "pairs", '{"recipe": 5}')
    with pytest.raises(InputError, match="pal:birds:asked pairs recipe"):
        stores.asked("birds").all()
