"""Whether P(same) can be taken at its word: expected calibration error, Brier score, AUC.

    python -m benchmarks.calibration                               # digits and MNIST, three error rates, seeds 0-4
    python -m benchmarks.calibration --sets digits --errors 0 --seeds 0 --json

Two kinds of pairs are looked at, each with the P(same) that stood before anybody answered on them: the pairs that were
asked about, and at every tenth answer pairs near the boundary (untouched samples with the smallest margins, each with a
representative of its two likeliest groups). The truth, whether both are of one class, only the scoring sees.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from benchmarks.data import SETS, Dataset
from benchmarks.questions import numbers, parts, rates
from benchmarks.questions_tables import console
from pal_backend.core.evaluation import calibration
from pal_backend.core.learner import Learner
from pal_backend.core.neighbours import build_space
from pal_backend.core.posterior import Posterior
from pal_backend.errors import PalError
from pal_backend.simulation import Annotator

Pairs = list[tuple[float, bool]]

EVERY = 10
"""Answers between two looks at pairs near the boundary."""
LOOKED = 20
"""Samples near the boundary at each look."""


def run(data: Dataset, error_rate: float, seed: int, answers: int) -> tuple[Pairs, Pairs]:
    """(P(same), truth) of the pairs asked about, and of those near the boundary."""
    ids = [hashlib.sha256(str(row).encode()).hexdigest()[:16] for row in range(len(data.features))]
    learner = Learner(build_space(ids, data.features), seed=seed)
    index = learner.space.index
    annotator = Annotator(data.labels, index, error_rate, np.random.default_rng((seed, 1)))
    asked: Pairs = []
    near: Pairs = []
    while learner.answers < answers:
        questions = learner.ask(1)
        if not questions:
            break
        rows = [index[sample] for sample in questions[0].samples]
        p = _posterior(learner).probability_same(rows[:1], rows[1:])[0]
        asked.append((float(p), bool(data.labels[rows[0]] == data.labels[rows[1]])))
        learner.update(annotator.answer(questions[0]), ())
        if learner.answers % EVERY == 0:
            near += _near(learner, data.labels)
    return asked, near


def _posterior(learner: Learner) -> Posterior:
    """As workers publish it."""
    return replace(learner.posterior(), quality=learner.quality())


def _near(learner: Learner, labels: NDArray[np.int64]) -> Pairs:
    beliefs, posterior = learner.beliefs, _posterior(learner)
    if len(beliefs.groups) < 2:
        return []
    margins = beliefs.margins.copy()
    margins[beliefs.answered] = np.inf
    rows = np.argsort(margins, kind="stable")[:LOOKED]
    groups = np.argsort(-beliefs.probabilities[rows, :-1], axis=1)[:, :2]
    founders = np.asarray([learner.space.index[root] for root in beliefs.groups])[groups]
    first, second = np.repeat(rows, 2), founders.reshape(-1)
    return list(
        zip(posterior.probability_same(first, second).tolist(), (labels[first] == labels[second]).tolist(), strict=True)
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for, and print a table or, with ``--json``, one object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default="digits,mnist", help=f"of {', '.join(SETS)}")
    parser.add_argument("--errors", type=rates, default=rates("0,0.05,0.1"), help="shares of answers that are wrong")
    parser.add_argument("--seeds", type=numbers, default=numbers("0-4"))
    parser.add_argument("--answers", type=int, default=500)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    lines = []
    for name in parts(options.sets):
        data = SETS[name]()
        for error_rate in options.errors:
            runs = [run(data, error_rate, seed, options.answers) for seed in options.seeds]
            for kind, found in (
                ("asked", [one for asked, _ in runs for one in asked]),
                ("near", [one for _, near in runs for one in near]),
            ):
                p, same = np.asarray([x for x, _ in found]), np.asarray([x for _, x in found])
                judged = calibration(p, same)
                lines.append(
                    {
                        "data": name,
                        "error_rate": error_rate,
                        "pairs": kind,
                        "n": judged.pairs,
                        "same": float(same.mean()),
                        "ece": judged.ece,
                        "brier": judged.brier,
                        "auc": judged.auc,
                    }
                )
    if options.json:
        print(json.dumps({"seeds": options.seeds, "answers": options.answers, "calibration": lines}))
        return
    table = Table("set", "wrong", "pairs", "n", "same", "ECE", "Brier", "AUC")
    for line in lines:
        figures = (f"{line[key]:.3f}" if line[key] is not None else "–" for key in ("same", "ece", "brier", "auc"))
        table.add_row(str(line["data"]), f"{line['error_rate']:.0%}", str(line["pairs"]), str(line["n"]), *figures)
    console().print(table)


if __name__ == "__main__":
    try:
        main()
    except PalError as problem:
        sys.exit(str(problem))
