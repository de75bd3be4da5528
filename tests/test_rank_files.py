"""What a training and its processes write for each other comes out as it went in; failures are told by what caused them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pal_backend.core.choice import Choice
from pal_backend.core.learning.checkpoint import CheckpointError
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.learning.training import Trained
from pal_backend.core.recipes import RECIPES
from pal_backend.core.vocabulary import Annotation, AnnotationKey, Answer, Pair, Verdict
from pal_backend.errors import InputError, UnavailableError
from pal_backend.rank_files import Order, RankFolder
from tests.core.learning.tiny import IDS, IMAGES, graph


@pytest.fixture
def folder(tmp_path: Path) -> RankFolder:
    """An empty one."""
    return RankFolder(tmp_path)


def test_an_order_arrives_as_it_was_given(folder: RankFolder) -> None:
    """Choice, settings, images, graph, answers and files."""
    key = AnnotationKey("pairs", 1)
    answer = Answer(key, Pair.of(IDS[0], IDS[1]), Verdict.SAME, "7", 1)
    given = Order(
        choice=Choice("gps-simclr", "small", "", "full"),
        settings=TrainingSettings.of(RECIPES["gps-simclr"], epochs=7, batch=32, seed=3, device="cpu"),
        seen=IMAGES,
        graph=graph(),
        sample_ids=IDS,
        features=np.arange(96, dtype=np.float32).reshape(48, 2),
        annotations=[Annotation(key, 1, "q1", "7", 1, (answer,))],
        warm_start=None,
        checkpoint=b"place",
        threads=2,
    )
    folder.give(given)
    found = RankFolder(folder.path).order()
    for name in ("choice", "settings", "sample_ids", "annotations", "warm_start", "checkpoint", "threads"):
        assert getattr(found, name) == getattr(given, name), name
    assert (found.seen == given.seen).all() and (found.features == given.features).all()
    for name in ("pairs", "signed", "components", "cannot"):
        assert (getattr(found.graph, name) == getattr(given.graph, name)).all(), name
    assert (found.graph.prior != given.graph.prior).nnz == 0
    assert found.graph.prior.indices.dtype == given.graph.prior.indices.dtype  # a checkpoint's digest counts the bytes
    assert (found.graph.precision, found.graph.view) == (given.graph.precision, given.graph.view)
    assert not list(folder.path.glob("*.pkl"))


def test_reports_and_checkpoints_come_once_and_whole(folder: RankFolder) -> None:
    """Half a line waits for its end; a checkpoint is handed over again only when it was replaced."""
    assert (folder.told(), folder.new_checkpoint()) == ([], None)
    process = RankFolder(folder.path)
    process.tell({"epoch": 1, "loss": 0.1})
    with (folder.path / "progress.jsonl").open("a") as file:
        file.write('{"epoch": 2')
    assert folder.told() == [{"epoch": 1, "loss": 0.1}]
    with (folder.path / "progress.jsonl").open("a") as file:
        file.write("}\n")
    assert (folder.told(), folder.told()) == ([{"epoch": 2}], [])
    process.keep(b"one")
    process.keep(b"two")
    assert (folder.new_checkpoint(), folder.new_checkpoint()) == (b"two", None)
    assert not process.asked_to_stop()
    folder.stop()
    assert process.asked_to_stop()


def test_what_came_of_it_arrives(folder: RankFolder) -> None:
    """Weights, features, and numbers to the last bit."""
    trained = Trained(
        b"weights", np.ones((3, 2), np.float32), ({"loss": 1 / 3},), 0.8, 1.5, stopped=True, warm=False, sittings=2
    )
    assert not folder.finished()
    folder.finish(trained)
    assert folder.finished()
    found = folder.trained()
    assert (found.features == trained.features).all()
    assert found.weights == b"weights"
    assert found.history == trained.history
    assert (found.stopped, found.warm, found.sittings, found.precision) == (True, False, 2, 0.8)


@pytest.mark.parametrize("problem", [InputError("make batches larger"), CheckpointError("damaged")])
def test_an_error_of_ours_is_raised_as_it_was(folder: RankFolder, problem: Exception) -> None:
    """Even where another process failed of the connection that was lost by it."""
    folder.fail(RuntimeError("connection reset"))
    (folder.path / "problem-1").write_text(json.dumps({"kind": "RuntimeError", "message": "connection closed"}))
    folder.fail(problem)
    found = folder.problem(2)
    assert (type(found), str(found)) == (type(problem), str(problem))


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        (
            [{"rank": 0, "code": 1}, {"rank": 1, "code": -9}],
            "number 1 was ended by SIGKILL; on SIGKILL .* out of memory",
        ),
        ([{"rank": 1, "code": -11}], "number 1 was ended by SIGSEGV"),
        ([{"rank": 0, "code": 1}], r"number 0 failed \(RuntimeError: connection reset\)"),
        ([], r"one failed \(RuntimeError: connection reset\)"),
    ],
)
def test_other_failures_say_who_ended_how(folder: RankFolder, ends: list[dict[str, int]], words: str) -> None:
    """The one that was killed counts more than what the others say about the lost connection."""
    folder.fail(RuntimeError("connection reset"))
    if ends:
        (folder.path / "ended.json").write_text(json.dumps(ends))
    found = folder.problem(2)
    assert isinstance(found, UnavailableError)
    assert found.args[0].startswith("of the 2 processes of the training")
    with pytest.raises(UnavailableError, match=words):
        raise found


def test_a_folder_that_is_gone_is_told_too(tmp_path: Path) -> None:
    """An agent that somebody else has ended clears up."""
    gone = RankFolder(tmp_path / "gone")
    gone.stop()
    assert (gone.told(), gone.new_checkpoint(), gone.log()) == ([], None, "")
    assert "ended before the training did" in str(gone.problem(4))
