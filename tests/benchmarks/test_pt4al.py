"""Pretext losses against random choice: what is chosen, what is read, what is kept, what is printed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import pt4al
from benchmarks.images import LabelledImages, from_folder
from benchmarks.pt4al import Trial
from pal_backend.core.asking.pt4al import STRATA


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred images of each of two colours."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for name, colour in (("blue", (0, 0, 200)), ("red", (200, 0, 0))):
        (root / name).mkdir()
        for number in range(100):
            pixels = np.clip(np.asarray(colour) + rng.integers(-60, 60, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:03}.png")
    return root


@pytest.fixture(scope="module")
def colours(folder: Path) -> LabelledImages:
    """The same, read."""
    return from_folder(folder)


class Noting(Trial):
    """Notes which rows were labelled, cycle by cycle."""

    def __init__(self, data: LabelledImages) -> None:
        super().__init__(data, 0, 1, 1, counts=(20, 40))
        self.labelled: list[list[int]] = []

    def trained(self, rows: np.ndarray) -> pt4al.Classifier:
        """As else."""
        self.labelled.append(rows.tolist())
        return super().trained(rows)


@pytest.mark.parametrize("hardest_first", [True, False])
def test_each_cycle_takes_its_labels_from_its_chunk(colours: LabelledImages, hardest_first: bool) -> None:
    """The first evenly from the hardest (or easiest) tenth, each later one the least confident of the next."""
    trial = Noting(colours)
    losses = np.random.default_rng(1).permutation(160).astype(np.float32)
    scores = trial.by_losses(losses, hardest_first=hardest_first)
    assert list(scores) == ["20", "40"]
    order = np.argsort(-losses if hardest_first else losses).tolist()
    assert trial.labelled[0] == order[:16:4]
    last = trial.labelled[-1]
    assert len(last) == len(set(last)) == 40
    for cycle in range(STRATA):
        assert set(last[4 * cycle : 4 * cycle + 4]) <= set(order[16 * cycle : 16 * cycle + 16])
    model, rows = trial.trained(np.asarray(last[:4])), np.asarray(order[16:32])
    confidence = dict(zip(rows.tolist(), model.confidence(trial.images[rows]).tolist(), strict=True))
    assert max(confidence[row] for row in last[4:8]) <= sorted(confidence.values())[3]


def test_labels_of_held_out_images_choose_nothing(colours: LabelledImages) -> None:
    """Other labels for them change the scores alone; no epoch or model is picked by them."""
    trial = Noting(colours)
    other = LabelledImages("other", colours.images, np.where(trial.held, 1 - colours.labels, colours.labels))
    losses = np.random.default_rng(1).permutation(160).astype(np.float32)
    runs = [Noting(data) for data in (colours, other)]
    scores = [one.by_losses(losses, hardest_first=True) for one in runs]
    assert runs[0].labelled == runs[1].labelled
    assert scores[0]["40"] == pytest.approx(1 - scores[1]["40"])


def test_a_classifier_begins_anew_in_each_cycle(colours: LabelledImages) -> None:
    """The released code goes on from the network of the cycle before."""
    trial = Noting(colours)
    rows = np.arange(40)
    before = trial.trained(rows).logits(colours.images[:3])
    trial.trained(np.arange(80, 120))
    np.testing.assert_array_equal(trial.trained(rows).logits(colours.images[:3]), before)


def test_finished_runs_are_kept_and_not_made_again(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second call prints the same object and trains nothing; the table has every figure."""
    monkeypatch.setattr(Trial.__init__, "__defaults__", ((20, 40),))
    options = ["--images", str(folder), "--reuse", str(tmp_path / "runs.jsonl"), "--seeds", "0"]
    options += ["--pretext-epochs", "1", "--epochs", "1"]
    pt4al.main([*options, "--json"])
    first = json.loads(capsys.readouterr().out)
    assert [line["kind"] for line in first["runs"]] == ["random", "correlation", "hardest first", "easiest first"]
    found = first["runs"][1]["found"]
    assert -1 <= found["pool"] <= 1 and -1 <= found["held_out"] <= 1
    assert len(found["largest_class_share"]) == STRATA
    monkeypatch.setattr(pt4al, "classifier", None)
    monkeypatch.setattr(pt4al, "learn", None)
    pt4al.main([*options, "--json"])
    assert json.loads(capsys.readouterr().out) == first
    pt4al.main(options)
    table = capsys.readouterr().out
    assert all(words in table for words in ("held_out", "easiest first", "40 labels"))


def test_groups_follow_a_weak_trend() -> None:
    """Means of many samples show it where single samples hardly do."""
    rng = np.random.default_rng(0)
    pretext = rng.permutation(8000).astype(np.float32)
    downstream = (pretext / 8000 + rng.normal(0, 1.5, 8000)).astype(np.float32)
    assert pt4al.grouped(pretext, downstream) > 0.7
    assert pt4al.grouped(pretext, -downstream) < -0.7


def test_points_above_random_are_those_of_the_same_seed() -> None:
    """Mean of the differences, seed by seed."""
    lines = [
        {"task": task, "kind": kind, "seed": seed, "found": {"500": score}}
        for task, kind, seed, score in (
            ("", "random", 0, 0.3), ("", "random", 1, 0.4), ("rotation", "hardest first", 0, 0.35), ("rotation", "hardest first", 1, 0.39),
        )
    ]  # fmt: skip
    row = list(pt4al.summary(lines))[1]
    assert row["above_random"] == pytest.approx(0.02)
    assert row["seeds_above"] == 1
