"""How a job learns that its worker wants to stop: SIGTERM sets a flag, the job ends at its next safe point."""

from __future__ import annotations

import ctypes
import signal
from types import FrameType

_PR_SET_PDEATHSIG = 1


class StopFlag:
    """Callable, True once SIGTERM has come. Installed by the job itself, in the work-horse's main thread."""

    def __init__(self) -> None:
        self._stopped = False

    def install(self) -> StopFlag:
        """Take over SIGTERM of this process."""
        signal.signal(signal.SIGTERM, self._stop)
        return self

    def _stop(self, signum: int, frame: FrameType | None) -> None:
        self._stopped = True

    def __call__(self) -> bool:
        """Whether to stop."""
        return self._stopped


def die_with_parent(sig: signal.Signals) -> None:
    """Ask Linux to send ``sig`` to this process when its parent ends, so that no orphan trains on unseen.

    Elsewhere than on Linux it does nothing: publishing is fenced, an orphan can do no harm there either.
    """
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(sig))
    except (OSError, AttributeError):
        return
