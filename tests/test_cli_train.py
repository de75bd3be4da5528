"""``pal train``, ``pal evaluate`` and ``pal simulate --images`` as a person meets them: tables, JSON, exit codes, messages."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pal_backend.cli_bars import bars, loss_of, told
from pal_backend.cli_train import read_labels
from pal_backend.core.recipes import RECIPES
from pal_backend.errors import InputError
from pal_backend.settings import Settings
from pal_backend.store.projects import Project
from pal_backend.store.stores import Stores
from tests.command_line import pal
from tests.core.learning.tiny import IMAGES, KINDS

QUICK = ("--epochs", "1", "--batch", "32", "--image-size", "12", "--device", "cpu")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Bars in two class folders."""
    for number, (image, kind) in enumerate(zip(IMAGES, KINDS, strict=True)):
        path = tmp_path / "bars" / f"kind{kind}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(path)
    return tmp_path / "bars"


def test_train_then_evaluate(images: Path, tmp_path: Path) -> None:
    """One JSON object each, without Redis; the same folder again is a conflict; a table for people."""
    out = tmp_path / "v1"
    nowhere = {"REDIS_URL": "redis://127.0.0.1:1/0", "PAL_HOME": str(tmp_path / "home")}
    command = ("train", "--images", str(images), "--labels-from-folders", "--count", "40", "--out", str(out), *QUICK)
    done = pal(*command, "--json", env=nowhere)
    assert done.returncode == 0, done.stderr
    body = json.loads(done.stdout)
    assert (
        body.items()
        >= {"samples": 48, "answers": 40, "recipe": "simclr", "backbone": "small", "resumed": False}.items()
    )
    assert len(body["losses"]) == 1

    again = pal(*command, env=nowhere)
    assert again.returncode == 5
    assert "holds a version already; expected a new folder; give another --out" in again.stderr

    classes = ("--images", str(images), "--labels-from-folders")
    found = json.loads(pal("evaluate", str(out), *classes, "--json", env=nowhere).stdout)
    assert found["by_classes"].keys() >= {"probe", "knn", "kmeans_ari", "beliefs_ari", "beliefs_ari_unseen"}
    assert found["calibration"]["pairs"] > 0
    table = pal("evaluate", str(out), *classes, env=nowhere)
    assert table.returncode == 0, table.stderr
    assert "linear probe" in table.stdout and "held-out answered pairs" in table.stdout
    assert not (tmp_path / "home").exists()


def test_train_for_people_is_a_table(images: Path, tmp_path: Path) -> None:
    """What was trained on what, and how it was judged."""
    done = pal("train", "--images", str(images), "--out", str(tmp_path / "v1"), "--recipe", "gps-simclr", *QUICK)
    assert done.returncode == 0, done.stderr
    assert "gps-simclr, small (full), 1 epochs" in done.stdout
    assert "only 0 held-out answers" in done.stdout


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--recipe", "best"), 2, f"there is no recipe 'best'; expected one of: {', '.join(RECIPES)}"),
        (("--answers", "a.jsonl", "--labels-from-folders"), 2, "leave one out"),
        (("--answers", "nowhere.jsonl"), 4, "nowhere.jsonl is not there"),
        (("--backbone", "torchvision:none"), 2, "there is no backbone torchvision:none"),
        (("--tuning", "some"), 2, "there is no tuning 'some'"),
        (("--images", "nowhere"), 2, "nowhere is not a folder"),
    ],
)
def test_train_refuses_what_it_cannot_use(
    images: Path, tmp_path: Path, options: tuple[str, ...], code: int, words: str
) -> None:
    """One line, an exit code, and nothing is written."""
    done = pal("train", "--images", str(images), "--out", str(tmp_path / "v1"), *options, *QUICK)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert not (tmp_path / "v1").exists()


def test_images_without_class_folders_give_no_answers(images: Path, tmp_path: Path) -> None:
    """--labels-from-folders of a flat folder says what was expected."""
    done = pal(
        "train", "--images", str(images / "kind0"), "--labels-from-folders", "--out", str(tmp_path / "v"), *QUICK
    )
    assert done.returncode == 2
    assert "expected one sub-folder for each class" in done.stderr


def test_ctrl_c_keeps_a_checkpoint(images: Path, tmp_path: Path) -> None:
    """Exit code 130 and how to go on; the same command goes on there."""
    code = (
        "import os, signal\n"
        "from pal_backend import cli, cli_train\n"
        "plain = cli_train._reporter\n"
        "def reporter(progress):\n"
        "    from dataclasses import replace\n"
        "    return replace(plain(progress), epoch=lambda state: os.kill(os.getpid(), signal.SIGINT))\n"
        "cli_train._reporter = reporter\n"
        "cli.main()\n"
    )
    command = ["train", "--images", str(images), "--out", str(tmp_path / "v"), *QUICK, "--epochs", "3"]
    stopped = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=False)
    assert stopped.returncode == 128 + signal.SIGINT, stopped.stderr
    assert "stopped after 1 of 3 epochs; the same command goes on there" in stopped.stderr
    done = pal(*command, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["resumed"] is True


def test_evaluate_of_a_project_without_a_version(stores: Stores, settings: Settings) -> None:
    """A name is a project: exit code 4 where there is none, or no version of it."""
    env = {"REDIS_URL": settings.redis_url, "PAL_HOME": str(settings.home)}
    assert pal("evaluate", "birds", env=env).returncode == 4
    stores.projects.save(Project("birds", "/pool", ()))
    done = pal("evaluate", "birds", env=env)
    assert done.returncode == 4
    assert "no model version yet" in done.stderr


def test_evaluate_needs_one_source_of_classes(tmp_path: Path) -> None:
    """Both together, or folders without images, are told apart; a folder that is no version is not found."""
    both = pal("evaluate", str(tmp_path), "--labels", "y.npy", "--labels-from-folders")
    assert (both.returncode, "leave one out" in both.stderr) == (2, True)
    none = pal("evaluate", str(tmp_path))
    assert (none.returncode, "holds no version.json" in none.stderr) == (4, True)


@pytest.mark.parametrize("found", [np.zeros((2, 2), np.int64), np.zeros(3), np.asarray(["a"])])
def test_labels_are_whole_numbers(tmp_path: Path, found: np.ndarray) -> None:
    """Anything else is refused; objects are never read."""
    np.save(tmp_path / "y.npy", found)
    with pytest.raises(InputError, match="no whole numbers"):
        read_labels(tmp_path / "y.npy")
    np.save(tmp_path / "evil.npy", np.asarray([{}], object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read as a NumPy array"):
        read_labels(tmp_path / "evil.npy")
    with pytest.raises(InputError, match="is not there"):
        read_labels(tmp_path / "none.npy")


def test_simulate_retrains_on_images(images: Path) -> None:
    """The curve tells the probe and the version in use; the trainings are told one by one."""
    options = ("--answers", "40", "--budgets", "20", "--train-every", "20", *QUICK[:2], *QUICK[4:])
    done = pal("simulate", "--images", str(images), *options, "--json")
    assert done.returncode == 0, done.stderr
    body = json.loads(done.stdout)
    assert [point["answers"] for point in body["curve"]] == [20, 40]
    assert all(point["version"] for point in body["curve"])
    assert [each["answers"] for each in body["trainings"]] == [20, 40]
    table = pal("simulate", "--images", str(images), *options)
    assert "probe" in table.stdout and "v0001 after 20 answers" in table.stdout


@pytest.mark.parametrize("options", [(), ("--features", "X.npy"), ("--images", "x", "--labels", "y.npy")])
def test_simulate_takes_features_or_images(options: tuple[str, ...]) -> None:
    """One of the two, whole."""
    done = pal("simulate", *options)
    assert done.returncode == 2
    assert "expected --features FILE with --labels FILE, or --images FOLDER" in done.stderr


def test_the_bar_of_the_epochs_tells_the_loss() -> None:
    """A bar a name, moved by each call, with the loss and its parts behind it."""
    state = {"loss": 1.25, "parts": {"invariance": 0.5, "variance": 0.75}}
    assert loss_of(state) == "loss 1.250 invariance 0.500 variance 0.750"
    progress = bars()
    told(progress, "epochs", 1, 3, loss_of(state))
    told(progress, "epochs", 2, 3)
    assert [(task.description, task.completed, task.total) for task in progress.tasks] == [("epochs", 2, 3)]
