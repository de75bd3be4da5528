"""Runs the demo's processes: starts each with a log of its own, notices when one ends, stops all in order."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pal_backend.demo import leash
from pal_backend.demo.descendants import Process, alive, descendants, kill
from pal_backend.errors import UnavailableError

log = logging.getLogger(__name__)

TAIL_LINES = 15
"""So much of a log is shown when its process has failed."""
POLL_SECONDS = 0.05
HURRY_SECONDS = 0.5


@dataclass(frozen=True)
class Program:
    """What to run. ``grace``: seconds it may take to end after SIGTERM before it is killed."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    grace: float = 10.0


class Child:
    """A running :class:`Program`, in a session of its own: Ctrl-C in the terminal reaches only its parent."""

    def __init__(self, program: Program, log_file: Path) -> None:
        self.program = program
        self.log_file = log_file
        log_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with log_file.open("ab") as out:
            self.log_start = out.tell()
            self._process = subprocess.Popen(  # noqa: S603 - the command is our own
                leash.command(program.command),
                env=dict(program.environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id; also its process group and session."""
        return self._process.pid

    def ended(self) -> int | None:
        """Exit code, or None while it runs."""
        return self._process.poll()

    def output(self) -> str:
        """What it has logged since it was started."""
        with self.log_file.open("rb") as file:
            file.seek(self.log_start)
            return file.read().decode(errors="replace")

    def tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines of :meth:`output`."""
        return "\n".join(self.output().splitlines()[-lines:])

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self.ended() is None:
            self._process.terminate()

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> None:
        """SIGTERM, wait, SIGKILL; then whatever it has left behind, children of children too. Safe to repeat.

        Args:
            hurry: as soon as it says so, the wait is cut to half a second.
        """
        family = descendants(self.pid)
        self.ask_to_stop()
        asked = time.monotonic()
        while self.ended() is None and time.monotonic() < asked + (HURRY_SECONDS if hurry() else self.program.grace):
            family = _joined(family, descendants(self.pid))
            time.sleep(POLL_SECONDS)
        if self.ended() is None:
            log.warning("%s did not stop in time and is killed", self.program.name)
            self._process.kill()
        self._process.wait()
        kill(family)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        _wait_until_gone(family)


class Supervisor:
    """Children in the order they were started; they are stopped in the opposite one."""

    def __init__(self, log_folder: Path) -> None:
        self._log_folder = log_folder
        self._children: list[Child] = []

    @property
    def children(self) -> tuple[Child, ...]:
        """Those that were started and not yet stopped."""
        return tuple(self._children)

    def start(self, program: Program) -> Child:
        """Start a program; its log is ``<log folder>/<name>.log``.

        Must be called from the main thread: Linux holds the leash to the thread that made the child.
        """
        child = Child(program, self._log_folder / f"{program.name.lower().replace(' ', '-')}.log")
        self._children.append(child)
        return child

    def check(self) -> None:
        """See whether everybody is alive.

        Raises:
            UnavailableError: one has ended; says which, and shows the end of its log.
        """
        for child in self._children:
            code = child.ended()
            if code is not None:
                how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
                raise UnavailableError(
                    f"{child.program.name} {how}; the end of {child.log_file}:\n{child.tail() or '(it is empty)'}"
                )

    def stop(self, hurry: Callable[[], bool] = lambda: False) -> None:
        """Stop all, last started first, each only when the one before is gone."""
        while self._children:
            self._children[-1].stop(hurry)
            self._children.pop()


def _joined(known: list[Process], seen: list[Process]) -> list[Process]:
    return list(dict.fromkeys([*known, *seen]))


def _wait_until_gone(processes: list[Process], seconds: float = 2.0) -> None:
    deadline = time.monotonic() + seconds
    while any(alive(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
