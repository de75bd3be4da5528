"""Groups as tables."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pal_backend.choosing import Operator
from pal_backend.core.posterior import Posterior
from pal_backend.core.vocabulary import Annotation, AnnotationKey, Answer, Pair, Verdict
from pal_backend.errors import InputError, NotFoundError
from pal_backend.exports.making import make, write
from pal_backend.exports.snapshot import Snapshot
from pal_backend.pool_folder import FolderPool
from pal_backend.pool_index import load_samples
from pal_backend.samples import ingest
from pal_backend.store.projects import Project
from pal_backend.store.stores import Stores
from pal_backend.store.version_files import Version

COLOURS = {"b/red.png": "red", "a.png": "red", "=cmd|'1'!A0.png": "green", 'c,"d".png': "blue", "é\n.png": "black"}


@pytest.fixture
def pooled(stores: Stores, tmp_path: Path) -> Stores:
    """A project "p" with four samples, one of them under two paths, and names that tempt spreadsheets."""
    for name, colour in COLOURS.items():
        path = tmp_path / "pool" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8), colour).save(buffer, "PNG")
        path.write_bytes(buffer.getvalue())
    stores.projects.save(Project("p", str(tmp_path / "pool"), ()))
    ingest(FolderPool(tmp_path / "pool"), stores.artefacts, "p", 8)
    return stores


def export(stores: Stores, project: str, kind: str, out: Path) -> str:
    """Make and write one kind, as `pal export` does; what it holds."""
    made = make(Snapshot.of(stores, project, Operator(), now=0.0), kind)
    write(made, out)
    return made.holds


def sample_of(stores: Stores, path: str) -> str:
    """Id of the sample with this path."""
    return next(sample.id for sample in load_samples(stores.artefacts, "p") if path in sample.paths)


def believe(stores: Stores, rows: list[list[float]]) -> tuple[str, ...]:
    """Publish beliefs over the samples of the pool and two groups; returns the groups."""
    ids = tuple(sample.id for sample in load_samples(stores.artefacts, "p"))[: len(rows)]
    groups = ids[:2]
    features = np.zeros((len(ids), 2), np.float32)
    stores.versions("p").write(Version("v0000", ids, features, "given", 0, "", {}), None, [])
    posterior = Posterior(
        sample_ids=ids,
        groups=groups,
        probabilities=np.array(rows, np.float32),
        components=np.full(len(ids), -1, np.int32),
        cannot=np.empty((0, 2), np.int32),
    )
    lease = stores.sittings("p").take("test", 60)
    assert lease is not None
    stores.revisions("p").publish(posterior, version="v0000", answers=0, contradictions=[], lease=lease, now=0.0)
    return groups


def answer(stores: Stores, first: str, second: str, verdict: Verdict) -> None:
    """Store one person's answer on two paths."""
    key = AnnotationKey("pairs", 1 + stores.answers("p").count())
    pair = Pair.of(sample_of(stores, first), sample_of(stores, second))
    answers = (Answer(key, pair, verdict, "ann", 1),)
    stores.answers("p").put([Annotation(key, key.number, "q", "ann", 1, answers)])


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_one_row_for_each_file_sorted_by_path(pooled: Stores, tmp_path: Path) -> None:
    """A sample with two paths has two rows with the same group; the number of rows is returned."""
    groups = believe(pooled, [[0.9, 0.1], [0.25, 0.71239], [0.6, 0.2], [0.5, 0.4]])
    assert export(pooled, "p", "jsonl", tmp_path / "out.jsonl") == "5 rows"
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert [row["path"] for row in rows] == sorted(COLOURS)
    assert list(rows[0]) == ["sample", "path", "group", "name", "confidence", "answered"]
    by_path = {row["path"]: row for row in rows}
    assert by_path["a.png"]["sample"] == by_path["b/red.png"]["sample"]
    assert by_path["a.png"]["group"] == by_path["b/red.png"]["group"]
    confidences = {row["sample"]: (row["group"], row["confidence"]) for row in rows}
    assert confidences[groups[1]] == (groups[1], 0.7124)


def test_both_formats_say_the_same(pooled: Stores, tmp_path: Path) -> None:
    """CSV and JSON lines hold the same rows but for the apostrophe."""
    believe(pooled, [[0.9, 0.1], [0.2, 0.7], [0.6, 0.2], [0.5, 0.4]])
    answer(pooled, "a.png", "é\n.png", Verdict.SAME)
    for kind in ("csv", "jsonl"):
        export(pooled, "p", kind, tmp_path / f"out.{kind}")
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    for line, row in zip(lines, rows_of(tmp_path / "out.csv"), strict=True):
        assert row["path"].removeprefix("'") == line["path"]
        assert (row["sample"], row["group"]) == (line["sample"], line["group"])
        assert float(row["confidence"]) == line["confidence"]
        assert row["answered"] == str(line["answered"]).lower()


def test_a_spreadsheet_runs_no_file_name(pooled: Stores, tmp_path: Path) -> None:
    """A path that begins like a formula gets an apostrophe in CSV; commas, quotes and line ends survive."""
    export(pooled, "p", "csv", tmp_path / "out.csv")
    paths = {row["path"] for row in rows_of(tmp_path / "out.csv")}
    assert "'=cmd|'1'!A0.png" in paths
    assert {'c,"d".png', "é\n.png", "a.png"} <= paths


def test_answered_tells_samples_on_which_a_person_took_a_side(pooled: Stores, tmp_path: Path) -> None:
    """Same and different count, unsure does not."""
    answer(pooled, "a.png", "é\n.png", Verdict.DIFFERENT)
    answer(pooled, "=cmd|'1'!A0.png", "a.png", Verdict.UNSURE)
    export(pooled, "p", "csv", tmp_path / "out.csv")
    answered = {row["path"] for row in rows_of(tmp_path / "out.csv") if row["answered"] == "true"}
    assert answered == {"a.png", "b/red.png", "é\n.png"}


def test_names_that_people_gave_go_along(pooled: Stores, tmp_path: Path) -> None:
    """Beside the group's id, in both formats; a name that a spreadsheet would run is made inert."""
    first, second = believe(pooled, [[0.9, 0.1], [0.2, 0.7]])
    grouping = pooled.revisions("p").grouping()
    assert grouping is not None
    pooled.names("p").give(first, "=1+1", 1.0, grouping)
    export(pooled, "p", "csv", tmp_path / "out.csv")
    assert {row["group"]: row["name"] for row in rows_of(tmp_path / "out.csv")} == {first: "'=1+1", second: "", "": ""}
    export(pooled, "p", "jsonl", tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert {row["name"] for row in rows if row["group"] == first} == {"=1+1"}


def test_without_a_revision_groups_are_empty(pooled: Stores, tmp_path: Path) -> None:
    """Before anything was learned every file is listed, with no group and confidence 0."""
    export(pooled, "p", "csv", tmp_path / "out.csv")
    assert {(row["group"], float(row["confidence"])) for row in rows_of(tmp_path / "out.csv")} == {("", 0.0)}


def test_a_sample_newer_than_the_beliefs_has_no_group_yet(pooled: Stores, tmp_path: Path) -> None:
    """What the published version does not know is listed without a group."""
    believe(pooled, [[0.9, 0.1], [0.2, 0.7]])
    export(pooled, "p", "csv", tmp_path / "out.csv")
    known = {sample.id for sample in load_samples(pooled.artefacts, "p")[:2]}
    assert all(bool(row["group"]) == (row["sample"] in known) for row in rows_of(tmp_path / "out.csv"))


def test_the_same_state_gives_the_same_bytes_and_replaces_the_file(pooled: Stores, tmp_path: Path) -> None:
    """An export is deterministic, replaces what was there, and leaves nothing beside it."""
    out = tmp_path / "out" / "groups.csv"
    out.parent.mkdir()
    out.write_text("old")
    export(pooled, "p", "csv", out)
    first = out.read_bytes()
    export(pooled, "p", "csv", out)
    assert out.read_bytes() == first
    assert [path.name for path in out.parent.iterdir()] == ["groups.csv"]


def test_what_cannot_be_exported_says_why(pooled: Stores, tmp_path: Path) -> None:
    """Unknown formats, places that cannot be written and projects without samples are errors in words."""
    with pytest.raises(InputError, match="expected one of csv, jsonl, parquet"):
        export(pooled, "p", "xml", tmp_path / "out.xml")
    with pytest.raises(InputError, match="cannot be written"):
        export(pooled, "p", "csv", tmp_path / "nowhere" / "out.csv")
    with pytest.raises(InputError, match="cannot be written"):
        export(pooled, "p", "csv", tmp_path / "pool")
    with pytest.raises(NotFoundError):
        export(pooled, "other", "csv", tmp_path / "out.csv")
    assert not list(tmp_path.glob(".*.part"))
