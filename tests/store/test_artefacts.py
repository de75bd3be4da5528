"""Files that processes share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from pal_backend.errors import ConfigError, ConflictError, InputError, NotFoundError, UnavailableError
from pal_backend.store import artefacts as module
from pal_backend.store.artefacts import Artefacts


@pytest.fixture(params=["local", "memory"])
def artefacts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Artefacts]:
    """An empty place: a local folder, and an object store without renaming."""
    if request.param == "local":
        yield Artefacts(str(tmp_path / "home"))
        return
    yield Artefacts("memory://bucket/prefix")
    fsspec.filesystem("memory").store.clear()


def test_a_folder_holds_just_what_was_written(artefacts: Artefacts) -> None:
    """Writing a folder again replaces all of it, and a name may have a folder in it."""
    artefacts.write_folder("a/b", {"one": b"1", "two": b"2", "sub/three": b"3"})
    assert artefacts.read("a/b/sub/three") == b"3"
    artefacts.write_folder("a/b", {"two": b"22"})
    assert artefacts.list("a/b") == ["two"]
    assert artefacts.read("a/b/two") == b"22"
    assert artefacts.list("a") == ["b"]


def test_a_folder_that_must_be_new_is_refused_when_it_is_not(artefacts: Artefacts) -> None:
    """With replace=False what is there stays."""
    artefacts.write_folder("v0001", {"one": b"1"}, replace=False)
    with pytest.raises(ConflictError, match="v0001"):
        artefacts.write_folder("v0001", {"one": b"x"}, replace=False)
    assert artefacts.read("v0001/one") == b"1"
    assert artefacts.list("v0001") == ["one"]


def test_a_file_is_replaced(artefacts: Artefacts) -> None:
    """The pointer file has the old bytes or the new."""
    artefacts.write_file("p/CURRENT", b"v0000")
    artefacts.write_file("p/CURRENT", b"v0001")
    assert artefacts.read("p/CURRENT") == b"v0001"
    assert artefacts.list("p") == ["CURRENT"]


def test_what_is_absent(artefacts: Artefacts) -> None:
    """Reading it is a NotFoundError, listing it is empty, removing it is fine."""
    with pytest.raises(NotFoundError, match="a/b"):
        artefacts.read("a/b")
    assert artefacts.list("a") == []
    assert not artefacts.exists("a")
    artefacts.remove("a/b")
    artefacts.write_file("a/b", b"")
    assert artefacts.exists("a") and artefacts.exists("a/b")
    with pytest.raises(NotFoundError):
        artefacts.read("a")
    artefacts.remove("a")
    assert not artefacts.exists("a/b")


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd", "a//b", "", "a/.", "a\\..\\x", "a\0b", ".."])
def test_a_path_cannot_lead_out(artefacts: Artefacts, path: str) -> None:
    """Every method refuses '..', absolute paths and their kin, names in a folder among them."""
    for act in (artefacts.read, artefacts.exists, artefacts.list, artefacts.remove):
        with pytest.raises(InputError):
            act(path)
    with pytest.raises(InputError):
        artefacts.write_file(path, b"")
    with pytest.raises(InputError):
        artefacts.write_folder("ok", {path: b""})
    assert not artefacts.exists("ok")


def test_a_link_cannot_lead_out(tmp_path: Path) -> None:
    """A symbolic link inside the folder that points outside is not followed."""
    (tmp_path / "secret").write_text("secret")
    home = tmp_path / "home"
    home.mkdir()
    (home / "link").symlink_to(tmp_path)
    with pytest.raises(InputError, match="leads out"):
        Artefacts(str(home)).read("link/secret")


def test_local_folders_are_private(tmp_path: Path) -> None:
    """Every folder we make is for its owner alone, the home among them."""
    Artefacts(str(tmp_path / "home")).write_folder("projects/p", {"x": b""})
    for folder in ("home", "home/projects", "home/projects/p"):
        assert (tmp_path / folder).stat().st_mode & 0o777 == 0o700, folder


def test_a_kill_while_writing_leaves_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends before the rename leaves the old folder whole, and what it left behind is not listed."""
    artefacts = Artefacts(str(tmp_path))
    artefacts.write_folder("pool", {"a": b"old", "b": b"old"})

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_put_in_place", killed)
    monkeypatch.setattr(module.shutil, "rmtree", lambda *_, **__: None)  # a killed process tidies nothing
    with pytest.raises(KeyboardInterrupt):
        artefacts.write_folder("pool", {"a": b"new", "b": b"new"})
    monkeypatch.undo()
    assert artefacts.read("pool/a") == artefacts.read("pool/b") == b"old"
    assert artefacts.list("pool") == ["a", "b"]
    assert len([path for path in tmp_path.iterdir() if path.name.startswith(".tmp-pool-")]) == 1
    artefacts.write_folder("pool", {"a": b"new"})
    assert artefacts.read("pool/a") == b"new"


def test_readers_never_see_a_folder_missing_or_half(tmp_path: Path) -> None:
    """While a folder is replaced 200 times, a reader always finds it, and each file is one that was written."""
    artefacts = Artefacts(str(tmp_path))
    artefacts.write_folder("pool", {"a": b"0", "b": b"0"})
    seen, stop = set(), threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(artefacts.read("pool/a"))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 200):
        artefacts.write_folder("pool", {"a": str(number).encode(), "b": b""})
    stop.set()
    reader.join()
    assert seen <= {str(number).encode() for number in range(200)} and len(seen) > 1


def test_without_an_exchange_the_folder_is_replaced_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system cannot swap two folders, two renames do it, and nothing is left beside."""
    monkeypatch.setattr(module, "_exchange", lambda *_: False)
    artefacts = Artefacts(str(tmp_path))
    artefacts.write_folder("pool", {"a": b"old"})
    artefacts.write_folder("pool", {"b": b"new"})
    assert artefacts.list("pool") == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["pool"]


def test_a_storage_that_refuses_is_unavailable(tmp_path: Path) -> None:
    """A file where a folder should be gives one sentence, not an OSError."""
    (tmp_path / "home").write_text("a file")
    with pytest.raises(UnavailableError, match="check that storage"):
        Artefacts(str(tmp_path / "home")).write_file("a", b"")


def test_an_unknown_kind_of_storage_is_a_wrong_setting() -> None:
    """A URL that no file system serves names PAL_ARTEFACTS."""
    with pytest.raises(ConfigError, match="PAL_ARTEFACTS"):
        Artefacts("nosuch://bucket")
