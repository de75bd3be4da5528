"""Progress bars in the terminal, on stderr, gone when the work is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress


def bars() -> Progress:
    """A place for bars; :func:`told` makes and moves them."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True), transient=True)


def told(progress: Progress, name: str, done: int, of: int, note: str = "") -> None:
    """Move the bar of that name, which is made when it is first told of; ``note`` stands behind it."""
    task = next((task.id for task in progress.tasks if task.description == name), None)
    if task is None:
        task = progress.add_task(name, total=of, note=note)
    progress.update(task, completed=done, total=of, note=note)


def loss_of(state: dict[str, Any]) -> str:
    """The loss of an epoch and its parts, in a line."""
    parts = " ".join(f"{name} {value:.3f}" for name, value in state.get("parts", {}).items())
    return f"loss {state['loss']:.3f} {parts}".rstrip()
