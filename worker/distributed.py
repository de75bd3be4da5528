"""``python -m worker.distributed FOLDER``: one training on several processes; :mod:`pal_backend.rank_processes` starts it.

Called with a number of processes it is torchrun's agent, which starts itself once for each of them; called without it is one
of these. torchrun puts them into sessions of their own, so each asks Linux to die with its parent.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import FrameType

import torch
from torch import Tensor, distributed
from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from pal_backend.core.learning.ranks import Ranks
from pal_backend.core.learning.retraining import retrain
from pal_backend.core.learning.training import Trained, pick_device
from pal_backend.core.neighbours import build_space
from pal_backend.rank_files import Order, RankFolder
from worker.stopping import die_with_parent

PATIENCE = timedelta(hours=2)
"""How long one process may wait for another that lives; one that died is seen by torchrun at once."""


@dataclass(frozen=True)
class Group:
    """The processes of torch's process group."""

    rank: int
    size: int

    def total(self, values: Tensor) -> Tensor:
        """The sum over all of them."""
        whole = values.contiguous()
        distributed.all_reduce(whole)
        return whole


@contextmanager
def process_group(device: torch.device) -> Iterator[Ranks]:
    """The group that torchrun's environment describes: gloo for what is on the CPU, NCCL for what is on CUDA devices."""
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield Group(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def launch(folder: RankFolder, processes: int, parent: int) -> int:
    """Be torchrun's agent until all processes have ended; the exit code."""
    die_with_parent(signal.SIGTERM)
    signal.signal(signal.SIGTERM, _exit)
    own = [str(folder.path), "--parent", str(os.getpid())]
    options = ["--standalone", f"--nproc-per-node={processes}", "--max-restarts=0", "-m", "worker.distributed", *own]
    try:
        if os.getppid() == parent:
            torchrun.run(torchrun.parse_args(options))  # type: ignore[no-untyped-call]
        return 0
    except ChildFailedError as failed:
        folder.ended({rank: failure.exitcode for rank, failure in failed.failures.items()})
        return 1
    finally:
        if os.getppid() != parent:  # nobody is left to clear up
            shutil.rmtree(folder.path, ignore_errors=True)


def work(folder: RankFolder, parent: int) -> int:
    """Be one of the processes; the exit code."""
    die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        return 1
    try:
        order = folder.order()
        torch.set_num_threads(order.threads)
        with process_group(pick_device(order.settings.device)) as ranks:
            trained = train(folder, order, ranks)
            if ranks.rank == 0:
                folder.finish(trained)
    except Exception as problem:  # whatever it is, the training that waits for us must be told
        traceback.print_exc()
        folder.fail(problem)
        return 1
    return 0


def train(folder: RankFolder, order: Order, ranks: Ranks) -> Trained:
    """This process' part of the training; the first one reports and keeps.

    Raises:
        PalError, CheckpointError: as the training itself.
    """
    settings, first = order.settings, ranks.rank == 0
    if pick_device(settings.device).type == "cuda":
        torch.cuda.set_device(ranks.rank)
        settings = replace(settings, device=f"cuda:{ranks.rank}")
    return retrain(
        order.material,
        build_space(order.sample_ids, order.features),
        [answer for annotation in order.annotations for answer in annotation.answers],
        settings,
        prior=order.prior,
        progress=folder.tell if first else lambda state: None,
        should_stop=folder.asked_to_stop if first else lambda: False,
        warm_start=order.warm_start,
        checkpoint=order.checkpoint,
        keep=folder.keep if first else None,
        ranks=ranks,
    )


def _exit(signum: int, frame: FrameType | None) -> None:
    sys.exit(128 + signum)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of ``python -m worker.distributed``."""
    parser = argparse.ArgumentParser(prog="python -m worker.distributed", description="A part of one training.")
    parser.add_argument("folder", type=Path, help="where the training has written what to do")
    parser.add_argument("--parent", type=int, required=True, help="process to die with")
    parser.add_argument("--processes", type=int, default=0, help="start so many; default: be one of them")
    chosen = parser.parse_args(arguments)
    folder = RankFolder(chosen.folder)
    return launch(folder, chosen.processes, chosen.parent) if chosen.processes else work(folder, chosen.parent)


if __name__ == "__main__":
    sys.exit(main())
