"""Ctrl-C, SIGTERM and a closed terminal: the first ends the demo in order, a second one makes it hurry."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """Raised in the main thread by the first signal."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class Interruption:
    """What has arrived so far. ``hurry`` is True from the second signal on."""

    def __init__(self) -> None:
        self._count = 0

    @property
    def hurry(self) -> bool:
        """Whether somebody asked twice."""
        return self._count > 1

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """The signal handler."""
        self._count += 1
        if self._count == 1:
            raise Interrupted(signum)

    def ignore_first(self) -> None:
        """From now on signals raise nothing: the end has begun for another reason."""
        self._count = max(self._count, 1)


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Take over the signals for as long as the context lasts."""
    interruption = Interruption()
    before = {signum: signal.signal(signum, interruption.handle) for signum in SIGNALS}
    try:
        yield interruption
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
