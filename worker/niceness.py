"""Giving way to answers and pages, also where Linux shares the processor between sessions."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

_TRIES = 20
"""Linux takes such a wish from one process in a tenth of a second, and refuses the others."""


def session_as_nice(about: Path = Path("/proc/self/autogroup")) -> None:
    """Make the session as nice as this process: where it is the processor's unit, niceness counts only within it."""
    with suppress(OSError):
        for _ in range(_TRIES):
            try:
                about.write_text(str(os.nice(0)))
                return
            except BlockingIOError:
                time.sleep(0.11)
