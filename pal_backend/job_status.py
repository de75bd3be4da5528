"""What Redis knows of jobs and workers, for people who look. Reads alone; the keys are RQ's own."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from redis import Redis
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker_registration import get_keys

logger = logging.getLogger(__name__)

WAITING = frozenset({"queued", "deferred", "scheduled"})
"""States of a job that has yet to start (again)."""
PROBLEM = "problem"
"""Where a job's meta holds why its last attempt went wrong."""


@dataclass(frozen=True)
class JobStatus:
    """One job, for people who look. Times are seconds since 1970."""

    queue: str
    id: str
    kind: str
    state: str
    """queued, started, scheduled (waits for its next attempt), deferred, failed, finished, stopped, canceled."""
    project: str
    progress: Mapping[str, Any] = field(default_factory=dict)
    enqueued_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    error: str = ""
    """Last line of what went wrong."""


@dataclass(frozen=True)
class WorkerStatus:
    """One worker process that Redis knows of. A worker that died unseen stays for less than a minute."""

    name: str
    queues: tuple[str, ...]
    state: str
    """idle, busy, started or suspended."""
    last_heartbeat: float | None
    """Seconds since 1970."""


def job_status(redis: Redis, job_id: str) -> JobStatus | None:
    """One job, or None if it is not known (any more), or unreadable."""
    try:
        job = Job.fetch(job_id, connection=redis, serializer=JSONSerializer)
        arguments = job.args
        state = str(job.get_status(refresh=False).value)
        error = _error_of(job, state)
    except NoSuchJobError:
        return None
    except Exception as problem:  # RQ raises whatever a malformed record makes it raise
        logger.warning("job %s cannot be read (%s); leaving it out", job_id, type(problem).__name__)
        return None
    return JobStatus(
        queue=job.origin,
        id=job.id,
        kind=(job.func_name or "").rpartition(".")[2],
        state=state,
        project=str(arguments[0]) if arguments else "",
        progress={name: value for name, value in job.meta.items() if name != PROBLEM},
        enqueued_at=_seconds(job.enqueued_at),
        started_at=_seconds(job.started_at),
        ended_at=_seconds(job.ended_at),
        error=error,
    )


def worker_statuses(redis: Redis) -> list[WorkerStatus]:
    """Worker processes, by name."""
    found = []
    for key in get_keys(connection=redis):
        fields = {as_text(k): as_text(v) for k, v in cast("dict[Any, Any]", redis.hgetall(key)).items()}
        if fields and "death" not in fields:
            found.append(
                WorkerStatus(
                    name=key.removeprefix("rq:worker:"),
                    queues=tuple(filter(None, (fields.get("queues") or "").split(","))),
                    state=fields.get("state") or "unknown",
                    last_heartbeat=_moment(fields.get("last_heartbeat")),
                )
            )
    return sorted(found, key=lambda worker: worker.name)


def last_line(text: str) -> str:
    """The last line with anything on it, at most 500 characters; empty if there is none."""
    lines: Iterable[str] = (line.strip() for line in reversed(text.splitlines()))
    return next((line[:500] for line in lines if line), "")


def as_text(value: Any) -> str | None:
    """What Redis sent, as text."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _error_of(job: Job, state: str) -> str:
    if state == "failed":
        result = job.latest_result()
        return last_line((result.exc_string if result is not None else None) or "")
    return str(job.meta.get(PROBLEM, "")) if state in WAITING else ""


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _moment(text: str | None) -> float | None:
    try:
        return None if text is None else datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None
