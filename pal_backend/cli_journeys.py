"""The order in which `pal --help` shows the commands: by what somebody is about to do."""

from __future__ import annotations

from collections.abc import Mapping

JOURNEYS: Mapping[str, tuple[str, ...]] = {
    "Try it": ("demo", "simulate"),
    "Join your Label Studio": ("serve", "init", "doctor", "password"),
    "Follow and steer": ("status", "pause", "resume", "set", "recipes", "strategies"),
    "Decide by hand": ("review", "settle", "merge", "split", "decisions", "why"),
    "Take the result home": ("export", "import-answers"),
    "Work without Label Studio": ("train", "evaluate"),
    "Keep it running": ("sync", "rotate-media", "version"),
}
"""What somebody is about to do, and the commands for it, in the order in which they are needed."""
OTHERS = "More"


def panel(command: str) -> str:
    """Under which heading a command stands."""
    return next((title for title, commands in JOURNEYS.items() if command in commands), OTHERS)


def place(command: str) -> tuple[int, int]:
    """Sorts commands as :data:`JOURNEYS` lists them; those that it does not know come last."""
    for row, commands in enumerate(JOURNEYS.values()):
        if command in commands:
            return row, commands.index(command)
    return len(JOURNEYS), 0
