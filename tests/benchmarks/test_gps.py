"""GPS-SimCLR against SimCLR: what is compared with what, what is kept, what is printed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import gps, gps_runs
from benchmarks.gps_runs import Job, PriorFeatures, run
from benchmarks.images import LabelledImages, from_folder
from pal_backend.core.evaluation import held_out_rows
from pal_backend.errors import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty images of each of three colours, noisy."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for name, colour in (("blue", (0, 0, 200)), ("green", (0, 200, 0)), ("red", (200, 0, 0))):
        (root / name).mkdir()
        for number in range(40):
            pixels = np.clip(np.asarray(colour) + rng.integers(-60, 60, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:02}.png")
    return root


@pytest.fixture(scope="module")
def colours(folder: Path) -> LabelledImages:
    """The same, read."""
    return from_folder(folder)


QUICK = ["--methods", "simclr,pca", "--augmentations", "flip", "--seeds", "0-1", "--passes", "1", "--batch", "32"]


def test_classes_are_the_subfolders_in_order(colours: LabelledImages) -> None:
    """Images come with the number of their subfolder among all, sorted by name."""
    assert colours.images.shape == (120, 32, 32, 3)
    assert colours.labels.tolist() == [0] * 40 + [1] * 40 + [2] * 40
    assert [int(colours.images[row].mean(axis=(0, 1)).argmax()) for row in (0, 40, 80)] == [2, 1, 0]


@pytest.mark.parametrize(("make", "words"), [("nothing", "is no folder"), ("empty", "expected two or more")])
def test_a_folder_without_classes_is_refused(tmp_path: Path, make: str, words: str) -> None:
    """The message says what is expected."""
    if make == "empty":
        (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=words):
        from_folder(tmp_path / make)


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    """Rather than skipped: figures must not hang on what could be read."""
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"a/x\.png: not an image"):
        from_folder(tmp_path)


@pytest.mark.parametrize("method", ["simclr", "pca"])
def test_methods_differ_in_neighbours_alone(method: str) -> None:
    """SimCLR is the guided recipe without a space, in uniform batches."""
    recipe, guided = Job("", "flip", method, 0, 1, 32).recipe, gps_runs.GUIDED
    same = ("objective", "temperature", "learning_rate", "view", "augmentation")
    assert [getattr(recipe, name) for name in same[:-1]] == [getattr(guided, name) for name in same[:-1]]
    assert recipe.neighbours.space == {"simclr": "none", "pca": "pca"}[method]
    assert (recipe.shares == guided.shares) is (method != "simclr")


def test_held_out_images_teach_nothing(colours: LabelledImages) -> None:
    """Changing them changes neither the prior's features of the others nor the training."""
    held = held_out_rows(np.ones(120, bool))
    changed = colours.images.copy()
    changed[held] = 255 - changed[held]
    other = LabelledImages("other", changed, colours.labels)
    priors = [PriorFeatures(data, held, None, lambda words, share: None).of("pca", 0) for data in (colours, other)]
    np.testing.assert_array_equal(priors[0][~held], priors[1][~held])
    runs = [
        run(data, held, Job("", "flip", "pca", 0, 1, 32), prior, lambda words, share: None)
        for data, prior in zip((colours, other), priors, strict=True)
    ]
    assert runs[0]["losses"] == runs[1]["losses"]


def test_finished_runs_are_kept_and_not_made_again(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second call prints the same object and trains nothing; one that asks for more trains only what is new."""
    kept = tmp_path / "runs.json"
    options = ["--images", str(folder), "--reuse", str(kept), "--json", *QUICK]
    gps.main(options)
    first = json.loads(capsys.readouterr().out)
    assert len(first["runs"]) == 5  # two trainings a seed, and the prior once
    lines = {line["method"]: line for line in first["summary"]}
    assert lines["pca"]["prior alone"]["mean"] > 0.9
    assert lines["pca"]["precision"] > 0.9
    monkeypatch.setattr(gps, "run", None)
    gps.main(options)
    assert json.loads(capsys.readouterr().out) == first
    with pytest.raises(TypeError):
        gps.main([*options, "--seeds", "2"])


def test_the_table_shows_points_above_simclr() -> None:
    """Means with their range, and the difference to SimCLR under the same augmentation."""

    def of(method: str, probe: float, seed: int) -> gps_runs.Run:
        job = {"method": method, "augmentation": "flip", "seed": seed}
        return {"job": job, "probe": probe, "steps": 10, "seconds": 2.0}

    runs = [of("simclr", 0.3, 0), of("simclr", 0.4, 1), of("pca", 0.5, 0), of("pca", 0.5, 1)]
    made = gps.table(gps.summary(runs), ["flip"])
    assert list(made.columns[2].cells) == ["35.0 (30.0-40.0)", "50.0 (50.0-50.0) +15.0"]


def test_a_strange_file_of_runs_is_refused(folder: Path, tmp_path: Path) -> None:
    """The message names it."""
    (tmp_path / "runs.json").write_text("[]")
    with pytest.raises(SystemExit, match=r"runs\.json: no finished runs can be read"):
        gps.main(["--images", str(folder), "--reuse", str(tmp_path / "runs.json"), *QUICK])


def test_an_unknown_method_is_refused(folder: Path) -> None:
    """The message lists those there are."""
    with pytest.raises(SystemExit, match="use some of simclr, pca, autoencoder, pretrained"):
        gps.main(["--images", str(folder), "--methods", "clip", "--seeds", "0"])
