"""Recipes side by side: what runs, what is kept, what is printed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import recipes
from pal_backend.core.recipes import RECIPES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty bars that lie and twenty that stand."""
    root, rng = tmp_path_factory.mktemp("bars"), np.random.default_rng(0)
    for kind in range(2):
        (root / f"kind{kind}").mkdir()
        for number in range(20):
            image = rng.integers(0, 40, (12, 12), dtype=np.uint8)
            at = rng.integers(1, 10)
            image[at : at + 2] = 250
            Image.fromarray(image.T if kind else image).save(root / f"kind{kind}" / f"{number}.png")
    return root


def test_runs_are_those_of_the_table_and_are_kept(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each recipe asks by the strategy of its row, or by the one named; a second call prints the same and simulates nothing."""
    options = [
        "--images",
        str(folder),
        "--reuse",
        str(tmp_path / "runs.jsonl"),
        "--recipes",
        "simclr,pt4al-patches:pt4al-easiest",
    ]
    options += ["--answers", "10,20", "--every", "10", "--epochs", "1", "--side", "12", "--seeds", "0"]
    recipes.main([*options, "--json"])
    first = json.loads(capsys.readouterr().out)
    assert [(line["recipe"], line["asking"]) for line in first["runs"]] == [
        ("simclr", "gain"),
        ("pt4al-patches", "pt4al-easiest"),
    ]
    for line in first["runs"]:
        assert list(line["points"]) == ["10", "20"]
        assert all(0 <= point["probe"] <= 1 for point in line["points"].values())
        assert line["trainings"] == 2
    monkeypatch.setattr(recipes, "simulated", None)
    recipes.main([*options, "--json"])
    assert json.loads(capsys.readouterr().out) == first
    recipes.main(options)
    table = capsys.readouterr().out
    assert all(words in table for words in ("pt4al-patches", "gain", "20"))
    with pytest.raises(TypeError):
        recipes.main([*options, "--seeds", "1"])


def test_means_and_ranges_are_over_seeds() -> None:
    """By recipe and number of answers; a run that ended before a number does not count there."""

    def of(seed: int, ari: float) -> recipes.Line:
        point = {"ari_unseen": ari, "probe": 0.5, "version": "v0000"}
        points = {"10": point} if seed else {"10": point, "20": point}
        return {
            "recipe": "scl",
            "asking": "gain",
            "answers": [10, 20],
            "points": points,
            "taken": [],
            "trainings": 1,
            "minutes": 2.0,
            "seed": seed,
        }

    ten, twenty = recipes.summary([of(0, 0.2), of(1, 0.4)])
    assert ten["ari_unseen"] == {"mean": pytest.approx(0.3), "least": 0.2, "most": 0.4}
    assert (ten["runs"], twenty["runs"], ten["taken"]) == (2, 1, "0 of 2")


def test_an_unknown_recipe_is_refused() -> None:
    """With the list of those there are, before anything is read."""
    with pytest.raises(SystemExit, match=r"no recipe 'clip'.*" + ", ".join(RECIPES)):
        recipes.main(["--recipes", "clip", "--images", "nowhere"])
    with pytest.raises(SystemExit, match="strategy 'best' is not known"):
        recipes.main(["--recipes", "simclr:best", "--images", "nowhere"])


def test_words_do_not_tell_runs_apart() -> None:
    """What a recipe says of itself may be put better without all runs being made again; its temperature may not."""
    plain = RECIPES["gps-simclr"]
    assert recipes.decisive(replace(plain, about="Other words.", differs="little")) == recipes.decisive(plain)
    assert recipes.decisive(replace(plain, temperature=0.3)) != recipes.decisive(plain)
