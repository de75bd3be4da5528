"""Trainings on two processes: what they give, how they stop, and that nothing of them is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pal_backend import rank_processes
from pal_backend.core.choice import Choice
from pal_backend.core.learning.pixels import pca_features
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.neighbours import build_space
from pal_backend.demo.descendants import Process, alive, descendants
from pal_backend.errors import UnavailableError
from pal_backend.folder_training import Reporter, Wanted, train_folder
from pal_backend.rank_files import Order, RankFolder
from pal_backend.settings import Settings
from pal_backend.store.stores import Stores
from tests.core.learning.tiny import IDS, IMAGES, KINDS, graph
from tests.worker.processes import until
from tests.worker.test_networks import NAME, Trainer
from worker import torchrun, training

linux = pytest.mark.skipif(sys.platform != "linux", reason="processes die with their parent on Linux")


def processes_of_a_training(pid: int) -> dict[str, Process]:
    """Torchrun's agent and, by their rank, those it has started, among the descendants of ``pid``."""
    found = {}
    for process in descendants(pid):
        words = Path(f"/proc/{process.pid}/cmdline").read_text().split("\0")
        about = dict(item.partition("=")[::2] for item in Path(f"/proc/{process.pid}/environ").read_text().split("\0"))
        if {rank_processes.ENTRY, torchrun.ENTRY} & set(words):
            found[about.get("RANK", "agent")] = process
    return found


def open_to_others(process: Process) -> list[str]:
    """Addresses on which it listens and which other machines may reach, as /proc writes them."""
    sockets = {str(fd.readlink()) for fd in Path(f"/proc/{process.pid}/fd").iterdir()}
    rows = [row.split() for file in ("tcp", "tcp6") for row in Path(f"/proc/net/{file}").read_text().splitlines()[1:]]
    heard = {row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets}
    return [address for address in heard if not address.startswith("0100007F:")]


@pytest.mark.parametrize("module", [rank_processes.ENTRY, torchrun.ENTRY])
def test_what_is_started_by_name_is_there(module: str) -> None:
    """Both modules can be found."""
    assert find_spec(module) is not None


def test_two_processes_stop_when_asked_and_one_goes_on(tmp_path: Path) -> None:
    """`pal train`: progress as from one process, a checkpoint at the end that was asked for; going on from it on a single
    process the losses stay within 1 % of those of an unbroken training on one.
    """
    for number, (image, kind) in enumerate(zip(IMAGES, KINDS, strict=True)):
        path = tmp_path / "bars" / f"kind{kind}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(path)
    alone = Wanted(
        tmp_path / "bars",
        tmp_path / "alone",
        Choice(),
        simulated=40,
        epochs=4,
        batch=32,
        device="cpu",
        side=12,
        processes=1,
    )
    whole = train_folder(alone)
    told: list[dict[str, Any]] = []
    shared = replace(alone, out=tmp_path / "shared", processes=2)
    stopped = train_folder(shared, Reporter(epoch=told.append), lambda: bool(told))
    assert stopped.stopped and len(stopped.version.metrics["losses"]) >= 1
    assert {"epoch", "of", "loss", "parts", "positives", "images_per_second", "precision"} == told[0].keys()
    assert [state["epoch"] for state in told] == list(range(1, len(told) + 1))

    gone_on = train_folder(replace(shared, processes=1))
    assert gone_on.resumed and not gone_on.stopped
    np.testing.assert_allclose(gone_on.version.metrics["losses"], whole.version.metrics["losses"], rtol=1e-2)


@linux
def test_a_killed_rank_fails_the_job_which_can_go_on(settings: Settings, stores: Stores, tmp_path: Path) -> None:
    """The message says which one was ended how; no process stays, and none had a port that other machines reach; the next
    attempt goes on from the last checkpoint.
    """
    trainer = Trainer(
        replace(settings, train_epochs=200, device="cpu", checkpoint_seconds=0, train_processes=2),
        stores,
        tmp_path / "pool",
    )
    family: dict[str, Process] = {}
    heard: list[str] = []

    def kill_second(state: dict[str, Any]) -> None:
        # an epoch is told before its checkpoint is written
        if state.get("epoch", 0) > 2 and not family:
            family.update(processes_of_a_training(os.getpid()))
            heard.extend(address for process in family.values() for address in open_to_others(process))
            os.kill(family["1"].pid, signal.SIGKILL)

    with pytest.raises(
        UnavailableError, match=r"of the 2 processes of the training number 1 was ended by SIGKILL; .*memory"
    ):
        training.run(trainer.shop, training.take_snapshot(trainer.shop, NAME, 1), kill_second, lambda: False)
    assert family.keys() == {"agent", "0", "1"}
    assert not any(alive(process) for process in family.values())
    assert not heard

    trainer.shop = replace(trainer.shop, settings=replace(trainer.shop.settings, train_processes=1))
    told: list[dict[str, Any]] = []
    with pytest.raises(UnavailableError, match="goes on where it was"):
        training.run(trainer.shop, training.take_snapshot(trainer.shop, NAME, 1), told.append, lambda: len(told) > 1)
    assert told[1]["epoch"] > 1


@linux
def test_no_process_outlives_a_killed_parent(tmp_path: Path) -> None:
    """Agent and ranks end with it, and with them goes the folder that nobody else would clear up."""
    space = build_space(IDS, pca_features(IMAGES, 10), k=5)
    place = tmp_path / "ranks"
    place.mkdir()
    choice, trains = Choice("simclr", "small", "", "full"), TrainingSettings(epochs=10_000, batch=32, device="cpu")
    RankFolder(place).give(
        Order(choice, trains, IMAGES, graph(), space.sample_ids, space.features, [], None, None, threads=1)
    )
    start = "import os, subprocess, sys; subprocess.run([*sys.argv[1:], '--parent', str(os.getpid())])"
    command = [sys.executable, "-m", rank_processes.ENTRY, str(place), "--processes", "2"]
    parent = subprocess.Popen([sys.executable, "-c", start, *command], stderr=subprocess.DEVNULL)
    try:
        until((place / "progress.jsonl").exists, "both processes train")
        family = processes_of_a_training(parent.pid)
        assert family.keys() == {"agent", "0", "1"}
    finally:
        parent.kill()
        parent.wait()
    until(lambda: not any(alive(process) for process in family.values()), "all of them are gone", seconds=10)
    assert not place.exists()
