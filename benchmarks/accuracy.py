"""Whether the estimated accuracy can be relied on: how often its 95 % interval holds the truth, and how wide it is.

    python -m benchmarks.accuracy                                  # digits and MNIST, three error rates, twenty seeds: hours
    python -m benchmarks.accuracy --sets digits --errors 0.05 --seeds 0-4 --json
    python -m benchmarks.accuracy --features X.npy --labels y.npy

The code that serves Label Studio asks, checks and estimates; a simulated annotator answers. The truth it is held against
is the share of samples that have the most frequent class of their group (``evaluation.majority_accuracy``), which only
the scoring sees. What "the next hundred answers" were said to bring is held against what they brought. Ten questions are
answered between two looks, as a small team does; with --batch 1 it is one, which takes longer. Every seed is reported.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from rich.table import Table

from benchmarks.data import SETS, Dataset, from_files
from benchmarks.questions import budgets, numbers, parts, rates
from benchmarks.questions_tables import console
from pal_backend.core import evaluation
from pal_backend.core.learner import Learner
from pal_backend.core.neighbours import build_space
from pal_backend.errors import PalError
from pal_backend.simulation import Annotator

BUDGETS = (100, 200, 500, 1000, 1500, 2000)
AHEAD = 100
"""Answers after which the gain that was foretold is looked at."""


@dataclass(frozen=True)
class Look:
    """What was said of the accuracy after some answers, and how it was."""

    data: str
    error_rate: float
    seed: int
    answers: int
    checks: int
    accuracy: float
    """The truth."""
    estimate: float
    low: float
    high: float
    next_hundred: float
    gained: float | None
    """What the next hundred answers did bring; None where there were none."""

    @property
    def held(self) -> bool:
        """Whether the truth is in the interval."""
        return self.low <= self.accuracy <= self.high

    @property
    def width(self) -> float:
        """Of the interval."""
        return self.high - self.low


def run(data: Dataset, error_rate: float, seed: int, *, answers: int, at: Sequence[int], batch: int) -> Iterator[Look]:
    """Ask and answer; a look at every number of answers of ``at`` up to ``answers``."""
    ids = [hashlib.sha256(str(row).encode()).hexdigest()[:16] for row in range(len(data.features))]
    learner = Learner(build_space(ids, data.features), seed=seed)
    annotator = Annotator(data.labels, learner.space.index, error_rate, np.random.default_rng((seed, 1)))
    looks: list[Look] = []
    truth: dict[int, float] = {}
    stops = sorted({stop for look in at for stop in (look, look + AHEAD) if stop <= answers})
    while stops:
        asked = learner.ask(max(1, min(batch, stops[0] - learner.answers)))
        learner.update((answer for question in asked for answer in annotator.answer(question)), ())
        if learner.answers < stops[0] and asked:
            continue
        now, stops = learner.answers, stops[1:]
        truth[now] = evaluation.majority_accuracy(data.labels, learner.posterior().assignment()[0])
        quality = learner.quality()
        if now in at and quality.accuracy is not None and quality.next_hundred is not None:
            said = quality.accuracy
            looks.append(
                Look(
                    data=data.name,
                    error_rate=error_rate,
                    seed=seed,
                    answers=now,
                    checks=said.checks,
                    accuracy=truth[now],
                    estimate=said.estimate,
                    low=said.low,
                    high=said.high,
                    next_hundred=quality.next_hundred,
                    gained=None,
                )
            )
        if not asked:
            break
    for look in looks:
        later = truth.get(look.answers + AHEAD)
        yield Look(**{**asdict(look), "gained": None if later is None else later - look.accuracy})


def show(looks: Sequence[Look]) -> None:
    """A table: a line for each set, error rate and number of answers."""
    table = Table(
        "set",
        "wrong",
        "answers",
        "checks",
        "seeds",
        "accuracy",
        "bias",
        "held",
        "width",
        "widest",
        "next 100",
        "brought",
    )

    def place(look: Look) -> tuple[str, float, int]:
        return look.data, look.error_rate, look.answers

    for (name, error_rate, answers), some in groupby(sorted(looks, key=place), key=place):
        found = list(some)
        widths = [look.width for look in found]
        gained = [look.gained for look in found if look.gained is not None]
        foretold = [look.next_hundred for look in found if look.gained is not None]
        table.add_row(
            name,
            f"{error_rate:.0%}",
            str(answers),
            f"{mean([look.checks for look in found]):.0f}",
            str(len(found)),
            f"{mean([look.accuracy for look in found]):.3f}",
            f"{mean([look.estimate - look.accuracy for look in found]):+.3f}",
            f"{sum(look.held for look in found)} of {len(found)}",
            f"{mean(widths):.3f}",
            f"{max(widths):.3f}",
            f"{mean(foretold):+.4f}",
            f"{mean(gained):+.4f}",
        )
    console().print(table)


def mean(values: Sequence[float]) -> float:
    """Mean; NaN of nothing."""
    return float(np.mean(values)) if len(values) else float("nan")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for."""
    options = _options(arguments)
    data: list[Callable[[], Dataset]] = [SETS[name] for name in parts(options.sets)]
    if options.features:
        data = [lambda: from_files(options.features, options.labels)]
    looks: list[Look] = []
    for load in data:
        found = load()
        for error_rate in options.errors:
            for seed in options.seeds:
                print(f"{found.name}, {error_rate:.0%} wrong, seed {seed}", file=sys.stderr, flush=True)
                at = [stop for stop in options.budgets if stop <= options.answers]
                looks += run(found, error_rate, seed, answers=options.answers, at=at, batch=options.batch)
    if options.json:
        print(json.dumps({"looks": [{**asdict(look), "held": look.held} for look in looks]}))
    else:
        show(looks)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default="digits,mnist", help=f"of {', '.join(SETS)}")
    parser.add_argument("--features", type=Path, help="NumPy file with features (N, D), instead of --sets")
    parser.add_argument("--labels", type=Path, help="NumPy file with their classes, for the annotator and the scoring")
    parser.add_argument("--errors", type=rates, default=rates("0,0.05,0.1"), help="shares of answers that are wrong")
    parser.add_argument("--seeds", type=numbers, default=numbers("0-19"))
    parser.add_argument("--answers", type=int, default=2000)
    parser.add_argument("--budgets", type=budgets, default=list(BUDGETS), help="numbers of answers to look at")
    parser.add_argument("--batch", type=int, default=10, help="questions answered between two looks of the learner")
    parser.add_argument("--json", action="store_true", help="print one JSON object with every look")
    found = parser.parse_args(arguments)
    if (found.features is None) != (found.labels is None):
        parser.error("--features and --labels belong together")
    if unknown := [name for name in parts(found.sets) if name not in SETS]:
        parser.error(f"sets {', '.join(unknown)} are not known; use {', '.join(SETS)}")
    return found


if __name__ == "__main__":
    try:
        main()
    except PalError as problem:
        sys.exit(str(problem))
