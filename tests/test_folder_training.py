"""``pal train``: a version's folder from images and answers, goes on where it was stopped, refuses what it cannot use."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pal_backend.core.choice import Choice
from pal_backend.core.learning.judging import held_out
from pal_backend.core.vocabulary import Verdict
from pal_backend.errors import ConflictError, InputError, NotFoundError
from pal_backend.folder_training import CHECKPOINT, Reporter, Wanted, read_answers, train_folder
from pal_backend.store.artefacts import Artefacts
from pal_backend.store.version_files import VersionFiles
from tests.core.learning.tiny import IMAGES, KINDS


@pytest.fixture
def wanted(tmp_path: Path) -> Wanted:
    """A folder of bars in two class folders, and a training of a second on it."""
    for number, (image, kind) in enumerate(zip(IMAGES, KINDS, strict=True)):
        path = tmp_path / "bars" / f"kind{kind}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(path)
    choice = Choice(recipe="simclr")
    return Wanted(tmp_path / "bars", tmp_path / "out", choice, simulated=40, epochs=2, batch=32, device="cpu", side=12)


def written(wanted: Wanted) -> VersionFiles:
    """The version in the folder."""
    return VersionFiles(Artefacts(str(wanted.out.parent)), wanted.out.name)


def after(epochs: int) -> tuple[Reporter, Callable[[], bool]]:
    """Stops when so many epochs are done."""
    done: list[int] = []
    return Reporter(epoch=lambda state: done.append(state["epoch"])), lambda: len(done) >= epochs


def test_it_writes_a_version(wanted: Wanted) -> None:
    """Features, weights, answers and what trained it; the checkpoint is gone."""
    outcome = train_folder(wanted)
    found = written(wanted).load()
    np.testing.assert_array_equal(found.features, outcome.version.features)
    assert found.features.shape == (48, 128) and found.recipe == "simclr"
    assert (found.metrics["backbone"], found.metrics["tuning"], found.metrics["epochs"]) == ("small", "full", 2)
    assert written(wanted).weights() is not None
    assert sorted(path.name for path in wanted.out.iterdir()) == [
        "answers.jsonl", "features.safetensors", "samples.json", "version.json", "weights.safetensors",
    ]  # fmt: skip
    assert not outcome.resumed and not outcome.stopped and outcome.unknown == 0
    body = json.loads(json.dumps(outcome.to_json(wanted.out), allow_nan=False))
    assert body.items() >= {"samples": 48, "answers": 40, "set_aside": 0, "recipe": "simclr"}.items()


def test_simulated_answers_follow_the_folders(wanted: Wanted) -> None:
    """Every answer is what the class folders say, and some are held out."""
    train_folder(replace(wanted, epochs=1))
    answers = [answer for annotation in written(wanted).answers() for answer in annotation.answers]
    kind = {sample: row for row, sample in enumerate(written(wanted).load_ids())}
    assert len(answers) == 40 and 0 < sum(held_out(answer.pair) for answer in answers) < 40
    for answer in answers:
        same = (kind[answer.pair.first] < 24) == (kind[answer.pair.second] < 24)  # sorted by path, 24 a folder
        assert answer.verdict is (Verdict.SAME if same else Verdict.DIFFERENT)


def test_answers_of_a_version_train_another(wanted: Wanted, tmp_path: Path) -> None:
    """Given the answers of the first version as a file, the second one is the same to the bit."""
    first = train_folder(wanted)
    again = replace(wanted, simulated=0, answers=wanted.out / "answers.jsonl", out=tmp_path / "again")
    second = train_folder(again)
    np.testing.assert_array_equal(second.version.features, first.version.features)


def test_stopped_it_goes_on_to_the_same_result(wanted: Wanted, tmp_path: Path) -> None:
    """Stopped after an epoch there is a checkpoint and no version; the same call ends with an unbroken run's features."""
    reporter, should_stop = after(1)
    stopped = train_folder(wanted, reporter, should_stop)
    assert stopped.stopped
    assert [path.name for path in wanted.out.iterdir()] == [CHECKPOINT]
    resumed = train_folder(wanted)
    whole = train_folder(replace(wanted, out=tmp_path / "whole"))
    assert resumed.resumed and not (wanted.out / CHECKPOINT).exists()
    np.testing.assert_array_equal(resumed.version.features, whole.version.features)


def test_a_checkpoint_of_another_training_is_not_gone_on_from(wanted: Wanted) -> None:
    """Other epochs: a conflict that names the file, and the checkpoint stays."""
    train_folder(wanted, *after(1))
    with pytest.raises(ConflictError, match=r"checkpoint\.safetensors cannot be gone on from"):
        train_folder(replace(wanted, epochs=3))
    assert (wanted.out / CHECKPOINT).exists()


def test_a_finished_version_is_never_overwritten(wanted: Wanted) -> None:
    """The folder holds one already, and it stays as it is; a file in the way is told too."""
    train_folder(replace(wanted, epochs=1, simulated=0))
    before = (wanted.out / "version.json").read_bytes()
    with pytest.raises(ConflictError, match="give another --out"):
        train_folder(wanted)
    assert (wanted.out / "version.json").read_bytes() == before
    with pytest.raises(InputError, match="is not a folder"):
        train_folder(replace(wanted, out=wanted.out / "version.json"))


def test_what_lies_in_the_folder_already_stays(wanted: Wanted) -> None:
    """--out may name a folder with other files; none of them is touched."""
    wanted.out.mkdir()
    (wanted.out / "notes.txt").write_text("mine")
    train_folder(replace(wanted, epochs=1, simulated=0))
    assert (wanted.out / "notes.txt").read_text() == "mine"


def test_a_frozen_backbone_of_ones_own_needs_no_steps(
    wanted: Wanted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Features of an importable network as it comes: backbone and tuning reach the training."""
    (tmp_path / "mine_for_pal.py").write_text(
        "import torch\n"
        "class Halves(torch.nn.Module):\n"
        "    features = 2\n"
        "    def forward(self, images):\n"
        "        return torch.stack([images[..., :6].mean((1, 2, 3)), images[..., 6:].mean((1, 2, 3))], 1)\n"
        "def halves(channels, side, generator):\n"
        "    return Halves()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    frozen = replace(wanted, simulated=0, choice=Choice("simclr", "mine_for_pal:halves", "", "frozen"))
    outcome = train_folder(frozen)
    assert outcome.version.features.shape == (48, 2) and outcome.version.metrics["losses"] == []
    assert outcome.version.metrics["backbone"] == "mine_for_pal:halves"


def test_answers_about_other_images_are_refused(wanted: Wanted, tmp_path: Path) -> None:
    """Where no sample is known the file is the wrong one; where some are, the others are counted."""
    train_folder(replace(wanted, epochs=1))
    lines = (wanted.out / "answers.jsonl").read_text().splitlines()
    record = json.loads(lines[0])
    record["answers"] = [["0" * 16, "1" * 16, *record["answers"][0][2:6], ""]]
    file = tmp_path / "strange.jsonl"
    strange = replace(wanted, simulated=0, answers=file, out=tmp_path / "other", epochs=1)
    file.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"strange\.jsonl names no sample of the folder"):
        train_folder(strange)
    file.write_text("\n".join([json.dumps(record), *lines[1:]]))
    assert train_folder(strange).unknown == 1


def test_a_file_of_answers_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """Not there, a folder, a broken line: each with what was expected."""
    with pytest.raises(NotFoundError, match="one JSON object a line"):
        read_answers(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="cannot be read"):
        read_answers(tmp_path)
    (tmp_path / "bad.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match=r"bad\.jsonl line 1 key is a NoneType"):
        read_answers(tmp_path / "bad.jsonl")


def test_a_recipe_with_a_pretext_task_gets_its_losses(wanted: Wanted) -> None:
    """They lie beside the features, and the version says of which task they are."""
    train_folder(replace(wanted, choice=Choice(recipe="pt4al-patches")))
    found = written(wanted).load()
    assert found.difficulty is not None
    assert (found.difficulty.shape, found.pretext) == ((48,), "masked-patches")


def test_a_pretext_task_that_was_stopped_leaves_no_version(wanted: Wanted) -> None:
    """The same command makes it."""
    told: list[dict[str, object]] = []
    asking = replace(wanted, choice=Choice(recipe="pt4al"))
    outcome = train_folder(asking, Reporter(pretext=told.append), lambda: len(told) == 1)
    assert outcome.stopped
    assert not (wanted.out / "version.json").exists()
    assert not train_folder(asking).stopped
    assert written(wanted).load().pretext == "rotation"
