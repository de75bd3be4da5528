"""A training on several processes of this machine: torchrun is started, watched, and never outlives the training."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from scipy import sparse

from pal_backend.core.choice import Choice
from pal_backend.core.learning.backbones import Tuning
from pal_backend.core.learning.judging import for_training
from pal_backend.core.learning.retraining import Material, graph_of, learned, retrain
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.learning.training import Report, Trained, pick_device
from pal_backend.core.neighbours import Space
from pal_backend.core.recipes import recipe
from pal_backend.core.vocabulary import Annotation
from pal_backend.errors import InputError
from pal_backend.rank_files import Order, RankFolder
from pal_backend.settings import process_environment

log = logging.getLogger(__name__)

ENTRY = "worker.torchrun"
"""The module that starts them; a test resolves the name."""
LOCAL = {"GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo"}
"""Gloo listens where only this machine can reach it."""
CLOSED = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
"""torchrun opens no port."""
SAMPLES_EACH = 4
"""Of a batch at least for each process: a quarter of a batch and more is uniform, and each needs one of these."""
POLL_S = 0.1
END_S = 10.0
"""How long torchrun may take to end its processes before it is killed; they die with it."""


def processes_for(asked: int, device: str, choice: Choice) -> int:
    """How many processes a training takes.

    Args:
        asked: for; 0 is one for each CUDA device, and one without.
        device: auto, cpu or cuda.
        choice: complete; what trains on one process, or does not train at all, takes one.

    Raises:
        InputError: more were asked for than there are CUDA devices, or the recipe is not known.
    """
    devices = torch.cuda.device_count() if pick_device(device).type == "cuda" else 0
    if devices and asked > devices:
        raise InputError(
            f"{asked} processes were asked for, found {devices} CUDA devices; expected one for each at most; ask for fewer"
        )
    wanted = asked or max(1, devices)
    if wanted > 1 and not recipe(choice.recipe).ranks:
        log.warning("the recipe %s trains on one process, not on %d", choice.recipe, wanted)
        return 1
    return 1 if choice.tuning == Tuning.FROZEN else wanted


def retrain_on(
    material: Material,
    space: Space,
    annotations: Sequence[Annotation],
    settings: TrainingSettings,
    *,
    choice: Choice,
    processes: int,
    prior: sparse.csr_array | None = None,
    progress: Report = lambda state: None,
    should_stop: Callable[[], bool] = lambda: False,
    warm_start: bytes | None = None,
    checkpoint: bytes | None = None,
    keep: Callable[[bytes], None] | None = None,
) -> Trained:
    """As :func:`pal_backend.core.learning.retraining.retrain`, on so many processes.

    Args:
        material, space, settings, prior, progress, should_stop, warm_start, checkpoint, keep: as there.
        annotations: that hold the answers.
        choice: what ``material`` and the recipe of ``settings`` were made of.
        processes: 1 is this one; more are started, and ended again whatever happens. A small batch takes fewer.

    Raises:
        UnavailableError: a process ended before the training did; the last checkpoint is kept.
        PalError, ValueError: as there.
    """
    answers = [answer for annotation in annotations for answer in annotation.answers]
    processes = min(processes, max(1, min(settings.batch, len(material.seen)) // SAMPLES_EACH))
    if processes == 1:
        return retrain(
            material, space, answers, settings, prior=prior, progress=progress, should_stop=should_stop,
            warm_start=warm_start, checkpoint=checkpoint, keep=keep,
        )  # fmt: skip
    known = for_training(answers)
    graph = graph_of(material, learned(space, known), known, settings, prior)
    with tempfile.TemporaryDirectory(prefix="pal-ranks-") as place:
        folder = RankFolder(Path(place))
        threads = max(1, torch.get_num_threads() // processes)
        folder.give(
            Order(
                choice, settings, material.seen, graph, space.sample_ids, space.features, annotations, warm_start, checkpoint,
                threads,
            )
        )  # fmt: skip
        trained = _watched(_start(folder, processes, threads), folder, progress, should_stop, keep)
        if trained is None:
            log.info("the processes of a training failed: %s", folder.log())
            raise folder.problem(processes)
        return trained


def _start(folder: RankFolder, processes: int, threads: int) -> subprocess.Popen[bytes]:
    options = [str(folder.path), f"--parent={os.getpid()}", f"--processes={processes}"]
    with (folder.path / "log").open("wb") as out:
        # A session of its own: Ctrl-C asks the training to stop, and it asks them.
        return subprocess.Popen(  # noqa: S603  our own module and arguments
            [sys.executable, "-m", ENTRY, *options],
            env={**LOCAL, **process_environment(), **CLOSED, "OMP_NUM_THREADS": str(threads)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )


def _watched(
    agent: subprocess.Popen[bytes],
    folder: RankFolder,
    progress: Report,
    should_stop: Callable[[], bool],
    keep: Callable[[bytes], None] | None,
) -> Trained | None:
    """Pass on what comes from the processes until the training or they have ended; None if it was they."""
    try:
        over = False
        while not over:
            over = folder.finished() or agent.poll() is not None  # asked first: what was written last is read after it
            if should_stop():
                folder.stop()
            for state in folder.told():
                progress(state)
            checkpoint = folder.new_checkpoint()
            if checkpoint is not None and keep is not None:
                keep(checkpoint)
            if not over:
                time.sleep(POLL_S)
        return folder.trained() if folder.finished() else None
    finally:
        _end(agent)


def _end(agent: subprocess.Popen[bytes]) -> None:
    if agent.poll() is not None:
        return
    agent.terminate()
    try:
        agent.wait(END_S)
    except subprocess.TimeoutExpired:
        agent.kill()
        agent.wait()
