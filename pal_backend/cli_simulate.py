"""``pal simulate``: what a budget of answers buys, before people spend time on it."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pal_backend.errors import InputError

if TYPE_CHECKING:
    from pal_backend.simulation import SimulationResult


class Opinion(StrEnum):
    """What gives the second opinion on every sample."""

    KERNEL = "kernel"
    SOLVER = "solver"


class Kind(StrEnum):
    """What the simulated annotator is asked."""

    PAIRS = "pairs"
    SCREENS = "screens"
    MIXED = "mixed"


def simulate(
    *,
    features: Annotated[Path, typer.Option(help="NumPy file with the features, (N, D).")],
    labels: Annotated[Path, typer.Option(help="NumPy file with the true classes, (N,); only the annotator sees them.")],
    answers: Annotated[int, typer.Option(min=1, help="How many pairs are answered in all.")] = 500,
    error_rate: Annotated[float, typer.Option(help="How often the annotator is wrong, 0 to 0.5.")] = 0.0,
    questions: Annotated[
        Kind, typer.Option(help="Two images, an anchor with candidates to tick, or what pays.")
    ] = Kind.PAIRS,
    candidates: Annotated[int, typer.Option(min=1, help="Candidates on a screen.")] = 8,
    strategy: Annotated[
        str, typer.Option(metavar="NAME", help="How questions are chosen; `pal strategies` lists the ways.")
    ] = "gain",
    opinion: Annotated[
        Opinion,
        typer.Option(help="Second opinion: a classifier on the features, or on the exact solver's embedding."),
    ] = Opinion.KERNEL,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same questions.")] = 0,
    budgets: Annotated[str, typer.Option(metavar="N,N,…", help="Numbers of answers to score at.")] = "",
    open_questions: Annotated[int, typer.Option(min=1, help="Questions open at once, as in the live system.")] = 1,
    seconds_per_pair: Annotated[
        float | None, typer.Option(help="A person's time for a pair. Assumed when left out: 4.")
    ] = None,
    seconds_per_screen: Annotated[
        float | None, typer.Option(help="For a full screen. Assumed when left out: 4, and 1 for each candidate.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Run the code that serves Label Studio with a simulated annotator.

    Example:  pal simulate --features X.npy --labels y.npy --answers 500 --budgets 100,200 --json
    """
    from pal_backend.core.asking.strategies import strategy as named

    points = _budgets(budgets)
    named(strategy)  # told before the files are read and the neighbours found
    arrays = _load(features), _load(labels)

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from pal_backend.core.neighbours import build_space
    from pal_backend.core.solver_space import solver_space
    from pal_backend.simulation import simulate as run

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("answers", total=answers)
        result = run(
            *arrays,
            answers=answers,
            error_rate=error_rate,
            questions=str(questions),
            candidates=candidates,
            strategy=strategy,
            space=solver_space if opinion is Opinion.SOLVER else build_space,
            seed=seed,
            budgets=points,
            open_questions=open_questions,
            seconds_per_pair=seconds_per_pair,
            seconds_per_screen=seconds_per_screen,
            progress=lambda done, of: progress.update(task, completed=min(done, of)),
        )
    if as_json:
        print(json.dumps(result.to_json()))
    else:
        _show(result)


def _budgets(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise InputError(
            f"--budgets {text!r} is not a list of whole numbers; expected for example 50,100,200"
        ) from None


def _load(path: Path) -> Any:
    """An array that holds no objects: those could run code when they are read."""
    import numpy as np

    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path} is not there; expected a file that numpy.save wrote") from None
    except (ValueError, OSError, EOFError) as problem:
        raise InputError(f"{path} cannot be read as a NumPy array of numbers: {problem}") from None


def _show(result: SimulationResult) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("answers", "screens", "minutes", "ARI", "ARI unseen", "NMI", "accuracy", "by the checks", "groups")
    for point in result.curve:
        scores = (point.ari, point.ari_unseen, point.nmi, point.accuracy)
        counts = (str(point.answers), str(point.screens), f"{point.seconds / 60:.1f}")
        checks = "" if point.estimated is None else f"{point.estimated:.2f} ({point.low:.2f}-{point.high:.2f})"
        table.add_row(*counts, *(f"{score:.3f}" for score in scores), checks, str(point.groups))
    reached = ", ".join(f"ARI {value} after {at if at is not None else '—'}" for value, at in result.reach.items())
    console = Console()
    console.print(table)
    console.print(f"{reached} · {result.ms_per_question:.0f} ms a question · {result.seconds:.1f} s in all")


COMMANDS = (simulate,)
