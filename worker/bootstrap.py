"""Builds what the jobs work with: the one place where the worker's objects meet."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from pal_backend.choosing import Operator
from pal_backend.credentials import Credentials
from pal_backend.label_studio import LabelStudio
from pal_backend.queues import Queues
from pal_backend.settings import Settings
from pal_backend.store.stores import Stores


@dataclass(frozen=True)
class Workshop:
    """A job's surroundings. ``clock`` gives seconds since the epoch."""

    settings: Settings
    credentials: Credentials
    stores: Stores
    queues: Queues
    clock: Callable[[], float] = time.time

    @property
    def operator(self) -> Operator:
        """What whoever runs this worker says about how projects learn.

        Raises:
            ConfigError: the environment names a recipe or backbone that cannot be.
        """
        return Operator.of(self.settings, self.credentials)

    def label_studio(self) -> LabelStudio:
        """A client for Label Studio's API; made when a job needs it, since learning does not."""
        return LabelStudio(self.settings.label_studio_url, self.credentials.label_studio_token)


def build(settings: Settings | None = None) -> Workshop:
    """The workshop of this process' settings (the environment's by default)."""
    settings = settings or Settings.from_env()
    return Workshop(
        settings=settings,
        credentials=Credentials.load_or_create(settings),
        stores=Stores.open(settings),
        queues=Queues(settings.redis_url),
    )
