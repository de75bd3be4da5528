"""Which processes stem from a process, read from /proc: forked jobs put themselves into sessions of their own."""

from __future__ import annotations

import os
import signal
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """A process that cannot be mistaken for a later one with the same number."""

    pid: int
    started: int
    """Clock ticks since boot."""


def descendants(pid: int, proc: Path = Path("/proc")) -> list[Process]:
    """Children, grandchildren and so on of ``pid`` that have not ended; empty where there is no /proc."""
    children: dict[int, list[Process]] = defaultdict(list)
    for entry in proc.glob("[0-9]*"):
        found = _stat(entry)
        if found is not None:
            parent, process = found
            children[parent].append(process)
    found_all: list[Process] = []
    queue = [pid]
    while queue:
        below = children.get(queue.pop(), [])
        found_all.extend(below)
        queue.extend(process.pid for process in below)
    return found_all


def alive(process: Process, proc: Path = Path("/proc")) -> bool:
    """Whether this very process still runs (a zombie does not)."""
    found = _stat(proc / str(process.pid))
    return found is not None and found[1] == process


def kill(processes: list[Process]) -> list[Process]:
    """Send SIGKILL to those that still run, and return them."""
    stubborn = [process for process in processes if alive(process)]
    for process in stubborn:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return stubborn


def _stat(entry: Path) -> tuple[int, Process] | None:
    """Parent and identity, from ``/proc/<pid>/stat`` (proc(5)); None for a process that is gone or a zombie."""
    try:
        text = (entry / "stat").read_text()
    except OSError:
        return None
    # The name, in parentheses, may hold spaces and parentheses itself.
    state, parent, *rest = text.rpartition(")")[2].split()
    if state in "ZX":
        return None
    return int(parent), Process(int(entry.name), int(rest[17]))
