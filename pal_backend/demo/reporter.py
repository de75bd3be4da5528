"""Progress on a terminal, or as plain lines where there is none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status
from rich.text import Text

PLAIN_SECONDS = 10.0
"""How often a long step says where it stands when there is no terminal to redraw."""
BARS = "▁▂▃▄▅▆▇█"


class Step:
    """One step under way; :meth:`say` tells what it is busy with."""

    def __init__(self, reporter: Reporter, title: str, status: Status | None) -> None:
        self._reporter = reporter
        self._title = title
        self._status = status
        self._started = time.monotonic()
        self._spoken = self._started

    @property
    def seconds(self) -> float:
        """Since the step began."""
        return time.monotonic() - self._started

    def say(self, detail: str = "") -> None:
        """Show the detail and the time; call it as often as you like."""
        line = f"{self._title} · {self.seconds:.0f} s" + (f" · {detail}" if detail else "")
        if self._status is not None:
            self._status.update(Text(line))
        elif time.monotonic() - self._spoken >= PLAIN_SECONDS:
            self._spoken = time.monotonic()
            self._reporter.line(f"  … {line}")


class Reporter:
    """Says what happens, on the console given."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def line(self, text: str, style: str = "") -> None:
        """One line; the text is not read as markup, paths and messages may hold brackets."""
        self.console.print(Text(text, style=style), soft_wrap=True)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show a step while it runs, and how long it took when it is done."""
        with self.standing(title) as step:
            yield step
        self.line(f"✓ {title} ({step.seconds:.1f} s)", "green")

    @contextmanager
    def standing(self, title: str) -> Iterator[Step]:
        """Show a state for as long as it lasts; nothing is left of it on a terminal."""
        if self.console.is_terminal:
            with self.console.status(Text(title)) as status:
                yield Step(self, title, status)
        else:
            self.line(f"  {title} …")
            yield Step(self, title, None)


def sparkline(values: list[float]) -> str:
    """The values, 0..1, as one character each.

    >>> sparkline([0.0, 0.5, 1.0])
    '▁▅█'
    """
    return "".join(BARS[min(int(max(value, 0.0) * len(BARS)), len(BARS) - 1)] for value in values)
