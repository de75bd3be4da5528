"""Features made elsewhere: rows find their samples, and nothing is executed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pal_backend.errors import InputError, NotFoundError
from pal_backend.given_features import given_features
from pal_backend.pool_index import PoolSample

SAMPLES = [
    PoolSample("a" * 16, ("cats/1.png", "copies/1.png"), 2, 2),
    PoolSample("b" * 16, ("cats/2.png",), 2, 2),
    PoolSample("c" * 16, ("dögs/1.png",), 2, 2),
]
X = np.arange(12, dtype=np.float64).reshape(4, 3)


def write(folder: Path, array: np.ndarray, names: list[str]) -> Path:
    """The two files."""
    np.save(folder / "x.npy", array)
    (folder / "x.txt").write_text("".join(f"{name}\n" for name in names))
    return folder / "x.npy"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rows_are_found_by_path_or_id(tmp_path: Path, dtype: type[np.floating]) -> None:
    """In the pool's order, whatever that of the file; other rows are passed over; any path of a sample names it."""
    path = write(tmp_path, X.astype(dtype), ["dögs/1.png", "elsewhere.png", "b" * 16, "copies/1.png"])
    found = given_features(path, SAMPLES)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, X[[3, 2, 0]])


def test_the_first_of_several_rows_counts(tmp_path: Path) -> None:
    """Two rows of one path are no reason to guess."""
    path = write(tmp_path, X, ["cats/1.png", "cats/1.png", "cats/2.png", "dögs/1.png"])
    np.testing.assert_array_equal(given_features(path, SAMPLES), X[[0, 2, 3]])


def test_samples_without_a_row_are_named(tmp_path: Path) -> None:
    """How many, and the first of them, and what to do."""
    path = write(tmp_path, X[:2], ["cats/2.png", "nothing.png"])
    with pytest.raises(InputError, match=r"no row for 2 of the 3 samples of the pool \(cats/1\.png, dögs/1\.png\)"):
        given_features(path, SAMPLES)


def test_the_list_must_be_there_and_fit(tmp_path: Path) -> None:
    """Without names, with too few, and with names that are no text."""
    path = write(tmp_path, X, ["cats/1.png"])
    with pytest.raises(InputError, match=r"has 1 lines for the 4 rows of x\.npy"):
        given_features(path, SAMPLES)
    (tmp_path / "x.txt").write_bytes(b"\xff\n" * 4)
    with pytest.raises(InputError, match="not UTF-8"):
        given_features(path, SAMPLES)
    (tmp_path / "x.txt").unlink()
    with pytest.raises(NotFoundError, match=r"names of features .*x\.txt cannot be found"):
        given_features(path, SAMPLES)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (X.astype(np.int64), "are int64 \\(4, 3\\); expected floats"),
        (X.astype(np.complex64), "are complex64"),
        (X[0], "are float64 \\(3,\\)"),
        (X[:, :0], "are float64 \\(4, 0\\)"),
        (np.array([[object()] * 3] * 4, dtype=object), "without objects"),
        (np.where(X == 5, np.nan, X), "not finite"),
        (np.where(X == 5, 1e300, X), "not finite in float32"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, array: np.ndarray, words: str) -> None:
    """Whole numbers, other shapes, objects (which numpy would unpickle) and what float32 cannot hold."""
    path = write(tmp_path, array, ["cats/1.png", "cats/2.png", "dögs/1.png", "x"])
    with np.errstate(over="ignore"), pytest.raises(InputError, match=words):
        given_features(path, SAMPLES)


def test_files_that_are_none_or_too_large_are_refused(tmp_path: Path) -> None:
    """Rubbish under the right name, no file at all, another kind, and one over the limit."""
    path = write(tmp_path, X, ["a"] * 4)
    with pytest.raises(InputError, match="make the file smaller"):
        given_features(path, SAMPLES, limit=50)
    path.write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(InputError, match=r"expected an array saved with numpy\.save"):
        given_features(path, SAMPLES)
    with pytest.raises(NotFoundError, match=r"y\.npy cannot be found here"):
        given_features(tmp_path / "y.npy", SAMPLES)
    with pytest.raises(InputError, match=r"expected one of \.npy"):
        given_features(tmp_path / "y.pkl", SAMPLES)
