"""Everything that can be set from outside, read once into a frozen value. The only module that reads the environment."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pal_backend.errors import ConfigError


@dataclass(frozen=True)
class Settings:
    """Settings of web, worker and command line alike; :data:`VARIABLES` says how each is spelt in the environment."""

    home: Path = Path(".pal")
    artefacts: str = ""
    """Folder or fsspec URL (s3://bucket/prefix) of pools, versions and revisions; empty: ``home``."""
    redis_url: str = "redis://127.0.0.1:6399/0"
    label_studio_url: str = "http://127.0.0.1:8080"
    label_studio_token: str = ""
    """Personal access token or legacy token; empty: the one in ``secrets.json``."""
    host: str = "127.0.0.1"
    port: int = 9090
    public_url: str = ""
    """How the annotators' browsers reach the web process; empty: http://host:port."""
    backend_url: str = ""
    """How Label Studio reaches the web process; empty: ``public_url``."""
    trusted_proxies: str = ""
    """Addresses or networks, with commas between them, that tell who the client is (``X-Forwarded-For``)."""
    label_studio_sign_in: str = "yes"
    """Whether people may come into the pages with their Label Studio access token: yes or no."""
    basic_auth_user: str = ""
    basic_auth_password: str = ""
    webhook_secret: str = ""
    max_body_bytes: int = 10_000_000
    log_level: str = "INFO"
    device: str = "auto"
    """auto, cpu or cuda."""
    image_size: int = 32
    """Side in pixels of the images that version 0 and training see."""
    open_questions: int = 10
    """Least number of open questions on a desk; three for each active annotator when that is more."""
    task_lock_seconds: int = 86_400
    """Label Studio's TASK_LOCK_TTL, which its API does not tell: how long a task may stay open in somebody's tab."""
    train_after_answers: int = 200
    train_epochs: int = 30
    train_processes: int = 0
    """Processes of one training; 0 is one for each CUDA device, and one without."""
    checkpoint_seconds: int = 20
    """How often a training keeps where it is."""
    reconcile_seconds: int = 180
    idle_seconds: int = 60
    """How long a learn sitting waits for another answer before it ends."""
    seed: int = 0
    recipe: str = ""
    """How projects learn that say nothing themselves; empty: as :mod:`pal_backend.core.choice` has it."""
    backbone: str = ""
    weights: str = ""
    tuning: str = ""
    allowed_hosts: str = ""
    """Hosts from which samples may be fetched, with commas between them; Label Studio's own needs not be listed."""
    fetch_bytes: int = 20_000_000
    """Largest sample that is fetched."""
    fetch_seconds: int = 30
    """Longest time that fetching one sample may take."""
    pool_seconds: int = 3600
    """How often workers look for new samples in the pools; 0 is never by themselves."""
    backbones: str = "small"
    """Backbones that the extra parameters of an ML backend in Label Studio may name, with commas between them."""

    @property
    def public(self) -> str:
        """Base URL for browsers, without a slash at its end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def backend(self) -> str:
        """Base URL for Label Studio, without a slash at its end."""
        return (self.backend_url or self.public).rstrip("/")

    @property
    def artefact_root(self) -> str:
        """Folder or URL under which ``projects/<name>/`` lives."""
        return self.artefacts or str(self.home)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the environment (or the mapping given).

        Raises:
            ConfigError: a variable has a value that cannot be used; all of them are named at once.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        problems: list[str] = []
        for name, (variable, read) in VARIABLES.items():
            text = environ.get(variable, "")
            if not text:
                continue
            try:
                values[name] = read(text)
            except ValueError as problem:
                problems.append(f"{variable}={_shown(variable, text)!r}: {problem}")
        if problems:
            raise ConfigError("these settings cannot be used: " + "; ".join(problems))
        return cls(**values)

    def to_env(self) -> dict[str, str]:
        """The variables that give these settings to a child process; defaults are left out."""
        default = Settings()
        return {
            VARIABLES[f.name][0]: str(getattr(self, f.name))
            for f in fields(self)
            if getattr(self, f.name) != getattr(default, f.name)
        }


def child_environment(settings: Settings, **extra: str) -> dict[str, str]:
    """This process' environment with ``settings`` and ``extra`` in it, for a child process.

    Our own variables are taken out first: a setting that has its default again is left out of ``to_env``.
    """
    ours = {variable for variable, _ in VARIABLES.values()}
    rest = {name: value for name, value in os.environ.items() if name not in ours}
    return {**rest, **settings.to_env(), **extra}


def process_environment() -> dict[str, str]:
    """A copy of this process' environment, for children that are not ours (Label Studio, Redis)."""
    return dict(os.environ)


def _shown(variable: str, text: str) -> str:
    return "***" if "PASS" in variable or "SECRET" in variable or "KEY" in variable else text


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise ValueError(f"expected a whole number such as {low}") from None
        if not low <= number <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return number

    return read


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}")
        return text

    return read


def _url(*schemes: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if urlsplit(text).scheme not in schemes:
            raise ValueError(f"expected a URL that starts with {' or '.join(s + '://' for s in schemes)}")
        return text

    return read


def _networks(text: str) -> str:
    for part in text.split(","):
        try:
            network = ipaddress.ip_network(part.strip())
        except ValueError:
            raise ValueError("expected addresses or networks such as 10.0.0.1 or 10.0.0.0/8, with commas") from None
        if network.prefixlen == 0:
            raise ValueError("expected the proxies alone; whoever may call us could otherwise be anybody")
    return text


VARIABLES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "home": ("PAL_HOME", Path),
    "artefacts": ("PAL_ARTEFACTS", str),
    "redis_url": ("REDIS_URL", _url("redis", "rediss", "unix")),
    "label_studio_url": ("LABEL_STUDIO_URL", _url("http", "https")),
    "label_studio_token": ("LABEL_STUDIO_API_KEY", str),
    "host": ("PAL_HOST", str),
    "port": ("PORT", _whole(1, 65535)),
    "public_url": ("PAL_PUBLIC_URL", _url("http", "https")),
    "backend_url": ("PAL_BACKEND_URL", _url("http", "https")),
    "trusted_proxies": ("PAL_TRUSTED_PROXIES", _networks),
    "label_studio_sign_in": ("PAL_LABEL_STUDIO_SIGN_IN", _one_of("yes", "no")),
    "basic_auth_user": ("BASIC_AUTH_USER", str),
    "basic_auth_password": ("BASIC_AUTH_PASS", str),
    "webhook_secret": ("PAL_WEBHOOK_SECRET", str),
    "max_body_bytes": ("PAL_MAX_BODY_BYTES", _whole(1_000, 1_000_000_000)),
    "log_level": ("LOG_LEVEL", _one_of("DEBUG", "INFO", "WARNING", "ERROR")),
    "device": ("PAL_DEVICE", _one_of("auto", "cpu", "cuda")),
    "image_size": ("PAL_IMAGE_SIZE", _whole(8, 512)),
    "open_questions": ("PAL_OPEN_QUESTIONS", _whole(1, 1000)),
    "task_lock_seconds": ("PAL_TASK_LOCK_SECONDS", _whole(1, 31 * 86_400)),
    "train_after_answers": ("PAL_TRAIN_AFTER_ANSWERS", _whole(1, 1_000_000)),
    "train_epochs": ("PAL_TRAIN_EPOCHS", _whole(1, 10_000)),
    "train_processes": ("PAL_TRAIN_PROCESSES", _whole(0, 64)),
    "checkpoint_seconds": ("PAL_CHECKPOINT_SECONDS", _whole(0, 86_400)),
    "reconcile_seconds": ("PAL_RECONCILE_SECONDS", _whole(1, 86_400)),
    "idle_seconds": ("PAL_IDLE_SECONDS", _whole(1, 3600)),
    "seed": ("PAL_SEED", _whole(0, 2**31 - 1)),
    "recipe": ("PAL_RECIPE", str),
    "backbone": ("PAL_BACKBONE", str),
    "weights": ("PAL_WEIGHTS", str),
    "tuning": ("PAL_TUNING", _one_of("full", "head", "frozen")),
    "allowed_hosts": ("PAL_ALLOWED_HOSTS", str),
    "fetch_bytes": ("PAL_FETCH_BYTES", _whole(1_000, 50_000_000)),
    "fetch_seconds": ("PAL_FETCH_SECONDS", _whole(1, 3600)),
    "pool_seconds": ("PAL_POOL_SECONDS", _whole(0, 31 * 86_400)),
    "backbones": ("PAL_BACKBONES", str),
}
"""Field of :class:`Settings` to (environment variable, reader)."""
