"""What a prior is worth: GPS-SimCLR against SimCLR on 10,000 CIFAR-10 images.

``python -m benchmarks.gps --images FOLDER [--json] [--reuse FILE]``: FOLDER has a subfolder for each class; without it
torchvision downloads CIFAR-10. SimCLR and GPS-SimCLR with each prior, under flips alone and under SimCLR's strong
augmentation: the same network, loss, learning rate, and number of steps and images shown. A fifth of the images is held
out of everything; features of the others train a linear probe (logistic regression), which is scored on that fifth. The
same probe on the features of each prior alone stands beside it: what a prior knows by itself is not GPS's merit. Labels
are read by the probe, and by the share of prior edges that join one class, which nothing is chosen by.

With ``--reuse`` finished runs and prior features are kept in and beside FILE, and a run that was broken off begins there.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table

from benchmarks.bar import run_bar
from benchmarks.gps_runs import PRIORS, SIMCLR, Job, PriorFeatures, Run, judge_prior, run
from benchmarks.images import LabelledImages, cifar10, from_folder
from benchmarks.questions import numbers, parts
from benchmarks.questions_tables import console
from pal_backend.core.evaluation import held_out_rows
from pal_backend.errors import InputError, PalError

AUGMENTATIONS = ("flip", "simclr")


def parser() -> argparse.ArgumentParser:
    """What may be asked for."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--images", type=Path, help="a folder with a subfolder for each class")
    made.add_argument("--augmentations", type=parts, default=list(AUGMENTATIONS), help="names of presets of views")
    made.add_argument("--methods", type=parts, default=[SIMCLR, *PRIORS], help=f"of {SIMCLR},{','.join(PRIORS)}")
    made.add_argument("--seeds", type=numbers, default=[0, 1, 2], help="0-2")
    made.add_argument("--passes", type=int, default=20, help="how often as many images as there are are shown")
    made.add_argument("--batch", type=int, default=32)
    made.add_argument("--threads", type=int, default=torch.get_num_threads())
    made.add_argument("--json", action="store_true", help="print one JSON object")
    made.add_argument("--reuse", type=Path, help="JSON file in which finished runs are kept, and looked for")
    return made


def load(options: argparse.Namespace) -> LabelledImages:
    """The images asked for."""
    if options.images is not None:
        return from_folder(options.images)
    return cifar10(Path(tempfile.gettempdir()) / "pal-cifar10")


def kept(path: Path | None) -> list[Run]:
    """Runs finished earlier.

    Raises:
        InputError: the file is not one that was written here.
    """
    if path is None or not path.exists():
        return []
    try:
        return list(json.loads(path.read_text())["runs"])
    except (ValueError, KeyError, TypeError) as problem:
        raise InputError(f"{path}: no finished runs can be read ({problem}); name another file or remove it") from None


def keep(path: Path | None, runs: Sequence[Run]) -> None:
    """Write all finished runs at once: an interruption leaves the old file or the new one."""
    if path is None:
        return
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps({"runs": list(runs)}, indent=1))
    beside.replace(path)


def carry_out(options: argparse.Namespace, data: LabelledImages, tell: Callable[[str, float], None]) -> list[Run]:
    """All runs asked for, those of earlier calls among them."""
    held = held_out_rows(np.ones(len(data.labels), bool))
    features = PriorFeatures(data, held, options.reuse, tell)
    done = kept(options.reuse)
    wanted = []
    for seed in options.seeds:
        for method in options.methods:
            jobs = [Job.judging(data, method, seed)] if method != SIMCLR else []
            jobs += [
                Job(data.digest, name, method, seed, options.passes, options.batch) for name in options.augmentations
            ]
            for job in dict.fromkeys(jobs):
                key = {"job": asdict(job), "how": job.how}
                found = next((one for one in done if key.items() <= one.items()), None)
                if found is None:
                    prior = None if method == SIMCLR else features.of(method, seed)
                    result = judge_prior(data, held, prior) if job.judges else run(data, held, job, prior, tell)
                    found = key | result
                    done.append(found)
                    keep(options.reuse, done)
                if found not in wanted:
                    wanted.append(found)
    return wanted


def summary(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """One line for each method: mean and range of the probe, of the prior alone and of each augmentation."""
    lines = []
    for method in dict.fromkeys(one["job"]["method"] for one in runs):
        own = [one for one in runs if one["job"]["method"] == method]
        line: dict[str, Any] = {"method": method}
        for name in dict.fromkeys(one["job"]["augmentation"] for one in own):
            scores = [one["probe"] for one in own if one["job"]["augmentation"] == name]
            line[name or "prior alone"] = {"mean": float(np.mean(scores)), "least": min(scores), "most": max(scores)}
        judged = [one for one in own if "precision" in one]
        if judged:
            line["precision"] = float(np.mean([one["precision"] for one in judged]))
            line["largest_degree"] = max(one["largest_degree"] for one in judged)
        line["steps"] = sorted({one["steps"] for one in own if "steps" in one})
        line["seconds"] = float(np.median([one["seconds"] for one in own if "steps" in one] or [0.0]))
        lines.append(line)
    return lines


def table(lines: Sequence[dict[str, Any]], augmentations: Sequence[str]) -> Table:
    """For people: accuracy of the probe in per cent, mean (least to most), and points above SimCLR."""
    made = Table("method", "prior alone", *augmentations, "same class", "most edges", "steps", "s a run")
    plain = next((line for line in lines if line["method"] == SIMCLR), {})
    for line in lines:
        cells = []
        for name in ["prior alone", *augmentations]:
            score, base = line.get(name), plain.get(name)
            if score is None:
                cells.append("")
                continue
            above = f" {100 * (score['mean'] - base['mean']):+.1f}" if base and line is not plain else ""
            cells.append(f"{100 * score['mean']:.1f} ({100 * score['least']:.1f}-{100 * score['most']:.1f}){above}")
        precision = f"{line['precision']:.2f}" if "precision" in line else ""
        steps = "/".join(str(count) for count in line["steps"])
        made.add_row(
            line["method"], *cells, precision, str(line.get("largest_degree", "")), steps, f"{line['seconds']:.0f}"
        )
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
        sys.exit(f"python -m benchmarks.gps: {problem}")
    lines = summary(runs)
    if options.json:
        print(json.dumps({"images": len(data.labels), "summary": lines, "runs": runs}))
    else:
        console().print(table(lines, options.augmentations))


if __name__ == "__main__":
    main()
