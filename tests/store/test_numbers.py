"""What groups without a name are called."""

from __future__ import annotations

from pal_backend.store.numbers import Numbers
from pal_backend.store.stores import Stores


def test_a_number_stays_with_its_group_and_is_never_given_twice(stores: Stores) -> None:
    """Whatever groups come and go, and whatever people call theirs."""
    numbers = Numbers(stores.artefacts, "p")
    assert numbers.labels(["a", "b"], {}) == {"a": "group 1", "b": "group 2"}
    assert numbers.labels(["c", "b"], {"b": "birds", "x": "group 3"}) == {"c": "group 4", "b": "birds"}
    assert Numbers(stores.artefacts, "p").labels(["d", "b", "a"], {}) == {
        "d": "group 5",
        "b": "group 2",
        "a": "group 1",
    }
