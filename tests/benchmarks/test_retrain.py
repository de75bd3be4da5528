"""The benchmark of retraining: figures on samples never shown, runs that are not run again, and the verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import retrain
from benchmarks.retrain import Book, Pictures, asked, main, run, scored, summed
from pal_backend.core.evaluation import ari_unseen
from pal_backend.core.learning.batches import compose
from pal_backend.core.learning.graph import build_training_graph
from pal_backend.core.learning.judging import for_training
from pal_backend.core.learning.pixels import pca_features
from pal_backend.core.neighbours import build_space
from pal_backend.core.recipes import recipe
from pal_backend.core.vocabulary import Verdict
from pal_backend.errors import InputError
from pal_backend.version_evaluation import groups_of
from tests.core.learning.tiny import IMAGES, KINDS

BARS = Pictures("digits", IMAGES, KINDS)


def line(kind: str, seed: int, probe: float, ari: float, recipe: str = "simclr") -> dict[str, Any]:
    """A finished run."""
    name = "" if kind == "pca" else recipe
    return {
        "data": "mnist",
        "recipe": name,
        "answers": 500,
        "kind": kind,
        "seed": seed,
        "probe": probe,
        "ari": ari,
        "seconds": 1,
    }


def test_runs_are_kept_and_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run is a line of the file at once; with the file nothing is trained a second time."""
    monkeypatch.setitem(retrain.EPOCHS, "digits", 1)
    told: list[str] = []
    options: dict[str, Any] = {"recipes": ["simclr"], "seed": 0, "counts": [6, 12]}
    run(BARS, Book(tmp_path / "runs.jsonl"), **options, tell=told.append)
    assert len(told) == 6
    lines = [json.loads(text) for text in (tmp_path / "runs.jsonl").read_text().splitlines()]
    assert [each["kind"] for each in lines].count("retrained") == 2
    trained = {each["kind"]: each for each in lines if each.get("answers") == 12}
    assert trained["retrained"]["probe"] >= 0.0 and trained["pca"]["never_shown"] < 48
    run(BARS, Book(tmp_path / "runs.jsonl"), **options, tell=told.append)
    assert len(told) == 6


def test_without_answers_it_takes_no_fewer_steps() -> None:
    """Epochs are added until the steps are at least those of the training with answers, and no epoch more."""
    space = build_space(BARS.ids, pca_features(IMAGES))
    answers = asked(BARS, space, 0, 30, Book(None))
    chosen = recipe("simclr")
    guided, alone = (
        compose(build_training_graph(space, some, recipe=chosen), retrain.BATCH, chosen.shares)[1]
        for some in (for_training(answers), ())
    )
    epochs = retrain.as_many_steps(space, "simclr", answers, 5)
    assert (epochs - 1) * alone < 5 * guided <= epochs * alone


def test_figures_are_over_samples_never_shown() -> None:
    """ARI leaves out what answers are about, and the probe is scored on a fifth of the rest."""
    space = build_space(BARS.ids, pca_features(IMAGES))
    answers = asked(BARS, space, 0, 10, Book(None))
    assert all(
        (a.verdict is Verdict.SAME) == (KINDS[space.index[a.pair.first]] == KINDS[space.index[a.pair.second]])
        for a in answers
    )
    seen = np.asarray([any(sample in answer.pair for answer in answers) for sample in BARS.ids])
    found = scored(BARS, space, answers, 0)
    assert found["never_shown"] == (~seen).sum() and found["probed_on"] == round(0.2 * (~seen).sum())
    assert found["ari"] == ari_unseen(KINDS, groups_of(space, answers), seen)


def test_the_bar_is_the_better_of_the_frozen_ones() -> None:
    """PCA is better in ARI and the network in the probe: each figure has to beat its own, in the mean over the seeds."""
    lines = [
        line("pca", 0, 0.8, 0.6), line("self-supervised", 0, 0.9, 0.2), line("retrained", 0, 0.95, 0.7),
        line("pca", 1, 0.8, 0.7), line("self-supervised", 1, 0.9, 0.2), line("retrained", 1, 0.89, 0.65),
        line("pca", 2, 0.8, 0.7),
    ]  # fmt: skip
    (row,) = summed(lines, [0, 1, 2])
    assert row["seeds"] == [0, 1]
    assert (row["probe frozen is"], row["ari frozen is"]) == ("self-supervised", "pca")
    assert (row["probe gain"], row["ari gain"]) == (pytest.approx(0.02), pytest.approx(0.025))
    assert (row["probe seeds better"], row["ari seeds better"], row["pays"]) == (1, 1, True)


def test_it_prints_what_pays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From a file of finished runs: the table with its verdict."""
    lines = [line("pca", 0, 0.8, 0.6), line("self-supervised", 0, 0.9, 0.2), line("retrained", 0, 0.95, 0.5)]
    retrain.show(list(summed(lines, [0])))
    assert "mnist, simclr, 500 answers: retraining pays in probe alone" in capsys.readouterr().out


def test_sets_and_recipes_that_are_not_there_are_refused() -> None:
    """Before anything is trained."""
    with pytest.raises(InputError, match="there is no set 'moon'"):
        main(["--sets", "moon"])
    with pytest.raises(InputError, match="there is no recipe 'best'"):
        main(["--recipes", "best"])
    with pytest.raises(InputError, match="needs --images FOLDER"):
        main(["--sets", "cifar10"])


def test_images_are_brought_to_one_size() -> None:
    """Digits and MNIST are uint8 of sixteen pixels a side, with ink left in them."""
    found = retrain.digits()
    assert found.images.shape == (1797, 16, 16, 1) and found.images.dtype == np.uint8
    assert found.images.max() > 200 and len(set(found.ids)) == 1797
