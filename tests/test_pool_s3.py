"""Pools in an object store, against a real S3 server on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pal_backend.errors import AccessError, ConfigError, InputError, NotFoundError, UnavailableError
from pal_backend.media import MediaFiles
from pal_backend.pool_index import load_quarantine, load_samples, local_root
from pal_backend.pool_s3 import S3Pool
from pal_backend.pool_sources import read_pool
from pal_backend.samples import ingest
from pal_backend.store.artefacts import Artefacts
from tests.web_side import png, sample_id


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Where an S3 server of moto answers."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def store(server: str) -> Any:
    """s3fs on that server, with an empty bucket ``birds``."""
    s3fs = pytest.importorskip("s3fs")
    made = s3fs.S3FileSystem(
        key="key",
        secret="secret",
        endpoint_url=server,
        client_kwargs={"region_name": "eu-central-1"},
        skip_instance_cache=True,
    )
    if made.exists("birds"):
        made.rm("birds", recursive=True)
    made.mkdir("birds")
    return made


def pool(store: Any, address: str = "s3://birds/2026", **options: Any) -> S3Pool:
    """A pool in that store."""
    return S3Pool(address, open_store=lambda: store, **options)


def test_objects_below_the_prefix_are_taken_in_copied_and_shown(store: Any, tmp_path: Path) -> None:
    """The web process shows the copies; only what is new or changed is read again."""
    artefacts = Artefacts(str(tmp_path))
    for key, content in {
        "2026/a.png": png(1),
        "2026/deep/er/b.png": png(2),
        "2026/copy of a.png": png(1),
        "2026/notes.pdf": b"%PDF",
        "2026/broken.png": b"\x89PNG\r\n\x1a\nbroken",
        "2026/.hidden/c.png": png(3),
        "2026/../escape.png": png(4),
        "2027/d.png": png(5),
        "2026-other/e.png": png(6),
    }.items():
        store.pipe_file(f"birds/{key}", content)
    report = ingest(pool(store), artefacts, "p", 8)
    assert (report.duplicates, report.quarantined, report.ignored) == (1, 1, 1)
    kept = {sample.id: sample.paths for sample in load_samples(artefacts, "p")}
    assert kept[sample_id(png(1))] == ("a.png", "copy of a.png")
    assert kept[sample_id(png(2))] == ("deep/er/b.png",)
    assert not {sample_id(png(shade)) for shade in (3, 5, 6)} & set(kept)
    assert load_quarantine(artefacts, "p")[0].path == "broken.png"
    shown = MediaFiles(artefacts, lambda: 0.0)
    for sample in (sample_id(png(1)), sample_id(png(2))):
        assert sample_id(shown.read("p", local_root("s3://birds/2026"), sample).content) == sample
    store.pipe_file("birds/2026/new.png", png(9))
    store.rm("birds/2026/deep/er/b.png")
    asked: list[str] = []
    again = pool(store)
    read = again.read
    object.__setattr__(again, "read", lambda path: asked.append(path) or read(path))
    later = ingest(again, artefacts, "p", 8)
    assert (later.new, later.missing) == (1, 1)
    assert set(asked) == {"new.png"}


def test_what_is_too_large_is_set_aside_unread(store: Any, tmp_path: Path) -> None:
    """By the size in the list; and where the list was older than the object, after the first byte too many."""
    store.pipe_file("birds/2026/a.png", png(1))
    store.pipe_file("birds/2026/large.png", png(2) + bytes(5000))
    small = pool(store, limit=1000)
    report = ingest(small, Artefacts(str(tmp_path)), "p", 8)
    assert (report.samples, report.quarantined) == (1, 1)
    with pytest.raises(InputError, match="larger than"):
        small.read("large.png")


def test_a_bucket_that_is_not_there_or_empty_is_told(store: Any, server: str) -> None:
    """With what to check."""
    with pytest.raises(NotFoundError, match=r"s3://birds/2026 (holds nothing|is not there)"):
        list(pool(store).entries())
    with pytest.raises(NotFoundError, match="is not there"):
        list(pool(store, "s3://no-such-bucket").entries())
    with pytest.raises(NotFoundError):
        pool(store).read("gone.png")


def test_a_store_that_cannot_be_reached_is_no_empty_pool(tmp_path: Path) -> None:
    """Nothing is called missing because a server is down, or refuses."""

    class Down:
        def __init__(self, problem: Exception) -> None:
            self.problem = problem

        def invalidate_cache(self) -> None:
            pass

        def walk(self, *_: Any, **__: Any) -> Any:
            raise self.problem

    for problem, kind in ((OSError("no route"), UnavailableError), (PermissionError("no"), AccessError)):
        with pytest.raises(kind, match="s3://birds"):
            ingest(pool(Down(problem), "s3://birds"), Artefacts(str(tmp_path)), "p", 8)


@pytest.mark.parametrize(
    "address", ["s3://", "s3://B", "s3://birds\n", "s3:///x", "s3://user:pass@birds/x", "s3://birds/a\0"]
)
def test_addresses_that_name_no_bucket_are_refused(address: str) -> None:
    """Before anything is made."""
    with pytest.raises(InputError, match="expected s3://bucket/prefix"):
        read_pool(address)


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """s3fs comes with the extra `s3`."""

    def missing(_: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.filesystem", missing)
    with pytest.raises(ConfigError, match=r"pal-label-studio\[s3\]"):
        read_pool("s3://birds/2026")
