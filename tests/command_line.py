"""``pal`` in a process of its own, without the seconds that each new Python spends on importing torch and scikit-learn.

The process is forked from one that has imported those and nothing of ours: the command line starts under the test's own
environment, folder and arguments, as ``python -m pal_backend.cli`` does.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

HEAVY = [
    *("torch", "torchvision", "scipy.sparse", "scipy.stats", "sklearn.cluster", "sklearn.decomposition"),
    *("sklearn.linear_model", "sklearn.neighbors", "label_studio_sdk", "httpx", "rq"),
]
SECONDS = 120


def pal(
    *arguments: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line, wide enough that nothing is broken into lines.

    Raises:
        subprocess.TimeoutExpired: after two minutes.
    """
    environment = {**os.environ, "COLUMNS": "300", "NO_COLOR": "1", "TERM": "dumb", **(env or {})}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(HEAVY)
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = context.Process(target=_run, args=(arguments, environment, cwd or Path.cwd(), out, err))
        process.start()
        process.join(SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(arguments, SECONDS, out.read_bytes(), err.read_bytes())
        return subprocess.CompletedProcess(arguments, process.exitcode, out.read_text(), err.read_text())


def _run(arguments: tuple[str, ...], environment: dict[str, str], cwd: Path, out: Path, err: Path) -> None:
    for path, number in ((out, 1), (err, 2)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.path[:0] = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.argv = ["pal", *arguments]
    runpy.run_module("pal_backend.cli", run_name="__main__", alter_sys=True)
