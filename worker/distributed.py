"""``python -m worker.distributed FOLDER``: one of the processes of a training, as torchrun starts it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, distributed

from pal_backend.backbones import network_of
from pal_backend.core.learning import training
from pal_backend.core.learning.backbones import Tuning
from pal_backend.core.learning.ranks import Ranks
from pal_backend.core.learning.training import Trained, pick_device
from pal_backend.rank_files import Order, RankFolder
from worker.niceness import session_as_nice
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
def process_group(meeting: Path, size: int, device: torch.device) -> Iterator[Ranks]:
    """The group of torchrun's processes: gloo for what is on the CPU, NCCL for what is on CUDA devices.

    Args:
        meeting: a file through which they find each other.
        size: how many there are.
        device: where they compute.
    """
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    rank = distributed.get_node_local_rank()
    where = meeting.resolve().as_uri()
    distributed.init_process_group(backend, init_method=where, timeout=PATIENCE, rank=rank, world_size=size)
    try:
        yield Group(rank, size)
    finally:
        distributed.destroy_process_group()


def work(folder: RankFolder, parent: int, size: int) -> int:
    """Be one of the processes; the exit code."""
    die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        return 1
    session_as_nice()
    try:
        order = folder.order()
        torch.set_num_threads(order.threads)
        with process_group(folder.path / "group", size, pick_device(order.settings.device)) as ranks:
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
    positives = None
    if settings.recipe.neighbours.refresh:
        from pal_backend.core.learning.judging import for_training
        from pal_backend.core.learning.retraining import learned, renewed
        from pal_backend.core.neighbours import build_space

        answers = for_training(answer for annotation in order.annotations for answer in annotation.answers)
        positives = renewed(learned(build_space(order.sample_ids, order.features), answers), settings)
    return training.train(
        order.seen,
        order.graph,
        settings,
        backbone=network_of(order.choice),
        tuning=Tuning(order.choice.tuning),
        positives=positives,
        progress=folder.tell if first else lambda state: None,
        should_stop=folder.asked_to_stop if first else lambda: False,
        warm_start=order.warm_start,
        checkpoint=order.checkpoint,
        keep=folder.keep if first else None,
        ranks=ranks,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of ``python -m worker.distributed``."""
    parser = argparse.ArgumentParser(prog="python -m worker.distributed", description="A part of one training.")
    parser.add_argument("folder", type=Path, help="where the training has written what to do")
    parser.add_argument("--parent", type=int, required=True, help="process to die with")
    parser.add_argument("--processes", type=int, required=True, help="how many there are")
    chosen = parser.parse_args(arguments)
    return work(RankFolder(chosen.folder), chosen.parent, chosen.processes)


if __name__ == "__main__":
    sys.exit(main())
