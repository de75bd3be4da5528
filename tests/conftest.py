"""Fixtures for everything that needs Redis: a real server, an empty database for each test."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from pal_backend.redis_server import RedisServer
from pal_backend.settings import Settings
from pal_backend.store.connection import connect
from pal_backend.store.stores import Stores
from tests.browser import browser as browser  # noqa: PLC0414  a fixture
from tests.label_studio_server import label_studio  # noqa: F401  a fixture for whoever asks for it

DATABASES = 16
"""As many as Redis has by default."""


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real server, the same for all tests of this process."""
    with RedisServer(tmp_path_factory.mktemp("redis"), free_port()) as server:
        yield server


@pytest.fixture(scope="session")
def database_numbers() -> Iterator[int]:
    """Numbers of databases, in turn."""
    return itertools.cycle(range(DATABASES))


@pytest.fixture
def redis_url(redis_server: RedisServer, database_numbers: Iterator[int]) -> str:
    """An empty database of the server."""
    url = f"redis://127.0.0.1:{redis_server.port}/{next(database_numbers)}"
    with Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """A client of an empty database, as the stores use it."""
    with connect(redis_url) as client:
        yield client


@pytest.fixture
def settings(redis_url: str, tmp_path: Path) -> Settings:
    """Settings with an empty database and an empty home."""
    return Settings(home=tmp_path / "pal", redis_url=redis_url)


@pytest.fixture
def stores(settings: Settings) -> Stores:
    """The stores of an empty database and an empty artefact folder."""
    return Stores.open(settings)
