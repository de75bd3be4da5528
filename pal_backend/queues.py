"""Jobs: queue names, job paths, ids, and asking for them. Only this module, :mod:`pal_backend.job_status` and the worker
speak RQ.

Keys:
    ``pal:{p}:waiting`` hash, kind of job → id of the last one enqueued. While that one still waits, asking again changes
    nothing: it will see everything that is there when it starts. Once RQ marks it as started it does not count any more, so
    whatever comes during a run gets a run of its own, and no flag can be forgotten.
    RQ keeps its own keys, ``rq:*``. Arguments and results are JSON, never pickle: whoever can write to Redis must not be
    able to run code.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import WatchError
from rq import Queue, Retry, get_current_job
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.registry import (
    BaseRegistry,
    DeferredJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
    ScheduledJobRegistry,
    StartedJobRegistry,
)
from rq.serializers import JSONSerializer

from pal_backend.errors import PalError, UnavailableError
from pal_backend.job_status import (
    PROBLEM,
    WAITING,
    JobStatus,
    WorkerStatus,
    as_text,
    job_status,
    last_line,
    worker_statuses,
)
from pal_backend.store.connection import connect

logger = logging.getLogger(__name__)

LEARN = "learn"
"""Seconds, CPU: folds answers in."""
DESK = "desk"
"""Talks to Label Studio or reads and writes files."""
TRAIN = "train"
"""Minutes, GPU where there is one."""
EXPORT = "export"
"""Makes what is taken home; a push of predictions may take minutes, in which questions must go on being posted."""
NAMES = (LEARN, DESK, TRAIN, EXPORT)

PATHS = {
    kind: f"worker.jobs.{kind}"
    for kind in ("learn", "refill", "reconcile", "examine", "train", "draw", "ingest", "export", "push")
}
"""Kind of job → the function that RQ imports."""

HOUR_S, DAY_S = 3600, 86_400
LISTED = 50
"""Jobs of each queue and state that the status page may show."""
_REGISTRIES: tuple[type[BaseRegistry], ...] = (
    StartedJobRegistry,
    ScheduledJobRegistry,
    DeferredJobRegistry,
    FailedJobRegistry,
    FinishedJobRegistry,
)


@dataclass(frozen=True)
class _Rule:
    """How jobs of one kind are treated."""

    queue: str
    timeout_s: int
    """After that RQ stops the job, which is safe: each can be killed and run again."""
    result_ttl_s: int
    """How long a finished job is listed."""
    busy: frozenset[str]
    """States of the last such job in which asking again changes nothing."""
    retries: tuple[int, ...] = (0, 0)
    """Seconds before each new attempt; more than 0 needs a worker with a scheduler."""


_PATIENT = (2, 5, 10, 30, *([60] * 26))
"""Half an hour without Label Studio; by then a reconcile is due anyway."""
RULES = {
    "learn": _Rule(LEARN, DAY_S, 60, WAITING),
    "refill": _Rule(DESK, HOUR_S, 300, WAITING, _PATIENT),
    "reconcile": _Rule(DESK, 6 * HOUR_S, HOUR_S, WAITING, _PATIENT),
    "examine": _Rule(DESK, HOUR_S, 300, WAITING | {"started"}, (60,)),
    "ingest": _Rule(DESK, DAY_S, DAY_S, WAITING | {"started"}),
    "export": _Rule(EXPORT, 6 * HOUR_S, DAY_S, WAITING | {"started"}, (5,)),
    "push": _Rule(EXPORT, DAY_S, DAY_S, WAITING | {"started"}, (30, 60, 300)),
    # What could not be drawn is not tried again for the same version.
    "draw": _Rule(TRAIN, HOUR_S, DAY_S, WAITING | {"started", "failed"}),
    # One training at a time: the next one starts from all answers that came meanwhile.
    "train": _Rule(TRAIN, 2 * DAY_S, DAY_S, WAITING | {"started"}),
}
FAILURE_TTL_S = 7 * DAY_S
"""RQ's own default is a year."""


class Queues:
    """Enqueues jobs and tells about them.

    Args:
        redis: the URL of Redis, or a client that returns bytes (RQ cannot read text).
    """

    def __init__(self, redis: str | Redis) -> None:
        self._redis = connect(redis, text=False) if isinstance(redis, str) else redis
        if self._redis.connection_pool.connection_kwargs.get("decode_responses"):
            raise ValueError("Queues needs a client without decode_responses, or a URL")
        self._queues = {n: Queue(n, connection=self._redis, serializer=JSONSerializer) for n in NAMES}

    # ---- asking for work ---------------------------------------------------------------------------------------------

    def learn(self, project: str, pipe: Pipeline | None = None) -> str:
        """A sitting. On the pipeline of :meth:`pal_backend.store.sittings.Sittings.wake`, which keeps them few; without
        one, not while another waits. The job's id is returned, as from all these methods."""
        job_id = f"learn-{project}-{secrets.token_hex(6)}"
        if pipe is None:
            return self._once("learn", project, "learn", job_id, [project])
        self._push("learn", job_id, [project], pipe)
        return job_id

    def refill(self, project: str) -> str:
        """Post what is journalled; not while another refill waits."""
        return self._once("refill", project, "refill", f"refill-{project}-{secrets.token_hex(6)}", [project])

    def reconcile(self, project: str, why: str = "") -> str:
        """Compare Label Studio's annotations with ours; not while another reconcile waits."""
        return self._once(
            "reconcile", project, "reconcile", f"reconcile-{project}-{secrets.token_hex(6)}", [project, why]
        )

    def examine(self, project: str) -> str:
        """Let the doctor look at a project; not while that waits or runs."""
        return self._once("examine", project, "examine", f"examine-{project}", [project])

    def train(self, project: str, revision: int, why: str = "") -> str:
        """Train on what is known after ``revision``; not while another training of the project waits or runs."""
        return self._once("train", project, "train", f"train-{project}-{revision}", [project, revision, why])

    def draw(self, project: str, version: str) -> str:
        """Make the map of a version, behind the trainings that wait; once for each version."""
        job_id = f"draw-{project}-{version}"
        return self._once("draw", project, job_id, job_id, [project, version])

    def ingest(self, project: str) -> str:
        """Take in the pool; not while that waits or runs."""
        return self._once("ingest", project, "ingest", f"ingest-{project}", [project])

    def export(self, project: str, kind: str) -> str:
        """Make one kind of what is taken home; not while that waits or runs."""
        return self._once("export", project, f"export-{kind}", f"export-{project}-{kind}", [project, kind])

    def push(self, project: str, target: int | None) -> str:
        """Push predictions into a Label Studio project (None: the one that we made); not while a push waits or runs."""
        return self._once("push", project, "push", f"push-{project}", [project, target])

    def _once(self, kind: str, project: str, slot: str, job_id: str, arguments: list[Any]) -> str:
        """Enqueue unless the last job of this slot is busy; which of two askers is first, a transaction decides."""
        waiting = f"pal:{project}:waiting"
        with self._redis.pipeline() as pipe:
            while True:
                pipe.watch(waiting, Job.key_for(job_id))  # type: ignore[no-untyped-call]
                last = as_text(cast("Any", pipe.hget(waiting, slot)))
                for known in dict.fromkeys(filter(None, (last, job_id))):
                    pipe.watch(Job.key_for(known))  # type: ignore[no-untyped-call]
                    if as_text(cast("Any", pipe.hget(Job.key_for(known), "status"))) in RULES[kind].busy:
                        return known
                pipe.multi()
                pipe.hset(waiting, slot, job_id)
                self._forget(job_id, pipe)
                self._push(kind, job_id, arguments, pipe)
                try:
                    pipe.execute()
                except WatchError:
                    continue
                return job_id

    def _push(self, kind: str, job_id: str, arguments: list[Any], pipe: Pipeline) -> None:
        rule = RULES[kind]
        data = Queue.prepare_data(
            PATHS[kind],
            args=arguments,
            timeout=rule.timeout_s,
            result_ttl=rule.result_ttl_s,
            failure_ttl=FAILURE_TTL_S,
            job_id=job_id,
            retry=Retry(max=len(rule.retries), interval=list(rule.retries)),
        )
        # Not enqueue_call: on a pipeline that holds commands already it begins a MULTI of its own, and fails.
        self._queues[rule.queue].enqueue_many([data], pipeline=pipe)

    def _forget(self, job_id: str, pipe: Pipeline) -> None:
        """Delete an ended job of that id: it would pass on its end, its result and its time to live to the new one."""
        try:
            Job.fetch(job_id, connection=self._redis, serializer=JSONSerializer).delete(pipeline=pipe)
        except NoSuchJobError:
            return
        except Exception as problem:  # RQ raises whatever a malformed record makes it raise
            logger.warning("job %s cannot be read (%s); replacing it", job_id, type(problem).__name__)
            pipe.delete(Job.key_for(job_id))

    # ---- looking -----------------------------------------------------------------------------------------------------

    def depths(self) -> dict[str, int]:
        """Queue name → jobs that wait in it."""
        return {name: int(queue.count) for name, queue in self._queues.items()}

    def waiting_to_learn(self) -> int:
        """How many sittings, of any project, wait for a worker."""
        return self.depths()[LEARN]

    def jobs(self) -> list[JobStatus]:
        """Jobs that wait, run, or ended lately, at most 50 of each queue and state; unreadable ones are left out."""
        ids: dict[str, None] = {}
        for name, queue in self._queues.items():
            ids |= dict.fromkeys(queue.get_job_ids(0, LISTED))
            for kind in _REGISTRIES:
                registry = kind(name, connection=self._redis, serializer=JSONSerializer)
                # Without cleanup: looking must not write.
                ids |= dict.fromkeys(registry.get_job_ids(0, LISTED - 1, desc=True, cleanup=False))
        found = map(self.job, ids)
        return [status for status in found if status is not None]

    def job(self, job_id: str) -> JobStatus | None:
        """One job, or None if it is not known (any more)."""
        return job_status(self._redis, job_id)

    def training(self, project: str) -> JobStatus | None:
        """The last training of a project, or None if none was asked for lately."""
        job_id = as_text(cast("Any", self._redis.hget(f"pal:{project}:waiting", "train")))
        return self.job(job_id) if job_id else None

    def exports(self, project: str, kinds: Iterable[str]) -> dict[str, JobStatus]:
        """Kind → its last job, for those that were asked for lately; a push stands under ``push``."""
        ids = {kind: f"push-{project}" if kind == "push" else f"export-{project}-{kind}" for kind in kinds}
        found = {kind: self.job(job_id) for kind, job_id in ids.items()}
        return {kind: job for kind, job in found.items() if job is not None}

    def training_progress(self, project: str) -> str:
        """What the last training of a project is doing, in one line; empty if none was asked for lately."""
        found = self.training(project)
        if found is None:
            return ""
        words = [
            f"{name.replace('_', ' ')} {value:.4g}" if isinstance(value, float) else f"{name.replace('_', ' ')} {value}"
            for name, value in found.progress.items()
            if isinstance(value, (str, int, float))
        ]
        return ", ".join([found.state, *words, *([found.error] if found.error else [])])[:200]

    def workers(self) -> list[WorkerStatus]:
        """Worker processes, by name."""
        return worker_statuses(self._redis)


def report_progress(progress: Mapping[str, Any]) -> None:
    """Inside a job: note how far it has come, as JSON scalars, where the status page finds it. Elsewhere: nothing."""
    job = get_current_job()
    if job is not None:
        job.meta.update(progress)
        job.save_meta()  # type: ignore[no-untyped-call]


@contextmanager
def patient() -> Iterator[None]:
    """Inside a job: only what may be had later is tried again; what no further attempt mends fails at once."""
    try:
        yield
    except UnavailableError:
        raise
    except PalError:
        job = get_current_job()
        if job is not None:
            job.retries_left = 0
        raise


def remember_problem(job: Job, kind: type[BaseException], problem: BaseException, *_: object) -> bool:
    """An exception handler for RQ's workers: RQ itself forgets why a job that will be tried again went wrong."""
    job.meta[PROBLEM] = last_line(str(problem)) or kind.__name__
    job.save_meta()  # type: ignore[no-untyped-call]
    return True
