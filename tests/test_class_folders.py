"""Folders of images read with our limits, and the classes their sub-folders name."""

from pathlib import Path

import pytest
from PIL import Image

from pal_backend import class_folders
from pal_backend.errors import InputError
from pal_backend.pool_index import PoolSample

A = "a" * 16


def picture(path: Path, shade: int) -> None:
    """A grey image of one shade."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (12, 12), shade).save(path)


def test_a_folder_gives_samples_images_and_classes(tmp_path: Path) -> None:
    """Identical files are one sample; what is broken is set aside with a reason; nothing is left behind in the folder."""
    picture(tmp_path / "cat/1.png", 10)
    picture(tmp_path / "cat/2.png", 10)
    picture(tmp_path / "dog/1.png", 200)
    (tmp_path / "dog/2.png").write_bytes(b"no image")
    before = sorted(tmp_path.rglob("*"))
    found = class_folders.read_folder(tmp_path, 8)
    assert found.images.shape == (2, 8, 8, 1)
    assert found.images[:, 0, 0, 0].tolist() == [10, 200]
    assert found.labels().tolist() == [0, 1]
    assert found.samples[0].paths == ("cat/1.png", "cat/2.png") and len(found.ids[0]) == 16
    assert [file.path for file in found.set_aside] == ["dog/2.png"]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    """The message says what was expected."""
    with pytest.raises(InputError, match="holds no image"):
        class_folders.read_folder(tmp_path, 8)


def test_folders_are_classes() -> None:
    """Images in one sub-folder have one class, whatever lies deeper."""
    assert class_folders.from_folders(["cat/1.png", "dog/2.png", "cat/more/3.png"]) == {
        "cat/1.png": 0,
        "dog/2.png": 1,
        "cat/more/3.png": 0,
    }


def test_images_without_folders_have_no_classes() -> None:
    """A flat folder cannot be answered for, and the message says what to do."""
    with pytest.raises(InputError, match="one sub-folder for each class; leave it"):
        class_folders.from_folders(["1.png", "2.png"], "leave it")


def test_a_sample_takes_the_class_of_a_known_file() -> None:
    """Identical files are one sample; one of them with a class is enough."""
    sample = PoolSample(A, ("copy.png", "cat/1.png"), 8, 8)
    assert class_folders.of_samples([sample], {"cat/1.png": 3}) == {A: 3}


def test_a_sample_without_class_is_named() -> None:
    """Scoring needs every class."""
    with pytest.raises(InputError, match=r"lonely\.png has no class"):
        class_folders.of_samples([PoolSample(A, ("lonely.png",), 8, 8)], {})
