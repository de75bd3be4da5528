"""How long a training on two processes takes to stop when asked: ``python -m benchmarks.stopping [--busy 1] [--json]``.

scikit-learn's 1,797 digits at 32 x 32, recipe simclr, batches of 256, gloo. The stop is asked for at a random moment of the
second epoch, as a worker asks that is told to stop: between two steps. The clock runs until the training has come back with
its checkpoint and no process of it is left. ``--busy`` starts as many processes beside it that do nothing but count.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks.questions_tables import console
from benchmarks.training import BATCH, digits
from pal_backend.backbones import network_of
from pal_backend.core.choice import Choice
from pal_backend.core.learning.backbones import Tuning
from pal_backend.core.learning.pixels import pca_features
from pal_backend.core.learning.retraining import Material
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.neighbours import build_space
from pal_backend.demo.descendants import Process, alive, descendants
from pal_backend.rank_processes import retrain_on

PROCESSES = 2
CHOICE = Choice("simclr", "small", "", "full")
POLL_S = 0.01


def stopped(epochs: int, rng: np.random.Generator) -> dict[str, float]:
    """One training that is asked to stop: seconds of its first epoch, and from the request to the end."""
    images, _ = digits()
    space = build_space([f"{row:016x}" for row in range(len(images))], pca_features(images))
    told: list[float] = []
    below: list[Process] = []
    kept: list[bytes] = []
    asked = [np.inf]

    def progress(state: dict[str, Any]) -> None:
        told.append(time.monotonic())
        if len(told) == 1:
            below.extend(descendants(os.getpid()))
            asked[0] = told[0] + rng.random() * (told[0] - started) / 2

    started = time.monotonic()
    trained = retrain_on(
        Material(images, images, network_of(CHOICE), Tuning.FULL), space, [],
        TrainingSettings(epochs=epochs, batch=BATCH, device="cpu"), choice=CHOICE, processes=PROCESSES,
        progress=progress, should_stop=lambda: time.monotonic() >= asked[0], keep=kept.append,
    )  # fmt: skip
    back = time.monotonic()
    while any(map(alive, below)):
        time.sleep(POLL_S)
    if not (trained.stopped and kept and len(below) > PROCESSES):
        raise RuntimeError(f"nothing was stopped: {len(trained.history)} epochs of {epochs}; make it longer")
    return {"first_epoch": told[0] - started, "back": back - asked[0], "gone": time.monotonic() - asked[0]}


def told_of(found: dict[str, float]) -> dict[str, float]:
    """The same, which stderr has seen: a repetition takes its time."""
    print({name: round(value, 2) for name, value in found.items()}, f"load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each repetition, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--busy", type=int, default=0, help="processes beside it that keep a core busy")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    counting = [sys.executable, "-c", "while True: pass"]
    beside = [subprocess.Popen(counting) for _ in range(options.busy)]
    rng = np.random.default_rng(0)
    try:
        found = [told_of(stopped(options.epochs, rng)) for _ in range(options.repetitions)]
    finally:
        for process in beside:
            process.kill()
            process.wait()
    if options.json:
        print(json.dumps({"busy": options.busy, "load": os.getloadavg()[0], "runs": found}))
        return
    table = Table("s to the first epoch's end", "s to the result", "s until no process is left")
    for one in found:
        table.add_row(*(f"{one[name]:.2f}" for name in ("first_epoch", "back", "gone")))
    console().print(table)


if __name__ == "__main__":
    main()
