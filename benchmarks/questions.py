"""What a number of answers buys: our way of choosing questions beside three others, on the same data, with the same seeds.

    python -m benchmarks.questions                          # digits and MNIST, three error rates, five seeds: hours
    python -m benchmarks.questions --sets digits --errors 0 --seeds 0-1 --answers 200
    python -m benchmarks.questions --features X.npy --labels y.npy --json > runs.json
    python -m benchmarks.questions --reuse runs.json --svg docs/pictures     # runs only what is not there yet
    python -m benchmarks.questions --ablate                 # what each ingredient of ours is worth

Strategies: "ours" is the default strategy of the project, run by the code that serves Label Studio; "ours:NAME" another
one of it by name (see `pal strategies`). "repspread", "minmax" and "random" stand in benchmarks/peers. None is told the
labels, and only "random" the number of classes. Peers always ask pairs, one at a time. Every seed that is run is reported.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.ablations import ABLATIONS
from benchmarks.data import SETS, Dataset, from_files
from benchmarks.questions_plot import picture
from benchmarks.questions_runs import OURS, PEERS, Job, Run, cores, matching, run_all
from benchmarks.questions_tables import console, summaries, tables, worth
from pal_backend.core.asking.strategies import known
from pal_backend.errors import InputError, PalError

BUDGETS = (50, 100, 200, 500, 1000, 2000)
CURVE = (20, 30, 40, 50, 60, 80, 100, 130, 160, 200, 250, 300, 400, 500, 650, 800, 1000, 1250, 1500, 1750, 2000)
"""Answers scored besides the budgets, so that curves are smooth."""


def parts(text: str) -> list[str]:
    """The parts of a list with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def numbers(text: str) -> list[int]:
    """Whole numbers and ranges: 0-2,7 is 0, 1, 2, 7."""
    found: list[int] = []
    for part in parts(text):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def budgets(text: str) -> list[int]:
    """Whole numbers above 0, ascending."""
    found = sorted({int(part) for part in parts(text)})
    if not found or found[0] < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected whole numbers above 0, for example 50,100,200")
    return found


def rates(text: str) -> list[float]:
    """Shares of wrong answers."""
    found = [float(part) for part in parts(text)]
    if not all(0.0 <= rate < 0.5 for rate in found):
        raise argparse.ArgumentTypeError(f"{text!r}: expected numbers of 0 or more and less than 0.5")
    return found


def strategies(text: str) -> list[str]:
    """Ours, ours by name, peers."""
    may_be = [OURS, *PEERS, *(f"{OURS}:{name}" for name in known())]
    for name in parts(text):
        if name not in may_be:
            raise argparse.ArgumentTypeError(f"{name!r} is not known; use some of {', '.join(may_be)}")
    return parts(text)


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        prog="python -m benchmarks.questions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--sets", type=parts, help=f"of {', '.join(SETS)}; digits,mnist unless told, or files are given")
    made.add_argument("--features", type=Path, help="a set of your own: NumPy file, (N, D)")
    made.add_argument("--labels", type=Path, help="its classes: NumPy file, (N,)")
    made.add_argument("--errors", type=rates, default=[0.0, 0.05, 0.1], help="shares of wrong answers: 0,.05,.1")
    made.add_argument("--seeds", type=numbers, default=[0, 1, 2, 3, 4], help="0-4")
    made.add_argument("--budgets", type=budgets, default=list(BUDGETS), help="answers at which tables tell the quality")
    made.add_argument("--answers", type=int, help="stop here, before the last budget")
    made.add_argument("--strategies", type=strategies, default=[OURS, *PEERS], help="ours,repspread,minmax,random")
    made.add_argument("--questions", choices=["pairs", "screens", "mixed"], default="pairs", help="what ours asks")
    made.add_argument("--candidates", type=int, default=8, metavar="K", help="candidates of a screen of ours")
    made.add_argument("--open-questions", type=int, default=1, metavar="Q", help="questions of ours open at once")
    made.add_argument("--ablate", action="store_true", help="ours alone, each ingredient switched off in turn")
    made.add_argument("--svg", type=Path, metavar="DIR", help="draw the curves there: questions-SET.svg")
    made.add_argument("--reuse", type=Path, metavar="FILE", help="JSON of an earlier call: its runs are not run again")
    made.add_argument("--workers", type=int, default=cores(), help="processes; one a core unless told")
    made.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    return made


def sets(options: argparse.Namespace) -> dict[str, Dataset]:
    """The sets asked for, by name.

    Raises:
        InputError: a set is not known, or one of two files is missing.
    """
    if (options.features is None) != (options.labels is None):
        raise InputError("one of --features and --labels is missing; give both")
    own = [from_files(options.features, options.labels)] if options.features else []
    names = options.sets if options.sets is not None else ([] if own else ["digits", "mnist"])
    for name in names:
        if name not in SETS:
            raise InputError(f"set {name!r} is not known; use some of {', '.join(SETS)}, or --features and --labels")
    return {data.name: data for data in [*(SETS[name]() for name in names), *own]}


def plan(options: argparse.Namespace, names: Sequence[str]) -> list[Job]:
    """All runs, in the order in which tables show them."""
    answers = min(options.answers or options.budgets[-1], options.budgets[-1])
    scored = tuple(sorted({b for b in [*options.budgets, *CURVE] if b < answers} | {answers}))
    ways = [(name, "") for name in options.strategies]
    if options.ablate:
        ways = [(OURS, ""), *((OURS, name) for name in ABLATIONS)]
    how = {name: getattr(options, name) for name in ("questions", "candidates", "open_questions")}
    return [
        Job(data, rate, way, seed, answers, scored, without=without, **how)
        for data in names
        for rate in options.errors
        for way, without in ways
        for seed in options.seeds
    ]


def carry_out(jobs: Sequence[Job], data: dict[str, Dataset], earlier: Sequence[Run], workers: int) -> list[Run]:
    """All runs in the order of the jobs, with a bar on stderr while they are made."""
    found: list[Run] = []
    left = []
    for job in jobs:
        run = matching(earlier, job)
        if run is None:
            left.append(job)
        else:
            found.append(run)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console(to_stderr=True)) as bar:
        task = bar.add_task("answers", total=sum(job.answers for job in left))
        run_all(
            left,
            data,
            workers=min(workers, max(len(left), 1)),
            progress=lambda more, words: bar.update(task, advance=more, description=words),
            finished=found.append,
        )
        bar.update(task, completed=sum(job.answers for job in left), description="answers")
    return [run for job in jobs if (run := matching(found, job)) is not None]


def show(runs: Sequence[Run], options: argparse.Namespace) -> None:
    """Print what was asked for, and draw."""
    at = [budget for budget in options.budgets if budget < runs[0]["answers"]] + [runs[0]["answers"]]
    found = summaries(runs, at)
    if options.json:
        print(json.dumps({"budgets": at, "summary": found, "runs": runs}))
    else:
        console().print(worth(found, OURS) if options.ablate else tables(found))
    if options.svg:
        options.svg.mkdir(parents=True, exist_ok=True)
        for name in dict.fromkeys(run["data"] for run in runs):
            drawn = picture([run for run in runs if run["data"] == name], at)
            (options.svg / f"questions-{name}.svg").write_text(drawn)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run everything asked for."""
    options = parser().parse_args(arguments)
    try:
        data = sets(options)
        earlier = json.loads(options.reuse.read_text())["runs"] if options.reuse else []
        show(carry_out(plan(options, list(data)), data, earlier, options.workers), options)
    except PalError as problem:
        sys.exit(f"python -m benchmarks.questions: {problem}")


if __name__ == "__main__":
    main()
