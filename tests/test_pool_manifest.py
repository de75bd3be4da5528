"""Pools by manifest: CSV and JSONL with paths, addresses or texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pal_backend.core.vocabulary import Medium
from pal_backend.errors import InputError, NotFoundError, UnavailableError
from pal_backend.media import MediaFiles
from pal_backend.pool_folder import FolderPool, Pool, PoolEntry
from pal_backend.pool_index import load_quarantine, load_samples, load_texts, local_root
from pal_backend.pool_manifest import ManifestPool
from pal_backend.pool_sources import Sources, read_pool
from pal_backend.samples import IngestReport, ingest
from pal_backend.settings import Settings
from pal_backend.store.artefacts import Artefacts
from tests.web_side import png, sample_id


@pytest.fixture
def artefacts(tmp_path: Path) -> Artefacts:
    """An empty artefact folder."""
    return Artefacts(str(tmp_path / "artefacts"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three pictures, and a secret beside it."""
    inside = tmp_path / "pool"
    inside.mkdir()
    for number in range(3):
        (inside / f"{number}.png").write_bytes(png(40 * number))
    (tmp_path / "secret.png").write_bytes(png(200))
    return inside


def open_pool(pool: str, medium: Medium) -> Pool:
    """As a worker opens it; none of these needs Label Studio."""
    return Sources(Settings(), lambda: pytest.fail("Label Studio is not needed")).open(pool, medium)


def take(
    file: Path, artefacts: Artefacts, fetch: Callable[[str], bytes] | None = None, **options: object
) -> IngestReport:
    """Ingest a manifest into the project "p"."""
    return ingest(ManifestPool(file, fetch=fetch), artefacts, "p", 8)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.csv", "id,path,label\nzero,0.png,cat\ntwo,./2.png,dog\n"),
        ("m.CSV", '\ufeffpath,id\r\n"0.png",zero\r\n2.png,two\r\n'),
        ("m.jsonl", '{"path": "0.png", "id": "zero"}\n\n{"id": "two", "path": "2.png", "more": [1]}\n'),
    ],
)
def test_a_manifest_names_the_samples_that_count(folder: Path, artefacts: Artefacts, name: str, text: str) -> None:
    """Only what it names is taken in, under the team's ids; other columns, labels above all, are not read."""
    (folder / name).write_text(text)
    report = take(folder / name, artefacts)
    assert (report.samples, report.quarantined) == (2, 0)
    zero, two = load_samples(artefacts, "p")
    assert (zero.id, zero.paths, zero.names) == (sample_id(png(0)), ("0.png",), ("zero",))
    assert (two.paths, two.names) == (("2.png",), ("two",))
    assert MediaFiles(artefacts, lambda: 0.0).read("p", local_root(str(folder / name)), two.id).content == png(80)


@pytest.mark.parametrize(
    "path", ["../secret.png", "/etc/passwd", "a/../../secret.png", "link.png", "gone.png", "a\\u0000b"]
)
def test_paths_stay_in_the_folder_of_the_manifest(folder: Path, artefacts: Artefacts, path: str) -> None:
    """A path that leads out is set aside with its line; the rest is taken in."""
    (folder / "link.png").symlink_to(folder.parent / "secret.png")
    (folder / "m.jsonl").write_text(f'{{"path": "0.png"}}\n{{"path": "{path}"}}\n')
    report = take(folder / "m.jsonl", artefacts)
    assert (report.samples, report.quarantined) == (1, 1)
    (aside,) = load_quarantine(artefacts, "p")
    assert aside.reason.startswith("line 2: ")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.csv", "id,where\n1,0.png\n", "line 2 of .* has id, where; expected a column path or file or image or url"),
        ("m.csv", "path,id\n0.png,1,2\n", "line 2 of .* has other fields than the head line; expected 2: path, id"),
        ("m.csv", "path,id\n0.png,1\n1.png\n", "line 3 of .* has other fields"),
        ("m.csv", 'path\n"0.png\n', "is not CSV: unexpected end of data"),
        ("m.csv", "path\n0.png\n \n", "line 3 of .* says nothing under 'path'"),
        ("m.jsonl", '{"path": "0.png"}\n["1.png"]\n', "line 2 of .* is no JSON object"),
        ("m.jsonl", '{"path": "0.png"\n', "line 1 of .* is no JSON object"),
        ("m.jsonl", '{"path": 3}\n', "line 1 of .* says nothing"),
        (
            "m.jsonl",
            '{"path": "0.png", "id": "a"}\n{"path": "1.png", "id": "a"}\n',
            "line 2 .* has the id 'a' of line 1",
        ),
        ("m.jsonl", '{"path": "0.png", "id": [1]}\n', "line 1 .* has an id that is no short text"),
        ("m.jsonl", "[" * 100_000 + "\n", "line 1 of .* is no JSON object"),
        ("m.csv", "path\n" + "a" * 300_000 + "\n", "line 2 of .* has 300,001 characters"),
        ("m.csv", "", "names no sample"),
        ("m.csv", "path\n", "names no sample"),
        ("m.jsonl", '{"text": "a"}\n', "--kind text if these are texts"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_refused_by_its_line(
    folder: Path, name: str, text: str, message: str
) -> None:
    """`pal init` says which line is wrong before anything is made."""
    (folder / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_pool(str(folder / name))


def test_bytes_that_are_no_text_and_files_that_are_not_there_are_told(folder: Path) -> None:
    """Neither is a manifest."""
    (folder / "m.csv").write_bytes(b"path\n\xff\xfe\n")
    with pytest.raises(InputError, match="is not UTF-8 at byte"):
        read_pool(str(folder / "m.csv"))
    with pytest.raises(NotFoundError, match=r"there is no manifest .*gone\.jsonl"):
        read_pool(str(folder / "gone.jsonl"))
    with pytest.raises(InputError, match="is no pool; expected a folder"):
        read_pool(str(folder / "0.png"))
    assert isinstance(open_pool(read_pool(str(folder)), Medium.IMAGE), FolderPool)


def test_addresses_are_fetched_once_and_kept_as_copies(folder: Path, artefacts: Artefacts) -> None:
    """What came from elsewhere is shown from its copy; what failed is tried again, what is known is not asked for."""
    asked: list[str] = []
    there = {"https://host/a.png": png(10), "https://host/b.png": png(20)}

    def fetch(url: str) -> bytes:
        asked.append(url)
        if url not in there:
            raise UnavailableError("not now")
        return there[url]

    (folder / "m.csv").write_text("url\nhttps://host/a.png\n0.png\nhttps://host/b.png\nhttps://host/c.png\n")
    first = take(folder / "m.csv", artefacts, fetch)
    assert (first.samples, first.quarantined, sorted(asked)) == (3, 1, [*there, "https://host/c.png"])
    assert [one.path for one in load_quarantine(artefacts, "p")] == ["https://host/c.png"]
    asked.clear()
    there["https://host/c.png"] = png(30)
    second = take(folder / "m.csv", artefacts, fetch)
    assert (second.samples, second.new, asked) == (4, 1, ["https://host/c.png"])
    media = MediaFiles(artefacts, lambda: 0.0)
    for shade in (10, 20, 30, 0):
        assert media.read("p", folder, sample_id(png(shade))).content == png(shade)
    (folder / "m.csv").write_text("url\nhttps://host/a.png\n")
    assert take(folder / "m.csv", artefacts, fetch).missing == 3
    with pytest.raises(NotFoundError):
        MediaFiles(artefacts, lambda: 0.0).read("p", folder, sample_id(png(20)))


def test_a_copy_that_was_changed_is_not_shown(folder: Path, artefacts: Artefacts) -> None:
    """A sample is its content: another file in its place is another sample."""
    (folder / "m.csv").write_text("url\nhttps://host/a.png\n")
    take(folder / "m.csv", artefacts, lambda url: png(10))
    sample = sample_id(png(10))
    artefacts.write_file(f"projects/p/pool/copies/{sample[:2]}/{sample}", png(99))
    with pytest.raises(NotFoundError):
        MediaFiles(artefacts, lambda: 0.0).read("p", folder, sample)


def test_a_long_ingest_that_is_killed_goes_on_where_it_was(
    folder: Path, artefacts: Artefacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was fetched before is kept, and not fetched again; nothing is called missing meanwhile."""
    monkeypatch.setattr("pal_backend.samples.KEEP_EVERY", 4)
    (folder / "m.csv").write_text("url\n" + "".join(f"https://host/{n}.png\n" for n in range(10)))
    asked: list[str] = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        if url.endswith("/9.png") and asked.count(url) == 1:
            raise MemoryError
        return png(int(url[13]) + 1)

    with pytest.raises(MemoryError):
        take(folder / "m.csv", artefacts, fetch)
    assert [sample.missing for sample in load_samples(artefacts, "p")] == [False] * 8
    before = len(asked)
    assert take(folder / "m.csv", artefacts, fetch).samples == 10
    assert len(asked) - before == 2


def test_texts_stand_in_the_manifest(folder: Path, artefacts: Artefacts) -> None:
    """A text is a sample by its content in normal form; what is none is set aside."""
    lines = (
        '{"text": "One\\u2028line", "id": 7}',
        '{"text": " Caf\\u00e9\\r\\nnoir "}',
        '{"text": "Cafe\\u0301\\nnoir"}',
    )
    (folder / "t.jsonl").write_text("\n".join((*lines, '{"text": "a\\u0000b"}', '{"text": "\\ud800"}')))
    pool = ManifestPool(folder / "t.jsonl", Medium.TEXT)
    report = ingest(pool, artefacts, "p", 8, medium=Medium.TEXT)
    assert (report.samples, report.duplicates, report.quarantined) == (2, 1, 2)
    assert load_texts(artefacts, "p") == ["One\u2028line", "Café\nnoir"]
    assert load_samples(artefacts, "p")[1].paths == ("t.jsonl#2", "t.jsonl#3")
    assert load_samples(artefacts, "p")[0].names == ("7",)


def test_a_text_that_changed_in_its_line_is_another_sample(folder: Path, artefacts: Artefacts) -> None:
    """Also when it has the same length."""
    file = folder / "t.jsonl"
    for text in ("one", "two"):
        file.write_text(f'{{"text": "{text}"}}')
        ingest(ManifestPool(file, Medium.TEXT), artefacts, "p", 8, medium=Medium.TEXT)
    assert load_texts(artefacts, "p") == ["one", "two"]
    assert [sample.missing for sample in load_samples(artefacts, "p")] == [True, False]


def test_a_folder_of_texts_is_its_text_files(folder: Path, artefacts: Artefacts) -> None:
    """Pictures among them are passed over; what is not UTF-8 is set aside."""
    (folder / "a.txt").write_text("One")
    (folder / "b.md").write_text("Two")
    (folder / "c.txt").write_bytes(b"\xff")
    (folder / "d.txt").write_text("x" * 20_001)
    report = ingest(open_pool(str(folder), Medium.TEXT), artefacts, "p", 8, medium=Medium.TEXT)
    assert (report.samples, report.quarantined) == (2, 2)
    assert load_texts(artefacts, "p") == ["One", "Two"]


def test_a_manifest_of_a_hundred_thousand_lines_is_read_in_seconds(tmp_path: Path) -> None:
    """Entries of addresses need no file and no connection."""
    (tmp_path / "m.csv").write_text("url,id\n" + "".join(f"https://host/{n}.png,{n}\n" for n in range(100_000)))
    entries = list(ManifestPool(tmp_path / "m.csv").entries())
    assert len(entries) == 100_000
    assert entries[-1] == PoolEntry("https://host/99999.png", -1, 0, "99999", remote=True)


def test_colour_comes_with_the_first_picture_that_has_it(tmp_path: Path, artefacts: Artefacts) -> None:
    """Small images are one array, whatever came first."""
    from pal_backend.pool_index import load_images

    Image.fromarray(np.full((8, 8), 7, np.uint8)).save(tmp_path / "0.png")
    ingest(FolderPool(tmp_path), artefacts, "p", 8)
    Image.fromarray(np.full((8, 8, 3), (200, 0, 0), np.uint8)).save(tmp_path / "1.png")
    ingest(FolderPool(tmp_path), artefacts, "p", 8)
    assert load_images(artefacts, "p").shape == (2, 8, 8, 3)
