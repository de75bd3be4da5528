"""Whether a pretext loss tells what is worth labelling: ``python -m benchmarks.pt4al --images FOLDER [--json] [--reuse FILE]``.

FOLDER has a sub-folder for each class; without it torchvision downloads CIFAR-10 (the first 1,000 images of each class are
taken). A fifth of the images is held out of everything and scores. For each seed and task:

* *correlation*: Spearman's, between the loss of each sample in the pretext task, learned without labels, and its loss under a
  classifier that was trained on all labels; over the samples learned from, over those held out, and over the means of a
  hundred equal groups in the order of the pretext loss;
* *accuracy* of a classifier trained from initial weights on 500 and on 1,000 labels, chosen as PT4AL does, hardest or easiest
  first: ten cycles of 100, the first evenly spaced in the first of ten chunks, each later one the least confident of the next
  chunk by the classifier of the cycle before; beside as many labels at random.

Order, chunks and even spacing are the code of the strategy ``pt4al``, the tasks those of its recipes. Labels are read when a
sample was chosen, by the classifier on all labels, and by the scoring; nothing is chosen by the images held out. With
``--reuse`` finished runs are kept in FILE, a line each, and pretext losses beside it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table
from scipy.stats import spearmanr

from benchmarks.gps import load
from benchmarks.images import LabelledImages
from benchmarks.questions import numbers, parts
from benchmarks.questions_tables import console
from benchmarks.retrain import Book, Line
from benchmarks.supervised import Classifier, classifier
from pal_backend.core.asking.pt4al import STRATA, evenly, strata
from pal_backend.core.evaluation import held_out_rows
from pal_backend.core.learning.pretext import TASKS, learn
from pal_backend.errors import PalError

RANDOM, HARDEST, EASIEST = "random", "hardest first", "easiest first"
GROUPS = 100
COUNTS = (500, 1000)
"""Labels at which is scored; the larger one is spent in ten cycles."""
Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Tell = Callable[[str], None]


class Trial:
    """One seed on one set of images.

    Args:
        data: the images.
        seed: of the tasks, the classifiers and the random choice.
        pretext_epochs, epochs: of a task, and of a classifier on chosen labels (on all labels a quarter of them).
        counts: labels at which is scored.
    """

    def __init__(
        self, data: LabelledImages, seed: int, pretext_epochs: int, epochs: int, counts: Sequence[int] = COUNTS
    ) -> None:
        self.seed, self.pretext_epochs, self.epochs, self.counts = seed, pretext_epochs, epochs, sorted(counts)
        self.classes = int(data.labels.max()) + 1
        self.held = held_out_rows(np.ones(len(data.labels), bool))
        self.images, self.labels = data.images[~self.held], data.labels[~self.held]
        self.unseen, self.unseen_labels = data.images[self.held], data.labels[self.held]

    def pretext(self, task: str) -> tuple[Floats, Floats]:
        """Losses of a task that was learned on the pool: of the pool, and of the images held out."""
        learned = learn(self.images, task, seed=self.seed, epochs=self.pretext_epochs)
        return learned.losses(self.images), learned.losses(self.unseen)

    def correlation(self, pool: Floats, unseen: Floats) -> dict[str, Any]:
        """Spearman's with the loss under all labels, and the largest share of one class in each chunk, hardest first."""
        full = classifier(
            self.images, self.labels, self.classes, seed=self.seed, epochs=max(1, self.epochs // 4), batch=128
        )
        _, stratum = strata(np.argsort(-pool, kind="stable"))
        shares = [
            np.bincount(self.labels[stratum == chunk]).max() / max(1, (stratum == chunk).sum())
            for chunk in range(STRATA)
        ]
        own, others = full.losses(self.images, self.labels), full.losses(self.unseen, self.unseen_labels)
        return {
            "pool": float(spearmanr(pool, own).statistic),
            "held_out": float(spearmanr(unseen, others).statistic),
            "groups": grouped(pool, own),
            "accuracy_all_labels": full.accuracy(self.unseen, self.unseen_labels),
            "largest_class_share": [round(float(share), 3) for share in shares],
        }

    def at_random(self) -> dict[str, float]:
        """Accuracy with labels drawn uniformly, the smaller numbers among the larger."""
        order = np.random.default_rng((self.seed, 2)).permutation(len(self.labels))
        return {str(count): self.accuracy(self.trained(order[:count])) for count in self.counts}

    def by_losses(self, losses: Floats, *, hardest_first: bool) -> dict[str, float]:
        """Accuracy with labels chosen as PT4AL does."""
        rank, stratum = strata(np.argsort(-losses if hardest_first else losses, kind="stable"))
        each = max(1, self.counts[-1] // STRATA)
        chosen, scores, model = np.empty(0, np.int64), {}, None
        for cycle in range(STRATA):
            rows = np.flatnonzero(stratum == cycle)
            evenly_spaced = evenly(rank, stratum, max(1, len(rows) // each))[rows]
            wanted = evenly_spaced if model is None else model.confidence(self.images[rows])
            chosen = np.concatenate([chosen, rows[np.argsort(wanted, kind="stable")[:each]]])
            model = self.trained(chosen)
            if len(chosen) in self.counts:
                scores[str(len(chosen))] = self.accuracy(model)
        return scores

    def trained(self, rows: Ints) -> Classifier:
        """A classifier on the labels of some rows, from initial weights."""
        return classifier(
            self.images[rows], self.labels[rows], self.classes, seed=self.seed, epochs=self.epochs, batch=32
        )

    def accuracy(self, model: Classifier) -> float:
        """On the images held out."""
        return model.accuracy(self.unseen, self.unseen_labels)


def run(options: argparse.Namespace, data: LabelledImages, book: Book, tell: Tell) -> None:
    """All runs asked for that the book does not hold yet."""
    for seed in options.seeds:
        trial = Trial(data, seed, options.pretext_epochs, options.epochs)
        about = {"data": data.digest, "seed": seed, "pretext_epochs": trial.pretext_epochs, "epochs": trial.epochs}

        def keep(kind: str, task: str, make: Callable[[], dict[str, Any]], about: Line = about) -> None:
            key = about | {"kind": kind, "task": task}
            if book.find(**key) is None:
                begun = time.process_time()
                found = make()
                book.add(key | {"found": found, "seconds": round(time.process_time() - begun, 1)})
                tell(f"seed {key['seed']} {task} {kind}: {found}")

        if not options.correlation_only:
            keep(RANDOM, "", trial.at_random)
        for task in options.tasks:
            losses = Losses(trial, task, data.digest, options.reuse)
            keep("correlation", task, lambda trial=trial, losses=losses: trial.correlation(*losses.both()))
            for kind in () if options.correlation_only else (HARDEST, EASIEST):
                keep(kind, task, lambda trial=trial, losses=losses, kind=kind: trial.by_losses(
                    losses.both()[0], hardest_first=kind == HARDEST))  # fmt: skip


def grouped(pretext: Floats, downstream: Floats) -> float:
    """Spearman's between place and mean downstream loss of a hundred equal groups in the order of the pretext loss."""
    groups = np.array_split(downstream[np.argsort(pretext, kind="stable")], GROUPS)
    return float(spearmanr(np.arange(GROUPS), [group.mean() for group in groups]).statistic)


class Losses:
    """Losses of a task, learned when they are first asked for, and kept beside a file if there is one."""

    def __init__(self, trial: Trial, task: str, digest: str, beside: Path | None) -> None:
        self._trial, self._task = trial, task
        name = f"{task}-{trial.seed}-{trial.pretext_epochs}-{digest}.npz"
        self._file = beside.with_name(f"{beside.stem}.{name}") if beside else None
        self._found: tuple[Floats, Floats] | None = None

    def both(self) -> tuple[Floats, Floats]:
        """Of the pool, and of the images held out."""
        if self._found is None and self._file is not None and self._file.exists():
            with np.load(self._file, allow_pickle=False) as kept:
                self._found = kept["pool"], kept["unseen"]
        if self._found is None:
            self._found = self._trial.pretext(self._task)
            if self._file is not None:
                np.savez(self._file, pool=self._found[0], unseen=self._found[1])
        return self._found


def summary(lines: Sequence[Line]) -> Iterator[Line]:
    """For each task and figure the mean and the range over seeds; beside accuracies the points above random."""
    random = {line["seed"]: line["found"] for line in lines if line["kind"] == RANDOM}
    for line in dict.fromkeys((line["task"], line["kind"]) for line in lines):
        own = [one for one in lines if (one["task"], one["kind"]) == line]
        names = ["pool", "held_out", "groups"] if line[1] == "correlation" else list(own[0]["found"])
        for name in names:
            values = [one["found"][name] for one in own]
            row = {"task": line[0], "kind": line[1], "figure": name, "mean": float(np.mean(values)),
                   "least": min(values), "most": max(values), "seeds": [one["seed"] for one in own]}  # fmt: skip
            if line[1] in (HARDEST, EASIEST):
                above = [one["found"][name] - random[one["seed"]][name] for one in own if one["seed"] in random]
                row |= {"above_random": float(np.mean(above)), "seeds_above": sum(value > 0 for value in above)}
            yield row


def show(rows: Sequence[Line]) -> None:
    """A row each."""
    table = Table("task", "what", "figure", "mean", "least-most", "points above random", "seeds")
    for row in rows:
        above = (
            f"{100 * row['above_random']:+.1f} ({row['seeds_above']}/{len(row['seeds'])})"
            if "above_random" in row
            else ""
        )
        figure = f"{row['figure']} labels" if row["figure"].isdigit() else row["figure"]
        table.add_row(row["task"], row["kind"], figure, f"{row['mean']:.3f}", f"{row['least']:.3f}-{row['most']:.3f}",
                      above, str(len(row["seeds"])))  # fmt: skip
    console().print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for, and print a table or, with ``--json``, one object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="a folder with a sub-folder for each class")
    parser.add_argument("--tasks", type=parts, default=["rotation"], help=f"of {','.join(TASKS)}")
    parser.add_argument("--seeds", type=numbers, default=[0, 1, 2], help="0-2")
    parser.add_argument("--pretext-epochs", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=30, help="of a classifier on chosen labels")
    parser.add_argument("--correlation-only", action="store_true", help="choose nothing")
    parser.add_argument("--reuse", type=Path, help="file of finished runs; those in it are not run again")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    book = Book(options.reuse)
    try:
        data = load(options)
        run(options, data, book, lambda text: print(text, file=sys.stderr, flush=True))
    except PalError as problem:
        sys.exit(f"python -m benchmarks.pt4al: {problem}")
    wanted = {"data": data.digest, "pretext_epochs": options.pretext_epochs, "epochs": options.epochs}
    lines = [
        line for line in book.lines
        if wanted.items() <= line.items() and line["seed"] in options.seeds and line["task"] in ("", *options.tasks)
    ]  # fmt: skip
    rows = list(summary(lines))
    if options.json:
        print(json.dumps({"images": len(data.labels), "summary": rows, "runs": lines}))
    else:
        show(rows)


if __name__ == "__main__":
    main()
