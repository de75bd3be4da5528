"""Folders of images as pools."""

from __future__ import annotations

import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from pal_backend.errors import InputError, NotFoundError
from pal_backend.pool_folder import FolderPool
from pal_backend.pool_index import (
    PoolSample,
    content_type,
    first_paths,
    load_images,
    load_quarantine,
    load_samples,
    pool_file,
    read_inside,
)
from pal_backend.samples import IngestReport, ingest, write_digits
from pal_backend.store.artefacts import Artefacts

RED, GREEN, GREY = (250, 0, 0), (0, 250, 0), (90, 90, 90)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty pool folder."""
    pool = tmp_path / "pool"
    pool.mkdir()
    return pool


@pytest.fixture
def artefacts(tmp_path: Path) -> Artefacts:
    """An empty artefact folder."""
    return Artefacts(str(tmp_path / "artefacts"))


def put(folder: Path, name: str, colour: tuple[int, int, int], size: tuple[int, int] = (8, 8)) -> bytes:
    """Write a PNG file of one colour; returns its bytes."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())
    return buffer.getvalue()


def take(folder: Path, artefacts: Artefacts, side: int = 8, **options: Any) -> IngestReport:
    """Ingest into the project "p"."""
    return ingest(FolderPool(folder), artefacts, "p", side, **options)


def test_a_sample_is_named_by_its_content_and_equal_files_are_one(folder: Path, artefacts: Artefacts) -> None:
    """The id is the first 16 hex digits of SHA-256, and a copy is a second path of the same sample."""
    data = put(folder, "b/red.png", RED, (30, 20))
    (folder / "a.png").write_bytes(data)
    put(folder, "green.png", GREEN)
    report = take(folder, artefacts)
    assert report == IngestReport(samples=2, new=2, duplicates=1, quarantined=0, missing=0, ignored=0)
    red, green = load_samples(artefacts, "p")
    assert red == PoolSample(hashlib.sha256(data).hexdigest()[:16], ("a.png", "b/red.png"), 30, 20)
    images = load_images(artefacts, "p")
    assert (images.shape, images.dtype) == ((2, 8, 8, 3), np.uint8)
    assert images[0, 4, 4].tolist() == list(RED)
    assert first_paths([red, green]) == {red.id: "a.png", green.id: "green.png"}


def test_rows_never_move_and_new_samples_come_last(folder: Path, artefacts: Artefacts) -> None:
    """A file that sorts first but came later is appended; the others keep their rows."""
    put(folder, "m.png", RED)
    put(folder, "z.png", GREEN)
    take(folder, artefacts)
    before = [sample.id for sample in load_samples(artefacts, "p")]
    put(folder, "a.png", GREY)
    assert take(folder, artefacts).new == 1
    assert [sample.id for sample in load_samples(artefacts, "p")][:2] == before
    assert load_images(artefacts, "p")[2, 0, 0].tolist() == list(GREY)


def test_a_missing_sample_keeps_its_row_and_comes_back(folder: Path, artefacts: Artefacts) -> None:
    """A deleted file is reported, its sample stays as missing, and is whole again once the file is back."""
    data = put(folder, "a.png", RED)
    put(folder, "b.png", GREEN)
    take(folder, artefacts)
    (folder / "a.png").unlink()
    assert take(folder, artefacts).missing == 1
    gone, there = load_samples(artefacts, "p")
    assert (gone.missing, gone.paths, there.missing) == (True, ("a.png",), False)
    assert gone.id not in first_paths([gone, there])
    (folder / "new-name.png").write_bytes(data)
    report = take(folder, artefacts)
    assert (report.missing, report.new) == (0, 0)
    assert load_samples(artefacts, "p")[0].paths == ("new-name.png",)


def test_a_grey_pool_has_one_channel_until_a_coloured_image_comes(folder: Path, artefacts: Artefacts) -> None:
    """The pool decides on the channels: all grey is one, else three, for old rows too."""
    put(folder, "grey.png", GREY)
    take(folder, artefacts)
    assert load_images(artefacts, "p").shape == (1, 8, 8, 1)
    put(folder, "red.png", RED)
    take(folder, artefacts)
    images = load_images(artefacts, "p")
    assert images.shape == (2, 8, 8, 3)
    assert images[0, 0, 0].tolist() == list(GREY)


def test_unchanged_files_are_not_read_again(folder: Path, artefacts: Artefacts) -> None:
    """Size and time of change suffice; a changed file is read, and one of other content is another sample."""
    put(folder, "a.png", RED)
    take(folder, artefacts)
    stamp = (folder / "a.png").stat()
    broken = b"x" * stamp.st_size
    (folder / "a.png").write_bytes(broken)
    os.utime(folder / "a.png", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert take(folder, artefacts).quarantined == 0
    os.utime(folder / "a.png", ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1))
    report = take(folder, artefacts)
    assert (report.quarantined, report.missing) == (1, 1)


def test_another_image_size_makes_all_images_anew(folder: Path, artefacts: Artefacts) -> None:
    """Rows stay, small images are decoded again; that of a missing file is only resized."""
    put(folder, "a.png", RED)
    put(folder, "b.png", GREEN)
    take(folder, artefacts)
    (folder / "a.png").unlink()
    report = take(folder, artefacts, side=16)
    assert (report.samples, report.new, report.missing) == (2, 0, 1)
    images = load_images(artefacts, "p")
    assert images.shape == (2, 16, 16, 3)
    assert images[:, 9, 9].tolist() == [list(RED), list(GREEN)]


def test_bad_files_are_set_aside_with_a_reason_and_others_ignored(folder: Path, artefacts: Artefacts) -> None:
    """Damaged images are quarantined, text files are not even mentioned, hidden files not looked at."""
    good = put(folder, "good.png", RED)
    (folder / "cut.png").write_bytes(good[:40])
    (folder / "page.jpg").write_bytes(b"<html>not found</html>")
    (folder / "notes.txt").write_text("hello")
    (folder / "no-suffix").write_bytes(good)
    (folder / ".hidden.png").write_bytes(good)
    put(folder, ".cache/thumb.png", GREEN)
    expected = IngestReport(samples=1, new=1, duplicates=1, quarantined=2, missing=0, ignored=1)
    assert take(folder, artefacts) == expected
    first = load_quarantine(artefacts, "p")
    assert [entry.path for entry in first] == ["cut.png", "page.jpg"]
    assert "damaged PNG" in first[0].reason
    assert "not an image of a known type" in first[1].reason
    assert take(folder, artefacts).quarantined == 2
    assert load_quarantine(artefacts, "p") == first


def test_links_that_leave_the_pool_are_refused(folder: Path, artefacts: Artefacts, tmp_path: Path) -> None:
    """Links to files and folders outside are set aside, those inside are a path more, loops and dangling ones reported."""
    outside = tmp_path / "outside"
    put(outside, "secret.png", GREEN)
    put(folder, "a.png", RED)
    (folder / "out.png").symlink_to(outside / "secret.png")
    (folder / "outdir").symlink_to(outside)
    (folder / "in.png").symlink_to(folder / "a.png")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "round").symlink_to(folder)
    report = take(folder, artefacts)
    assert (report.samples, report.duplicates, report.quarantined) == (1, 1, 3)
    reasons = {entry.path: entry.reason for entry in load_quarantine(artefacts, "p")}
    assert set(reasons) == {"loop.png", "out.png", "outdir"}
    assert all("leads out of the pool" in reasons[path] for path in ("out.png", "outdir"))


def test_a_pipe_does_not_stop_the_ingest(folder: Path, artefacts: Artefacts) -> None:
    """What is no regular file is set aside without being opened."""
    put(folder, "a.png", RED)
    os.mkfifo(folder / "pipe.png")
    assert take(folder, artefacts).quarantined == 1


def test_a_name_that_is_not_utf8_is_set_aside(folder: Path, artefacts: Artefacts) -> None:
    """Such a path could be neither stored nor exported."""
    data = put(folder, "a.png", RED)
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.png")).write_bytes(data)
    assert take(folder, artefacts).quarantined == 1
    assert "not UTF-8" in load_quarantine(artefacts, "p")[0].reason


def test_a_pool_without_images_and_a_missing_folder_say_so(folder: Path, artefacts: Artefacts) -> None:
    """Nothing is written for an empty pool."""
    (folder / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match="holds no image that can be used"):
        take(folder, artefacts)
    with pytest.raises(InputError, match="is not a folder"):
        take(folder / "nowhere", artefacts)
    with pytest.raises(NotFoundError):
        load_samples(artefacts, "p")
    assert load_quarantine(artefacts, "p") == []


def test_a_crash_between_images_and_samples_leaves_a_readable_pool(folder: Path, artefacts: Artefacts) -> None:
    """Images without samples are not shown, and the next ingest goes on from there."""
    put(folder, "a.png", RED)
    take(folder, artefacts)
    old = artefacts.read(pool_file("p", "samples.jsonl"))
    files = artefacts.read(pool_file("p", "files.jsonl"))
    put(folder, "b.png", GREEN)
    take(folder, artefacts)
    artefacts.write_file(pool_file("p", "samples.jsonl"), old)
    artefacts.write_file(pool_file("p", "files.jsonl"), files)
    assert len(load_images(artefacts, "p")) == len(load_samples(artefacts, "p")) == 1
    assert take(folder, artefacts).new == 1
    assert load_images(artefacts, "p")[1, 0, 0].tolist() == list(GREEN)


def test_rows_survive_the_loss_of_the_list_of_files(folder: Path, artefacts: Artefacts) -> None:
    """Without it all files are read again, and the order stays."""
    put(folder, "z.png", RED)
    take(folder, artefacts)
    put(folder, "a.png", GREEN)
    take(folder, artefacts)
    before = load_samples(artefacts, "p")
    artefacts.remove(pool_file("p", "files.jsonl"))
    assert take(folder, artefacts).new == 0
    assert load_samples(artefacts, "p") == before


def test_progress_is_told_for_every_file(folder: Path, artefacts: Artefacts) -> None:
    """It counts up to the number of files."""
    put(folder, "a.png", RED)
    put(folder, "b.png", GREEN)
    told: list[tuple[int, int]] = []
    take(folder, artefacts, progress=lambda done, of: told.append((done, of)))
    assert told == [(1, 2), (2, 2)]


@pytest.mark.parametrize("path", ["../secret", "/etc/hostname", "", "a/../../secret", "a\0b"])
def test_no_path_leads_out_of_the_pool(folder: Path, path: str) -> None:
    """Absolute paths, dots and NUL are refused in words."""
    (folder.parent / "secret").write_text("secret")
    with pytest.raises(InputError, match="not a path inside the pool"):
        read_inside(folder, path)


def test_reading_a_file_of_the_pool(folder: Path, tmp_path: Path) -> None:
    """Files are read, larger ones, folders, outward links and absent ones are not."""
    data = put(folder, "sub/a.png", RED)
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    assert read_inside(folder, "sub/a.png") == data
    with pytest.raises(InputError, match="larger than"):
        read_inside(folder, "sub/a.png", limit=10)
    with pytest.raises(InputError, match="not a regular file"):
        read_inside(folder, "sub")
    with pytest.raises(InputError, match="leads out of the pool"):
        read_inside(folder, "link")
    for absent in ("nowhere.png", "sub/a.png/b"):
        with pytest.raises(NotFoundError):
            read_inside(folder, absent)


def test_content_type_goes_by_the_first_bytes() -> None:
    """Names do not matter; what is not one of the five formats has none."""
    for kind, media in [("PNG", "png"), ("JPEG", "jpeg"), ("GIF", "gif"), ("WEBP", "webp"), ("BMP", "bmp")]:
        buffer = io.BytesIO()
        Image.new("RGB", (4, 4)).save(buffer, kind)
        assert content_type(buffer.getvalue()[:16]) == f"image/{media}"
    assert content_type(b"BM this is a text") is None
    assert content_type(b"<svg>") is None


def test_digits_become_png_files_that_keep_every_value_and_hide_the_class(tmp_path: Path) -> None:
    """1,797 files; the original 64 values can be read back; names are of the content; classes lie outside the pool."""
    pool, labels = tmp_path / "digits", tmp_path / "classes.json"
    write_digits(pool, labels)
    classes = json.loads(labels.read_text())
    files = sorted(path.name for path in pool.iterdir())
    assert files == sorted(classes)
    assert len(files) == 1797
    found = set()
    for name in files[:50]:
        pixels = np.asarray(Image.open(pool / name)).astype(float)
        assert pixels.shape == (96, 96)
        middle = pixels.reshape(8, 12, 8, 12)[:, 5:7, :, 5:7].mean(axis=(1, 3))
        found.add((tuple(np.round((255 - middle) * 16 / 255).astype(int).ravel().tolist()), classes[name]))
    digits = load_digits()
    originals = {
        (tuple(x.astype(int).ravel().tolist()), int(y)) for x, y in zip(digits.images, digits.target, strict=True)
    }
    assert found <= originals
    assert len({name[:1] for name, digit in classes.items() if digit == 3}) > 8


def test_digits_that_are_there_are_left_alone(tmp_path: Path) -> None:
    """A second run writes no image again, and refuses to put the classes into the pool."""
    pool, labels = tmp_path / "digits", tmp_path / "classes.json"
    write_digits(pool, labels)
    before = {path: path.stat().st_mtime_ns for path in pool.iterdir()}
    write_digits(pool, labels)
    assert {path: path.stat().st_mtime_ns for path in pool.iterdir()} == before
    with pytest.raises(InputError, match="must be kept outside the pool"):
        write_digits(pool, pool / "classes.json")
