"""Does it pay to learn contrast and classes together? MoBYv2AL on 10,000 CIFAR-10 images.

``python -m benchmarks.mobyv2al --images FOLDER [--json] [--reuse FILE]``: FOLDER has a subfolder for each class; without
it torchvision downloads CIFAR-10. Of some images the labels are known. *joint* is the recipe ``mobyv2al`` with the paper's
views: contrast of all images and classification of those with a label, in one training. *two-stage* is its contrast alone,
and then a linear head on the features. *supervised* is its classification alone: only images with a label are seen, as many
in a step as in the joint one. The same small network, learning rate and number of steps; nothing is known of the images
beforehand. A fifth of them is held out of everything and scores: the classifier that was trained along, and a linear head
(logistic regression) on the features of the labelled images. Nothing is chosen by that fifth.

With ``--reuse`` finished runs are kept in FILE, and a run that was broken off begins there.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table

from benchmarks.bar import run_bar
from benchmarks.gps import keep, kept, load
from benchmarks.images import LabelledImages
from benchmarks.mobyv2al_runs import METHODS, Job, Result, run
from benchmarks.questions import numbers
from benchmarks.questions_tables import console
from pal_backend.core.evaluation import held_out_rows
from pal_backend.errors import PalError


def parser() -> argparse.ArgumentParser:
    """What may be asked for."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--images", type=Path, help="a folder with a subfolder for each class")
    made.add_argument("--labels", type=int, nargs="+", default=[500, 1000], help="how many labels are known")
    made.add_argument("--seeds", type=numbers, default=[0, 1, 2], help="0-2")
    made.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    made.add_argument("--steps", type=int, default=5000)
    made.add_argument("--batch", type=int, default=32)
    made.add_argument("--threads", type=int, default=torch.get_num_threads())
    made.add_argument("--json", action="store_true", help="print one JSON object")
    made.add_argument("--reuse", type=Path, help="JSON file in which finished runs are kept, and looked for")
    return made


def jobs(options: argparse.Namespace, data: LabelledImages) -> list[Job]:
    """All runs asked for, seed by seed."""
    budgets = {
        "two-stage": [tuple(options.labels)],
        **{method: [(count,) for count in options.labels] for method in METHODS if method != "two-stage"},
    }
    return [
        Job(data.digest, method, labels, seed, options.steps, options.batch)
        for seed in options.seeds
        for method in options.methods
        for labels in budgets[method]
    ]


def carry_out(options: argparse.Namespace, data: LabelledImages, tell: Callable[[str, float], None]) -> list[Result]:
    """All runs asked for, those of earlier calls among them."""
    held = held_out_rows(np.ones(len(data.labels), bool))
    done = kept(options.reuse)
    wanted = []
    for job in jobs(options, data):
        key = json.loads(json.dumps({"job": asdict(job), "how": repr(job.recipe)}))
        found = next((one for one in done if key.items() <= one.items()), None)
        if found is None:
            found = key | run(data, held, job, tell)
            done.append(found)
            keep(options.reuse, done)
        wanted.append(found)
    return wanted


def summary(runs: Sequence[Result]) -> list[dict[str, Any]]:
    """A line for each method and number of labels: mean and range over the seeds of both scores."""
    lines = []
    for method in dict.fromkeys(one["job"]["method"] for one in runs):
        own = [one for one in runs if one["job"]["method"] == method]
        for count in dict.fromkeys(str(count) for one in own for count in one["job"]["labels"]):
            here = [one for one in own if count in one["heads"]]
            line: dict[str, Any] = {
                "method": method,
                "labels": int(count),
                "head": spread(x["heads"][count] for x in here),
            }
            if all("classifier" in one for one in here):
                line["classifier"] = spread(one["classifier"] for one in here)
            line["steps"] = sorted({one["steps"] for one in here})
            line["seconds"] = float(np.median([one["seconds"] for one in here]))
            lines.append(line)
    return lines


def spread(scores: Any) -> dict[str, float]:
    """Mean, least and most."""
    found = list(scores)
    return {"mean": float(np.mean(found)), "least": min(found), "most": max(found)}


def table(lines: Sequence[dict[str, Any]]) -> Table:
    """For people: accuracy on the images held out in per cent, mean (least to most)."""
    made = Table("method", "labels", "classifier trained along", "head on features", "steps", "s a run")
    for line in lines:
        cells = [
            f"{100 * s['mean']:.1f} ({100 * s['least']:.1f}-{100 * s['most']:.1f})" if s else ""
            for s in (line.get("classifier"), line["head"])
        ]
        steps = "/".join(str(count) for count in line["steps"])
        made.add_row(line["method"], str(line["labels"]), *cells, steps, f"{line['seconds']:.0f}")
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Run everything asked for, and print a table or, with ``--json``, one object."""
    options = parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        data = load(options)
        with run_bar() as tell:
            runs = carry_out(options, data, tell)
    except PalError as problem:
        sys.exit(f"python -m benchmarks.mobyv2al: {problem}")
    lines = summary(runs)
    if options.json:
        print(json.dumps({"images": len(data.labels), "summary": lines, "runs": runs}))
    else:
        console().print(table(lines))


if __name__ == "__main__":
    main()
