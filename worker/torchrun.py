"""``python -m worker.torchrun FOLDER``: torchrun's agent for one training; :mod:`pal_backend.rank_processes` starts it.

It starts :mod:`worker.distributed` once for each process. torchrun puts these into sessions of their own, so agent and
processes each ask Linux to die with their parent. They find each other through files in the folder: torchrun's own way is a
port that every host can reach, and what it reads there it unpickles.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from torch.distributed import run
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from worker.stopping import die_with_parent

ENTRY = "worker.distributed"
"""The module of each process."""


def launch(folder: Path, processes: int, parent: int) -> int:
    """Stay until all processes have ended; the exit code. Where one failed, ``ended.json`` says which, and how."""
    die_with_parent(signal.SIGTERM)
    signal.signal(signal.SIGTERM, _exit)
    meeting = ["--rdzv-backend=c10d", "--rdzv-conf=store_type=file", f"--rdzv-endpoint={folder / 'rendezvous'}"]
    own = [str(folder), "--parent", str(os.getpid()), "--processes", str(processes)]
    try:
        if os.getppid() == parent:
            run.run(run.parse_args([*meeting, f"--nproc-per-node={processes}", "-m", ENTRY, *own]))  # type: ignore[no-untyped-call]
        return 0
    except ChildFailedError as failed:
        ends = [{"rank": rank, "code": failure.exitcode} for rank, failure in failed.failures.items()]
        (folder / "ended.json").write_text(json.dumps(ends))
    except (SignalException, SystemExit):  # asked to end, or the parent is gone: nobody reads any more what is there
        shutil.rmtree(folder, ignore_errors=True)
    return 1


def _exit(signum: int, frame: FrameType | None) -> None:
    sys.exit(128 + signum)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of ``python -m worker.torchrun``."""
    parser = argparse.ArgumentParser(
        prog="python -m worker.torchrun", description="Start the processes of one training."
    )
    parser.add_argument("folder", type=Path, help="where the training has written what to do")
    parser.add_argument("--parent", type=int, required=True, help="process to die with")
    parser.add_argument("--processes", type=int, required=True, help="how many to start")
    chosen = parser.parse_args(arguments)
    return launch(chosen.folder, chosen.processes, chosen.parent)


if __name__ == "__main__":
    sys.exit(main())
