"""How fast views and training are: ``python -m benchmarks.training [--json]``.

Views: all images of a batch at once, each with its own random transformation, against torchvision's transforms image by
image. Training: one epoch on scikit-learn's 1,797 digits at 32 x 32 pixels with 300 answers.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch.nn.functional import interpolate
from torchvision.transforms import v2

from pal_backend.core.learning.graph import TrainingGraph, build_training_graph
from pal_backend.core.learning.pixels import pca_features
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.learning.training import train
from pal_backend.core.learning.views import STRONG, views
from pal_backend.core.neighbours import build_space
from pal_backend.core.vocabulary import AnnotationKey, Answer, Pair, Verdict

SIDE = 32
BATCH = 256


def best_rate(make: Callable[[], object], images: int, repeats: int) -> float:
    """Images a second, the best of a few runs: others may use the machine too."""
    make()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        make()
        times.append(time.perf_counter() - started)
    return images / min(times)


def view_rates(repeats: int) -> dict[str, float]:
    """Images a second of colour views at 32 x 32: ours on a batch, torchvision image by image."""
    images = torch.rand(BATCH, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    one_by_one = v2.Compose(
        [
            v2.RandomAffine(
                20, translate=(0.12, 0.12), scale=(0.8, 1.3), shear=10, interpolation=v2.InterpolationMode.BILINEAR
            ),
            v2.ColorJitter(0.15, 0.4, 0.5, 0.07),
            v2.RandomGrayscale(0.2),
        ]
    )
    some = images[:64]
    return {
        "views_batched": best_rate(lambda: views(images, STRONG, generator), BATCH, repeats),
        "views_torchvision_each": best_rate(lambda: [one_by_one(image) for image in some], len(some), repeats),
    }


def digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The digits as uint8 (1797, 32, 32, 1), and their classes."""
    found = load_digits()
    small = torch.from_numpy(found.images)[:, None].float() * (255 / 16)
    large = interpolate(small, size=(SIDE, SIDE), mode="bicubic", align_corners=False).clamp(0, 255).byte()
    return large.permute(0, 2, 3, 1).contiguous().numpy(), found.target


def answered_graph(images: NDArray[np.uint8], classes: NDArray[np.int64], count: int) -> TrainingGraph:
    """A training graph with ``count`` true answers on random pairs of near neighbours and others, half each."""
    ids = [f"{row:016x}" for row in range(len(images))]
    space = build_space(ids, pca_features(images))
    rng = np.random.default_rng(0)
    answers = []
    for number in range(count):
        i = int(rng.integers(len(ids)))
        near = space.neighbours(i)
        j = int(rng.choice(near if number % 2 else np.delete(np.arange(len(ids)), i)))
        verdict = Verdict.SAME if classes[i] == classes[j] else Verdict.DIFFERENT
        answers.append(Answer(AnnotationKey("pairs", number), Pair.of(ids[i], ids[j]), verdict, "a"))
    return build_training_graph(space, answers)


def epoch_figures(epochs: int) -> dict[str, float]:
    """Seconds of an epoch, images (views) a second, and seconds of thirty epochs."""
    images, classes = digits()
    told: list[dict[str, Any]] = []
    settings = TrainingSettings(epochs=epochs, batch=BATCH, device="auto")
    result = train(images, answered_graph(images, classes, 300), settings, progress=told.append)
    rate = max(state["images_per_second"] for state in told)
    seconds = result.seconds / epochs
    return {"epoch_seconds": seconds, "thirty_epochs_seconds": 30 * seconds, "training_images_per_second": rate}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=10)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    figures: dict[str, float] = {"threads": chosen.threads, "cuda": float(torch.cuda.is_available())}
    figures |= view_rates(chosen.repeats)
    figures["views_times_faster"] = figures["views_batched"] / figures["views_torchvision_each"]
    figures |= epoch_figures(chosen.epochs)
    if chosen.json:
        print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
        return
    for name, value in figures.items():
        print(f"{name:32} {value:12,.2f}")


if __name__ == "__main__":
    main()
