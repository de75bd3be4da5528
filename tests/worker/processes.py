"""Real workers as processes of their own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pal_backend.demo.descendants import descendants, kill
from pal_backend.settings import Settings, child_environment


def start_worker(settings: Settings, log: Path, queues: Sequence[str] = ("learn",)) -> subprocess.Popen[bytes]:
    """``python -m worker --queue …``."""
    chosen = [part for name in queues for part in ("--queue", name)]
    with log.open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "worker", *chosen],
            env=child_environment(settings, OMP_NUM_THREADS="1"),
            stdout=out,
            stderr=out,
            start_new_session=True,
        )


def kill_all(worker: subprocess.Popen[bytes]) -> None:
    """SIGKILL to parent, workers and horses alike."""
    family = descendants(worker.pid)
    worker.kill()
    worker.wait()
    kill(family)


def until(condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    """Wait for what another process brings about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)
