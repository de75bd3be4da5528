"""How fast views and training are, and what a recipe makes of digits: ``python -m benchmarks.training [--json]``.

Views: all images of a batch at once, each with its own random transformation, against torchvision's transforms image by
image, for our strong views and for SimCLR's. Training: one epoch on scikit-learn's 1,797 digits at 32 x 32 pixels with 300
answers. ``--layouts``: a step of the small network and of a ResNet-18 with channels last and with bfloat16, against
neither. ``--quality RECIPE...``: the features that a training on 170 true answers gives; labels are used for answers and
scoring alone.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import NearestNeighbors
from torch import nn
from torch.nn.functional import interpolate
from torchvision.models import resnet18
from torchvision.transforms import v2

from pal_backend.core.learning.backbones import small
from pal_backend.core.learning.graph import TrainingGraph, build_training_graph
from pal_backend.core.learning.pixels import pca_features
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.learning.training import pick_device, train
from pal_backend.core.learning.views import PRESETS, views
from pal_backend.core.neighbours import build_space
from pal_backend.core.recipes import DEFAULT, Recipe, recipe
from pal_backend.core.vocabulary import AnnotationKey, Answer, Pair, Verdict

SIDE = 32
BATCH = 256


def view_rates(repeats: int) -> dict[str, float]:
    """Images a second of colour views at 32 x 32, ours on a batch and torchvision's image by image, and how many times
    faster ours are: the median of interleaved runs.
    """
    images = torch.rand(BATCH, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    affine = v2.RandomAffine(
        20, translate=(0.12, 0.12), scale=(0.8, 1.3), shear=10, interpolation=v2.InterpolationMode.BILINEAR
    )
    theirs = {
        "strong": [affine, v2.ColorJitter(0.15, 0.4, 0.5, 0.07), v2.RandomGrayscale(0.2)],
        "simclr": [
            v2.RandomResizedCrop(SIDE, (0.08, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(0.8, 0.8, 0.8, 0.2)], 0.8),
            v2.RandomGrayscale(0.2),
            v2.RandomApply([v2.GaussianBlur(9, (0.1, 2.0))], 0.5),
        ],
    }
    some = images[:64]
    figures: dict[str, float] = {}
    for name, transforms in theirs.items():
        one_by_one = v2.Compose(transforms)
        ours = [
            lambda preset=PRESETS[name]: views(images, preset, generator),
            lambda each=one_by_one: [each(image) for image in some],
        ]
        seconds = interleaved(ours, repeats)
        figures[f"views_{name}"] = BATCH / float(np.median(seconds[0]))
        figures[f"views_{name}_torchvision_each"] = len(some) / float(np.median(seconds[1]))
        figures[f"views_{name}_times_faster"] = float(np.median(seconds[1] / len(some) / (seconds[0] / BATCH)))
    return figures


def interleaved(runs: Sequence[Callable[[], object]], repeats: int) -> NDArray[np.float64]:
    """Seconds of each run, (runs, repeats), taken in turns after one warm-up: others may use the machine too."""
    for run in runs:
        run()
    seconds = np.empty((len(runs), repeats))
    for repeat in range(repeats):
        for number, run in enumerate(runs):
            started = time.perf_counter()
            run()
            seconds[number, repeat] = time.perf_counter() - started
    return seconds


def layout_ratios(repeats: int) -> dict[str, float]:
    """Time of a forward and backward pass with a layout or type, over that of plain float32 in the usual layout."""
    images = torch.rand(2 * BATCH, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    device = pick_device("auto")
    figures: dict[str, float] = {}
    for name, network in (("small", small(3, SIDE, torch.Generator().manual_seed(0))), ("resnet18", resnet18())):
        count = len(images) if name == "small" else 64
        runs = []
        for layout in (torch.contiguous_format, torch.channels_last):
            for narrow in (False, True):
                net = copy.deepcopy(network).to(device, memory_format=layout).train()
                batch = images[:count].to(device, memory_format=layout)
                runs.append(partial(one_pass, net, batch, narrow=narrow))
        seconds = interleaved(runs, repeats)
        for number, label in enumerate(("bf16", "channels_last", "channels_last_bf16"), 1):
            figures[f"{name}_{label}_times"] = float(np.median(seconds[number] / seconds[0]))
    return figures


def one_pass(network: nn.Module, batch: torch.Tensor, *, narrow: bool) -> None:
    """Forward and backward."""
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=narrow):
        loss = network(batch).square().mean()
    loss.backward()
    if batch.device.type == "cuda":
        torch.cuda.synchronize()


def digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The digits as uint8 (1797, 32, 32, 1), and their classes."""
    found = load_digits()
    small = torch.from_numpy(found.images)[:, None].float() * (255 / 16)
    large = interpolate(small, size=(SIDE, SIDE), mode="bicubic", align_corners=False).clamp(0, 255).byte()
    return large.permute(0, 2, 3, 1).contiguous().numpy(), found.target


def answered_graph(
    images: NDArray[np.uint8], classes: NDArray[np.int64], count: int, recipe: Recipe = DEFAULT
) -> TrainingGraph:
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
    return build_training_graph(space, answers, recipe=recipe)


def epoch_figures(epochs: int) -> dict[str, float]:
    """Seconds of an epoch, images (views) a second, and seconds of thirty epochs."""
    images, classes = digits()
    told: list[dict[str, Any]] = []
    settings = TrainingSettings(epochs=epochs, batch=BATCH, device="auto")
    result = train(images, answered_graph(images, classes, 300), settings, progress=told.append)
    rate = max(state["images_per_second"] for state in told)
    seconds = result.seconds / epochs
    return {"epoch_seconds": seconds, "thirty_epochs_seconds": 30 * seconds, "training_images_per_second": rate}


def quality(recipes: Sequence[Recipe], epochs: int, seed: int) -> dict[str, float]:
    """Share of the 15 nearest neighbours of the same class, and adjusted Rand index of k-means with ten clusters, for each
    recipe with and without answers, and for PCA.
    """
    images, classes = digits()
    figures = scored("pca", pca_features(images), classes)
    for chosen in recipes:
        for answers in (0, 170):
            graph = answered_graph(images, classes, answers, chosen)
            result = train(images, graph, TrainingSettings.of(chosen, epochs=epochs, batch=BATCH, seed=seed))
            figures |= scored(f"{chosen.name}_{answers}", result.features, classes)
    return figures


def scored(name: str, features: NDArray[np.float32], classes: NDArray[np.int64]) -> dict[str, float]:
    """Purity and ARI under a name."""
    near = NearestNeighbors(n_neighbors=15, algorithm="brute").fit(features).kneighbors(return_distance=False)
    groups = KMeans(10, n_init=10, random_state=0).fit_predict(features)
    return {
        f"{name}_purity": float((classes[near] == classes[:, None]).mean()),
        f"{name}_ari": float(adjusted_rand_score(classes, groups)),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--layouts", action="store_true", help="time memory layouts and bfloat16 instead")
    parser.add_argument("--quality", nargs="+", metavar="RECIPE", help="train these recipes on digits instead")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    figures: dict[str, float] = {"threads": chosen.threads, "cuda": float(torch.cuda.is_available())}
    if chosen.layouts:
        figures |= layout_ratios(chosen.repeats)
    elif chosen.quality:
        figures |= quality([recipe(name) for name in chosen.quality], chosen.epochs, chosen.seed)
    else:
        figures |= view_rates(chosen.repeats)
        figures |= epoch_figures(chosen.epochs)
    if chosen.json:
        print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
        return
    for name, value in figures.items():
        print(f"{name:32} {value:12,.2f}")


if __name__ == "__main__":
    main()
