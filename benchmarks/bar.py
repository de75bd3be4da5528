"""A progress bar for runs one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.questions_tables import console


@contextmanager
def run_bar() -> Iterator[Callable[[str, float], None]]:
    """A bar on standard error, told in words what runs and the share of it that is done, in [0, 1]."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(to_stderr=True)) as bar:
        task = bar.add_task("", total=100)
        yield lambda words, share: bar.update(task, description=words, completed=100 * share)
