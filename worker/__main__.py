"""``python -m worker``: one RQ worker process for each queue, under one parent that has imported the heavy libraries.

The parent imports torch and the Label Studio client but runs neither: a forked work-horse then starts in milliseconds,
and a parent that had run one torch operation would hang its children.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.job import Job
from rq.serializers import JSONSerializer

from pal_backend import queues
from pal_backend.errors import PalError
from pal_backend.settings import Settings
from worker.niceness import session_as_nice
from worker.stopping import die_with_parent

log = logging.getLogger("worker")

HEAVY = ("torch", "scipy.sparse", "sklearn.decomposition", "sklearn.neighbors", "label_studio_sdk", "worker.jobs")
TRAIN_NICENESS = 10
"""Answers and pages stay quick while a training runs on the same machine."""
CARE_SECONDS = 5.0
"""How often the parent looks after sittings that nobody woke and reconciles that are due."""
STOP_SECONDS = 20.0
"""How long children may take to end before they are killed; every job is safe to kill."""


class QueueWorker(Worker):
    """RQ's worker, with horses that end soon when asked and never outlive their worker."""

    def handle_warm_shutdown_request(self) -> None:
        """Pass SIGTERM on to the running job, which ends at its next safe point (:mod:`worker.stopping`)."""
        if self.horse_pid:
            self.kill_horse(signal.SIGTERM)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """The forked child's life: die with the parent."""
        die_with_parent(signal.SIGKILL)
        super().main_work_horse(job, queue)

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        """Seconds after which a silent job counts as abandoned; short, since jobs are idempotent and fenced."""
        return 15


def work(name: str, redis_url: str, level: str) -> None:
    """Serve one queue until SIGTERM."""
    die_with_parent(signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s %(message)s", force=True)
    logging.getLogger("rq.worker").setLevel(logging.WARNING)  # it reports each round of maintenance
    if name in (queues.TRAIN, queues.EXPORT):
        step_back()
    connection = Redis.from_url(redis_url)
    QueueWorker(
        [Queue(name, connection=connection, serializer=JSONSerializer)],
        connection=connection,
        serializer=JSONSerializer,
        exception_handlers=[queues.remember_problem],
        worker_ttl=30,
        maintenance_interval=10,
        job_monitoring_interval=2,
        log_job_description=False,
    ).work(with_scheduler=name in (queues.DESK, queues.EXPORT), logging_level=None)


def step_back() -> None:
    """Give way to everything else on the machine: answers and pages first."""
    os.nice(TRAIN_NICENESS)
    os.setsid()
    session_as_nice()


class Foreman:
    """Keeps one child a queue alive and does the small periodic chores."""

    def __init__(self, names: Sequence[str], settings: Settings) -> None:
        self._names = names
        self._settings = settings
        self._context = multiprocessing.get_context("fork")
        self._children: dict[str, Any] = {}
        self._stopping = False
        self._reconciled_at = self._pools_at = time.monotonic()

    def run(self) -> int:
        """Until SIGTERM or SIGINT; returns the exit code."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        while not self._stopping:
            self._keep_alive()
            self._care()
            self._wait(CARE_SECONDS)
        return self._end_children()

    def _stop(self, signum: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._stopping and time.monotonic() < deadline:
            time.sleep(0.1)

    def _keep_alive(self) -> None:
        for name in self._names:
            child = self._children.get(name)
            if child is not None and child.is_alive():
                continue
            if child is not None:
                log.warning("the worker of queue %s ended with code %s; starting another", name, child.exitcode)
            child = self._context.Process(
                target=work, args=(name, self._settings.redis_url, self._settings.log_level), name=f"pal-{name}"
            )
            child.start()
            self._children[name] = child

    def _care(self) -> None:
        """Wake sittings whose wake-up was lost with a killed worker, and reconcile when it is due.

        In a child of its own: the parent must never open what forked children would share.
        """
        due = time.monotonic() - self._reconciled_at >= self._settings.reconcile_seconds
        if due:
            self._reconciled_at = time.monotonic()
        often = self._settings.pool_seconds
        pools = bool(often) and time.monotonic() - self._pools_at >= often
        if pools:
            self._pools_at = time.monotonic()
        chores = self._context.Process(target=look_after, args=(self._settings, due, pools), name="pal-chores")
        chores.start()
        chores.join(30)

    def _end_children(self) -> int:
        for child in self._children.values():
            child.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for child in self._children.values():
            child.join(max(0.1, deadline - time.monotonic()))
        stubborn = [child for child in self._children.values() if child.is_alive()]
        for child in stubborn:
            log.warning("%s did not end in %d s and is killed", child.name, STOP_SECONDS)
            child.kill()
            child.join()
        return 0


def look_after(settings: Settings, reconcile: bool, pools: bool) -> None:
    """One round of chores, in a short-lived process."""
    from worker import bootstrap, jobs

    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        jobs.look_after(bootstrap.build(settings), reconcile, pools)
    except (PalError, RedisError) as problem:
        log.warning("looking after the projects has to wait: %s", problem)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry of ``python -m worker``."""
    parser = argparse.ArgumentParser(prog="python -m worker", description="Run PAL's jobs.")
    parser.add_argument(
        "--queue",
        action="append",
        choices=queues.NAMES,
        help="serve this queue only (repeatable); default: all. learn: seconds, CPU. desk: talks to Label Studio. "
        "train: minutes, GPU where there is one. export: what is taken home.",
    )
    chosen = parser.parse_args(arguments).queue or list(queues.NAMES)
    settings = Settings.from_env()
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for module in HEAVY:
        importlib.import_module(module)
    log.info("serving %s", ", ".join(chosen))
    return Foreman(chosen, settings).run()


if __name__ == "__main__":
    sys.exit(main())
