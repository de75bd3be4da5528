"""Entry points: found by name, loaded when asked for, and told of when they cannot be."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from pal_backend.core import plugged
from pal_backend.errors import ConfigError, InputError


def point(value: str) -> EntryPoint:
    """An entry point that leads there."""
    return EntryPoint("mine", value, "pal_backend.things")


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    """Nothing is imported for it."""
    with pytest.raises(InputError, match="thing 'mine' is not known; use one of ours, theirs"):
        plugged.find("pal_backend.things", "mine", "thing", ["ours", "theirs"])
    assert plugged.names("pal_backend.things") == []


def test_what_it_leads_to_is_loaded() -> None:
    """A callable, whatever it is."""
    assert plugged.load(point("json:loads"), "thing", "(text) -> value")("[1]") == [1]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("no_such_package:thing", "cannot be imported: ModuleNotFoundError"),
        ("json:nothing", "cannot be imported: AttributeError"),
        ("json:__name__", r"is of type str; expected a callable \(text\) -> value; mend its entry point"),
    ],
)
def test_what_cannot_be_used_is_told(value: str, words: str) -> None:
    """With the place that registered it."""
    with pytest.raises(ConfigError, match=f"thing 'mine' of an unknown package .*{words}"):
        plugged.load(point(value), "thing", "(text) -> value")
