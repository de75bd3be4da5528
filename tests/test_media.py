from pathlib import Path

import pytest

from pal_backend.errors import NotFoundError
from pal_backend.media import MISS_SECONDS, REREAD_SECONDS, MediaFiles, MediaLinks
from pal_backend.pool_index import pool_file, write_lines
from pal_backend.store.artefacts import Artefacts
from tests.web_side import png, sample_id

LINKS = MediaLinks("key", "http://h:9090")


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Pool:
    """A pool with an index that says what it is told to."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "pool"
        self.folder.mkdir()
        self.artefacts = Artefacts(str(root / "pal"))
        self.clock = Clock()
        self.files = MediaFiles(self.artefacts, self.clock)

    def index(self, rows: dict[str, list[str]]) -> None:
        """Write the list of samples: id to paths."""
        lines = [{"id": name, "paths": paths, "width": 1, "height": 1} for name, paths in rows.items()]
        write_lines(self.artefacts, pool_file("p", "samples.jsonl"), lines)

    def add(self, name: str, content: bytes) -> str:
        """Write a file and list it alone; its sample id is returned."""
        (self.folder / name).write_bytes(content)
        self.index({sample_id(content): [name]})
        return sample_id(content)


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    """An empty pool."""
    return Pool(tmp_path)


def test_links_carry_our_signature() -> None:
    """A link holds 32 hex digits that check() takes, for that project and sample alone."""
    url = LINKS.url("p", "a" * 16)
    base, _, signature = url.partition("?sig=")
    assert base == f"http://h:9090/media/p/{'a' * 16}"
    LINKS.check("p", "a" * 16, signature)
    for project, sample, given in [
        ("q", "a" * 16, signature),
        ("p", "b" * 16, signature),
        ("p", "a" * 16, ""),
        ("p", "a" * 16, signature[:-1]),
        ("p", "a" * 16, "\udce9" * 32),
    ]:
        with pytest.raises(NotFoundError):
            LINKS.check(project, sample, given)
    with pytest.raises(NotFoundError):
        MediaLinks("other", "http://h:9090").check("p", "a" * 16, signature)


def test_the_key_is_not_shown() -> None:
    """Printing the links object shows no key."""
    assert "hunter2" not in repr(MediaLinks("hunter2", "http://h"))


def test_a_sample_is_read_with_its_type(pool: Pool) -> None:
    """The content of the file, with the type its first bytes tell."""
    picture = pool.files.read("p", pool.folder, pool.add("a.jpg", png(1)))
    assert (picture.content, picture.media_type) == (png(1), "image/png")


def test_the_next_path_serves_when_the_first_is_gone(pool: Pool) -> None:
    """Identical files are one sample: as long as one of them is there, it can be shown."""
    pool.add("b.png", png(1))
    pool.index({sample_id(png(1)): ["a.png", "b.png"]})
    assert pool.files.read("p", pool.folder, sample_id(png(1))).content == png(1)


@pytest.mark.parametrize(
    "content", [b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", b"<html>", b"", b"GIF8", b"%PDF-1.4"]
)
def test_only_raster_images_are_served(pool: Pool, content: bytes) -> None:
    """What a browser could run is never sent, whatever its name."""
    sample = pool.add("a.png", content)
    with pytest.raises(NotFoundError):
        pool.files.read("p", pool.folder, sample)


def test_a_file_that_changed_is_another_sample(pool: Pool) -> None:
    """A sample is its content; what took the file's place is not shown under its name."""
    sample = pool.add("a.png", png(1))
    (pool.folder / "a.png").write_bytes(png(2))
    with pytest.raises(NotFoundError):
        pool.files.read("p", pool.folder, sample)


def test_nothing_outside_the_pool_is_read(pool: Pool) -> None:
    """Links and paths that lead out lead nowhere."""
    outside = pool.folder.parent / "outside.png"
    outside.write_bytes(png(3))
    (pool.folder / "link.png").symlink_to(outside)
    for path in ("link.png", "../outside.png", str(outside), "missing.png"):
        pool.index({sample_id(png(3)): [path]})
        pool.clock.now += REREAD_SECONDS + 1
        with pytest.raises(NotFoundError):
            pool.files.read("p", pool.folder, sample_id(png(3)))


def test_an_added_sample_is_found_soon(pool: Pool) -> None:
    """A miss makes the list be read again, but not at every miss."""
    pool.add("a.png", png(1))
    pool.files.read("p", pool.folder, sample_id(png(1)))
    pool.add("b.png", png(2))
    with pytest.raises(NotFoundError):
        pool.files.read("p", pool.folder, sample_id(png(2)))
    pool.clock.now += MISS_SECONDS + 0.1
    assert pool.files.read("p", pool.folder, sample_id(png(2))).content == png(2)


def test_a_sample_set_aside_disappears_within_a_minute(pool: Pool) -> None:
    """The list is read again after a minute, and what is not in it is not shown."""
    sample = pool.add("a.png", png(1))
    pool.files.read("p", pool.folder, sample)
    pool.index({})
    pool.clock.now += REREAD_SECONDS + 1
    with pytest.raises(NotFoundError):
        pool.files.read("p", pool.folder, sample)


def test_a_pool_never_taken_in_has_no_pictures(pool: Pool) -> None:
    """Before the first ingest there is nothing to show."""
    with pytest.raises(NotFoundError):
        pool.files.read("p", pool.folder, "a" * 16)
