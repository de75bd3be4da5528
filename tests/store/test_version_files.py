"""A version's folder of files, written and read without Redis."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pal_backend.core.neighbours import build_space
from pal_backend.errors import InputError, NotFoundError
from pal_backend.store.artefacts import Artefacts
from pal_backend.store.records import load_lines
from pal_backend.store.version_files import ABOUT, VersionFiles, files_of, load_arrays
from tests.store.test_versions import version
from tests.store.values import SAMPLES, annotation


def lines(*numbers: int) -> list[bytes]:
    """The lines of some annotations."""
    return files_of(version(), None, [annotation(number) for number in numbers])["answers.jsonl"].splitlines()


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    """Features, ids, weights, answers and what is known about it, from files alone; the one that vouches is last."""
    files = files_of(version("v0007", metrics={"precision": 0.5}), b"weights", [annotation(1)])
    assert list(files)[-1] == ABOUT
    Artefacts(str(tmp_path)).write_folder("mine", files)
    read = VersionFiles(Artefacts(str(tmp_path)), "mine")
    found = read.load()
    np.testing.assert_array_equal(found.features, version().features)
    assert (found.id, found.sample_ids, found.metrics) == ("v0007", SAMPLES, {"precision": 0.5})
    assert (read.weights(), read.answers()) == (b"weights", [annotation(1)])


def test_without_weights_there_is_no_file_of_them(tmp_path: Path) -> None:
    """Where nothing was trained there are no weights to read."""
    Artefacts(str(tmp_path)).write_folder("mine", files_of(version(), None, []))
    assert VersionFiles(Artefacts(str(tmp_path)), "mine").weights() is None


def test_rows_must_fit_the_samples() -> None:
    """Features of eight samples do not fit seven ids."""
    wrong = version()
    object.__setattr__(wrong, "sample_ids", SAMPLES[:7])
    with pytest.raises(InputError, match="8 rows of features for 7 samples"):
        files_of(wrong, None, [])


def test_what_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    """The message names the file."""
    artefacts = Artefacts(str(tmp_path))
    with pytest.raises(NotFoundError, match=r"mine/version\.json"):
        VersionFiles(artefacts, "mine").load()
    files = files_of(version(), None, [])
    artefacts.write_folder("mine", {**files, "features.safetensors": b"junk"})
    with pytest.raises(InputError, match=r"mine/features\.safetensors is no safetensors file"):
        VersionFiles(artefacts, "mine").load()
    artefacts.write_folder("mine", {**files, "samples.json": b'{"sample_ids": ["a"]}'})
    with pytest.raises(InputError, match=r"does not hold float32 features of 1 samples"):
        VersionFiles(artefacts, "mine").load()


def test_empty_lines_are_passed_over() -> None:
    """A file that somebody edited may end in blank lines."""
    assert load_lines(b"\n".join([*lines(1), b"", *lines(2), b" "]), "a") == [annotation(1), annotation(2)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "a.jsonl line 2 holds no JSON; expected an object; mend the line"),
        (b"[1]", "a.jsonl line 2 is a list"),
        (b'{"key": "x"}', "a.jsonl line 2 has the field 'x'; expected desk:number; mend the line"),
        (b'{"key": "d:1"}', "a.jsonl line 2 annotator is a NoneType"),
        (lines(1)[0], "a.jsonl line 2 holds the key pairs:1 of line 1 again"),
        (b"\xff\xfe", "a.jsonl line 2 holds no JSON"),
    ],
)
def test_a_malformed_line_is_named_by_its_number(line: bytes, words: str) -> None:
    """What was found, what was expected, in which line, what to do."""
    with pytest.raises(InputError) as problem:
        load_lines(b"\n".join([*lines(1), line]), "a.jsonl", "mend the line")
    assert words in str(problem.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"answers": [["b", "a", "same", "manual", None]]}, "two samples in ascending order"),
        ({"answers": [["a", "b", "perhaps", "manual", None]]}, "one of same, different, unsure"),
        ({"answers": [["a", "b", "same", "manual", "high"]]}, "a number or null"),
        ({"answers": "none"}, "expected a list"),
        ({"updated_at": 1.5}, "expected a whole number"),
    ],
)
def test_a_malformed_answer_is_refused(change: dict[str, object], words: str) -> None:
    """Each field is checked, and the line named."""
    record = {**json.loads(lines(1)[0]), **change}
    with pytest.raises(InputError, match=words) as problem:
        load_lines(json.dumps(record).encode(), "a.jsonl")
    assert "a.jsonl line 1" in str(problem.value)


def test_nothing_in_a_file_of_arrays_is_executed() -> None:
    """A pickle is no safetensors file."""
    with pytest.raises(InputError, match="is no safetensors file"):
        load_arrays(b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00.", "x")


def test_losses_of_a_pretext_task_are_kept_as_numbers(tmp_path: Path) -> None:
    """They lie beside the features; 4.4 comes out harder than 0.97 and 9.9e-05, which as text would be the other way round."""
    losses = np.asarray([9.9e-05, 0.97, 4.4, 1, 2, 3, 0.5, 0], np.float32)
    mine = replace(version(metrics={"pretext": "rotation"}), difficulty=losses)
    Artefacts(str(tmp_path)).write_folder("mine", files_of(mine, None, []))
    found = VersionFiles(Artefacts(str(tmp_path)), "mine").load()
    np.testing.assert_array_equal(found.difficulty, losses)
    assert found.pretext == "rotation"
    space = build_space(found.sample_ids, found.features, difficulty=found.difficulty)
    assert space.hardest.tolist() == [2, 5, 4, 3, 1, 6, 0, 7]


def test_a_version_without_losses_says_so(tmp_path: Path) -> None:
    """Whatever its metrics say."""
    Artefacts(str(tmp_path)).write_folder("mine", files_of(version(metrics={"pretext": "rotation"}), None, []))
    found = VersionFiles(Artefacts(str(tmp_path)), "mine").load()
    assert (found.difficulty, found.pretext) == (None, "")


def test_losses_must_fit_the_samples(tmp_path: Path) -> None:
    """Too few are not written; others than finite ones are not read."""
    with pytest.raises(InputError, match=r"losses of shape \(3,\) for 8 samples"):
        files_of(replace(version(), difficulty=np.ones(3, np.float32)), None, [])
    holey = replace(version(), difficulty=np.full(8, np.nan, np.float32))
    Artefacts(str(tmp_path)).write_folder("mine", files_of(holey, None, []))
    with pytest.raises(InputError, match="holds a difficulty that is not 8 finite float32 numbers"):
        VersionFiles(Artefacts(str(tmp_path)), "mine").load()
