"""Model versions and their pointer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from redis import Redis

from pal_backend.errors import ConflictError, InputError, NotFoundError
from pal_backend.store.artefacts import Artefacts
from pal_backend.store.version_files import Version
from pal_backend.store.versions import Versions
from tests.store.values import SAMPLES, annotation


def version(version_id: str = "v0000", **fields: Any) -> Version:
    """A version of eight samples in three dimensions."""
    features = np.arange(24, dtype=np.float32).reshape(8, 3)
    values = {"recipe": "given", "made_from_answers": 0, "note": "", "metrics": {}} | fields
    return Version(id=version_id, sample_ids=SAMPLES, features=features, **values)


@pytest.fixture(params=["local", "memory"])
def versions(request: pytest.FixtureRequest, redis: Redis, tmp_path: Path) -> Iterator[Versions]:
    """The versions of a project without any, on a local folder and on an object store."""
    yield Versions(redis, Artefacts(str(tmp_path) if request.param == "local" else "memory://bucket"), "digits")
    fsspec.filesystem("memory").store.clear()


def test_a_version_comes_back_as_it_was(versions: Versions) -> None:
    """Features, ids, metrics, weights and the answers it was made from are kept."""
    written = version(
        recipe="simclr", made_from_answers=2, note="trained", metrics={"log_loss_old": 0.5, "log_loss_new": 0.25}
    )
    versions.write(written, b"weights", [annotation(1), annotation(2)])
    read = versions.load("v0000")
    np.testing.assert_array_equal(read.features, written.features)
    assert read.features.dtype == np.float32
    assert (read.sample_ids, read.recipe, read.made_from_answers, read.note, read.metrics) == (
        SAMPLES,
        "simclr",
        2,
        "trained",
        {"log_loss_old": 0.5, "log_loss_new": 0.25},
    )
    assert versions.load_ids("v0000") == SAMPLES
    assert versions.weights_of("v0000") == b"weights"
    assert versions.answers_of("v0000") == [annotation(1), annotation(2)]
    assert versions.list() == [versions.describe("v0000")]
    assert versions.list()[0]["samples"] == 8


def test_ids_count_up_and_a_version_is_never_overwritten(versions: Versions) -> None:
    """next_id is above all there are; writing an id again is a conflict that leaves the first one whole."""
    assert versions.next_id() == "v0000"
    versions.write(version("v0000"), None, [])
    versions.write(version("v0009", note="first"), None, [])
    assert versions.next_id() == "v0010"
    with pytest.raises(ConflictError, match="v0009"):
        versions.write(version("v0009", note="second"), b"weights", [])
    assert versions.load("v0009").note == "first"
    assert versions.weights_of("v0009") is None
    versions.write(version("v10000"), None, [])
    assert [found["id"] for found in versions.list()] == ["v0000", "v0009", "v10000"]


def test_a_version_is_not_current_until_it_is_made_so(versions: Versions) -> None:
    """Writing publishes nothing; making current does, in Redis and in the file."""
    assert versions.current() is None
    with pytest.raises(NotFoundError, match="no model version yet"):
        versions.current_or_fail()
    versions.write(version("v0000"), None, [])
    assert versions.current() is None
    versions.make_current("v0000", None)
    assert versions.current() == versions.current_or_fail() == "v0000"


def test_only_whoever_knows_the_current_version_may_replace_it(versions: Versions) -> None:
    """A training that started from an older version is refused and nothing changes; the same call twice is fine."""
    for name in ("v0000", "v0001", "v0002"):
        versions.write(version(name), None, [])
    with pytest.raises(ConflictError, match="none"):
        versions.make_current("v0001", "v0000")
    versions.make_current("v0000", None)
    versions.make_current("v0001", "v0000")
    for expected in ("v0000", None):
        with pytest.raises(ConflictError, match="v0001"):
            versions.make_current("v0002", expected)
    assert versions.current() == "v0001"
    versions.make_current("v0001", "v0000")
    versions.make_current("v0002", "v0001")
    assert versions.current() == "v0002"


def test_a_version_that_was_not_written_cannot_be_current(versions: Versions) -> None:
    """Neither made current nor refused, and the message lists those there are."""
    versions.write(version("v0000"), None, [])
    for act in (lambda: versions.make_current("v0001", None), lambda: versions.refuse("v0001", "worse")):
        with pytest.raises(NotFoundError, match="v0000"):
            act()
    with pytest.raises(NotFoundError):
        versions.load("v0001")


def test_a_kill_between_writing_and_publishing_leaves_the_old_version(versions: Versions) -> None:
    """The new folder is there, whole, and simply not current; the next training takes the next id."""
    versions.write(version("v0000"), None, [])
    versions.make_current("v0000", None)
    versions.write(version("v0001"), None, [])
    assert versions.current() == "v0000"
    assert versions.load(versions.current_or_fail()).id == "v0000"
    assert versions.next_id() == "v0002"


def test_a_kill_between_redis_and_the_file_leaves_a_whole_version(
    versions: Versions, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis already names the new version; were Redis lost too, the file names the old one; either is readable."""
    for name in ("v0000", "v0001"):
        versions.write(version(name), None, [])
    versions.make_current("v0000", None)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Artefacts, "write_file", killed)
    with pytest.raises(KeyboardInterrupt):
        versions.make_current("v0001", "v0000")
    monkeypatch.undo()
    assert versions.load(versions.current_or_fail()).id == "v0001"
    redis.flushdb()
    assert versions.load(versions.current_or_fail()).id == "v0000"
    versions.make_current("v0001", "v0000")
    redis.flushdb()
    assert versions.current() == "v0001"


def test_after_the_loss_of_redis_the_file_is_what_must_be_expected(versions: Versions, redis: Redis) -> None:
    """Compare-and-set goes on from CURRENT: nobody publishes as if there were no version."""
    for name in ("v0000", "v0001"):
        versions.write(version(name), None, [])
    versions.make_current("v0000", None)
    redis.flushdb()
    with pytest.raises(ConflictError):
        versions.make_current("v0001", None)
    assert versions.current() == "v0000"
    versions.make_current("v0001", "v0000")
    assert versions.current() == "v0001"


def test_refusals_are_kept_with_their_reason(versions: Versions, redis: Redis) -> None:
    """They survive the loss of Redis, and the refused version stays readable."""
    versions.write(version("v0000"), None, [])
    versions.write(version("v0001"), None, [])
    assert versions.refused() == {}
    versions.refuse("v0001", "log-loss 0.61 is worse than 0.52")
    redis.flushdb()
    assert versions.refused() == {"v0001": "log-loss 0.61 is worse than 0.52"}
    assert versions.load("v0001").id == "v0001"


@pytest.mark.parametrize("name", ["v1", "0001", "../v0001", "v0001/../..", "v0001\n", "CURRENT", "v٠٠٠١"])
def test_only_ids_name_versions(versions: Versions, name: str) -> None:
    """Anything else is an InputError before a path is made of it."""
    for act in (versions.load, versions.load_ids, versions.answers_of, lambda n: versions.write(version(n), None, [])):
        with pytest.raises(InputError):
            act(name)


def test_rows_and_samples_must_agree(versions: Versions) -> None:
    """A version whose features have another number of rows is refused before it is written."""
    wrong = Version("v0000", SAMPLES[:3], np.zeros((4, 2), np.float32), "given", 0, "", {})
    with pytest.raises(InputError, match="4 rows"):
        versions.write(wrong, None, [])
    assert versions.list() == []


@pytest.mark.parametrize("file", ["version.json", "samples.json", "features.safetensors"])
def test_a_malformed_file_is_named(versions: Versions, file: str) -> None:
    """Nonsense in a file of a version is an InputError with its path; nothing in it is executed."""
    versions.write(version("v0000"), None, [])
    for data in (b"", b"\x80\x04.", b"{}", b"\xff" * 64):
        versions._artefacts.write_file(f"projects/digits/versions/v0000/{file}", data)
        with pytest.raises(InputError, match=file):
            versions.load("v0000")


def test_two_writers_of_one_id_do_not_mix_in_an_object_store(redis: Redis) -> None:
    """Where nothing is atomic, a claim lets one writer in; it is given back, also after a failure."""
    versions = Versions(redis, Artefacts("memory://claims"), "digits")
    redis.set("pal:digits:version:claim:v0000", "somebody")
    with pytest.raises(ConflictError, match="somebody writes"):
        versions.write(version("v0000"), None, [])
    redis.delete("pal:digits:version:claim:v0000")
    versions.write(version("v0000"), None, [])
    with pytest.raises(ConflictError):
        versions.write(version("v0000"), None, [])
    assert not redis.exists("pal:digits:version:claim:v0000")
    fsspec.filesystem("memory").store.clear()
