"""Embeddings, edges and Parquet; and what is kept of an export for the page."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from pal_backend.core.vocabulary import AnnotationKey, Verdict
from pal_backend.errors import ConfigError, NotFoundError
from pal_backend.exports.kinds import KINDS
from pal_backend.exports.making import MAKERS, file_name, make, make_and_keep
from pal_backend.exports.tables import rows
from tests.exports.house import House, said


def test_every_kind_has_a_maker() -> None:
    """The table that page and command show is the table of what can be made."""
    assert [kind.name for kind in KINDS] == list(MAKERS)


def test_embeddings_are_the_features_with_their_ids(house: House) -> None:
    """numpy reads the zip itself; the ids stand row by row."""
    data = make(house.snapshot(), "embeddings").data
    version = house.stores.versions("digits").load("v0000")
    found = np.load(io.BytesIO(data), allow_pickle=False)
    assert np.array_equal(found["features"], version.features)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert tuple(archive.read("ids.txt").decode().split()) == version.sample_ids
        assert json.loads(archive.read("about.json"))["shape"] == list(version.features.shape)


def test_edges_say_what_people_said_and_what_came_of_it(house: House) -> None:
    """A pair that two people answered stands once; neighbours stand once each, with weights in (0, 1]."""
    first = said(house, 1)[0]
    again = replace(first.answers[0], annotation=AnnotationKey("pairs", 900), annotator="9", verdict=Verdict.UNSURE)
    house.give([replace(first, key=again.annotation, annotator="9", answers=(again,))])
    with zipfile.ZipFile(io.BytesIO(make(house.snapshot(), "edges").data)) as archive:
        answered = list(csv.DictReader(io.StringIO(archive.read("answered.csv").decode())))
        near = list(csv.DictReader(io.StringIO(archive.read("neighbours.csv").decode())))
    [both] = [row for row in answered if (row["first"], row["second"]) == tuple(again.pair)]
    same = first.answers[0].verdict is Verdict.SAME
    assert (both["people"], both["unsure"], both["same"]) == ("2", "1", str(int(same)))
    assert (float(both["log_odds_same"]) > 0) is same and both["outcome"] == ("joined" if same else "apart")
    assert all(row["first"] < row["second"] for row in answered)
    assert len({frozenset((row["first"], row["second"])) for row in near}) == len(near) > 60
    assert all(0 < float(row["weight"]) <= 1 for row in near)


def test_parquet_holds_the_rows_in_typed_columns(house: House) -> None:
    """The same as CSV and JSON lines, but for types; the project stands in the metadata."""
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(io.BytesIO(make(house.snapshot(), "parquet").data))
    assert [tuple(row.values()) for row in table.to_pylist()] == [tuple(row) for row in rows(house.snapshot())]
    assert [str(kind) for kind in table.schema.types] == ["string"] * 4 + ["double", "bool"]
    assert json.loads(table.schema.metadata[b"pal"])["project"] == "digits"


def test_parquet_without_pyarrow_names_the_extra(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made instead."""
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"pal-label-studio\[parquet\]"):
        make(house.snapshot(), "parquet")


def test_the_newest_of_each_kind_is_kept_and_outlives_redis(house: House) -> None:
    """Its file comes piece by piece; making it anew takes the old one's place."""
    exports = house.stores.exports("digits")
    with pytest.raises(NotFoundError, match="no csv to take home"):
        exports.read("csv")
    first = make_and_keep(house.snapshot(), "csv")
    _, old = exports.read("csv")
    house.give(said(house, 20, start=500))
    second = make_and_keep(house.snapshot(), "csv")
    assert (first.label, second.label) == ("v0000-r1", "v0000-r2") and exports.stamp().count("r2") == 2
    assert file_name(house.snapshot(), "csv") == second.file == "digits-v0000-r2-groups.csv"
    house.stores.redis.flushdb()
    found, pieces = exports.read("csv")
    assert found == second and sum(map(len, pieces)) == second.size
    assert len(b"".join(old)) == first.size, "whoever was reading the old one reads it to its end"
    assert house.stores.artefacts.list("projects/digits/exports/csv") == ["about.json", second.file]
