"""Clients of Redis and their errors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from pal_backend.errors import ConfigError, UnavailableError
from pal_backend.queues import Queues
from pal_backend.settings import Settings
from pal_backend.store.connection import connect
from pal_backend.store.sittings import Sittings
from pal_backend.store.stores import Stores
from tests.conftest import free_port

ACTS: dict[str, Callable[[Stores, Queues], object]] = {
    "a command": lambda stores, _: stores.ping(),
    "a transaction": lambda stores, _: stores.redis.pipeline().set("a", "b").execute(),
    "a script": lambda stores, _: stores.answers("p").apply(cursor="1-1"),
    "a watch": lambda stores, _: stores.sittings("p").wake(lambda _: None),
    "a read": lambda stores, _: stores.events("p").read("0-0", 1, 100),
    "enqueueing": lambda _, queues: queues.refill("p"),
    "looking at jobs": lambda _, queues: queues.jobs(),
}


@pytest.mark.parametrize("what", ACTS)
def test_no_server_is_unavailable_whatever_was_asked(what: str) -> None:
    """Every kind of call ends in one sentence that names the address and not the password."""
    url = f"redis://:secret@127.0.0.1:{free_port()}/0"
    with pytest.raises(UnavailableError, match=r"no Redis answers at 127\.0\.0\.1:\d+; expected") as caught:
        ACTS[what](Stores.open(Settings(redis_url=url)), Queues(url))
    assert "secret" not in str(caught.value)


def test_a_wrong_password_says_so(redis_server: object, redis_url: str) -> None:
    """The message tells a refused password from an absent server."""
    with pytest.raises(UnavailableError, match="refused the user or password"):
        connect(redis_url.replace("redis://", "redis://nobody:secret@")).ping()


def test_an_address_that_is_none_is_a_wrong_setting() -> None:
    """The message names REDIS_URL and what it may be, and repeats no password."""
    with pytest.raises(ConfigError, match="REDIS_URL") as caught:
        connect("http://user:secret@host")
    assert "secret" not in str(caught.value)


def test_other_errors_stay_what_they_are(redis: Redis) -> None:
    """A command on a key of another type is a bug, not an absent server."""
    redis.set("a", "b")
    with pytest.raises(ResponseError):
        redis.hget("a", "b")


def test_values_are_text(redis: Redis) -> None:
    """The stores' client gives str."""
    redis.set("a", "é")
    assert redis.get("a") == "é"


def test_a_lost_connection_is_taken_up_again(redis: Redis) -> None:
    """After the server dropped every connection the next command, transaction and script work."""
    for act in (
        redis.ping,
        lambda: Sittings(redis, "p").take("x", 1),
        lambda: redis.pipeline().get("a").execute(),
    ):
        redis.client_kill_filter(_type="normal", skipme=False)
        act()
