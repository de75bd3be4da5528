"""Pages hear that something has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import anyio
import pytest

from pal_backend import live
from pal_backend.errors import UnavailableError
from pal_backend.live import changes, short


def heard(stamp: Callable[[], str], looks: int) -> list[str]:
    """What a browser is sent until the server is about to end, after so many looks."""
    left = iter(range(looks))

    async def listen() -> list[str]:
        return [text async for text in changes(stamp, lambda: next(left, None) is None, look_seconds=0.0005)]

    return anyio.run(listen)


def test_each_change_is_told_once_and_the_first_at_once() -> None:
    """So that a page which connects late, or again, finds out what it missed."""
    stamps: Iterator[str] = iter("aabbbc")
    sent = heard(lambda: next(stamps), 6)
    assert sent[0].startswith("retry:")
    assert sent[1:] == [f"data: {short(one)}\n\n" for one in "abc"]


def test_a_quiet_stream_shows_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment now and then; proxies end what is silent, and browsers that are gone are noticed."""
    monkeypatch.setattr(live, "QUIET_LOOKS", 3)
    assert heard(lambda: "a", 8)[2:] == [": \n\n"] * 2


def test_the_stream_ends_when_it_cannot_look() -> None:
    """The browser connects again by itself."""

    def stamp() -> str:
        raise UnavailableError("no Redis")

    assert heard(stamp, 5) == ["retry: 2000\n\n"]


def test_a_stream_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the cookie is checked anew: a session that has ended must not go on listening for ever."""
    monkeypatch.setattr(live, "LONGEST_SECONDS", 0.005)
    assert len(heard(lambda: "a", 1000)) == 2
