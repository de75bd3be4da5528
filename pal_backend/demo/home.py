"""The demo's folder: who uses it, and the settings that follow from it and from the options."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pal_backend.demo.ports import HOST, Port
from pal_backend.errors import ConflictError
from pal_backend.settings import Settings

LOGS = "logs"
PROJECT = "demo"
DIGITS_FOLDER = "digits"
DIGITS_LABELS = "digits-hidden-labels.json"


@dataclass(frozen=True)
class Options:
    """What `pal demo` was asked for."""

    home: Path = Path(".pal")
    answers: int = 0
    """How many questions a simulated annotator answers; 0: none, a person does."""
    images: Path | None = None
    """Folder of images; None: scikit-learn's digits."""
    port: int = 9090
    label_studio_port: int = 8080
    redis_port: int = 6399
    label_studio: str = ""
    """Its command; empty: found."""

    @property
    def ports(self) -> tuple[Port, ...]:
        """Every port that must be free."""
        return (
            Port(self.port, "the web process", "--port", "PORT"),
            Port(self.label_studio_port, "Label Studio", "--label-studio-port", "LABEL_STUDIO_PORT"),
            Port(self.redis_port, "Redis", "--redis-port", "REDIS_PORT"),
        )

    @property
    def pool(self) -> Path:
        """Folder of the images that are shown."""
        return (self.images or self.home / DIGITS_FOLDER).absolute()

    def settings(self, given: Settings) -> Settings:
        """The settings of all our processes: everything on 127.0.0.1, the rest as ``given``."""
        return replace(
            given,
            home=self.home.absolute(),
            redis_url=f"redis://{HOST}:{self.redis_port}/0",
            label_studio_url=f"http://{HOST}:{self.label_studio_port}",
            label_studio_token="",
            host=HOST,
            port=self.port,
            backend_url=f"http://{HOST}:{self.port}",
        )


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold the folder for this process; the lock goes with the process, however it ends.

    Raises:
        ConflictError: another `pal demo` holds it.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home / "demo.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(
                f"another `pal demo` runs on {home}; stop it with Ctrl-C first, or choose another folder with --home"
            ) from None
        yield
