"""Jobs: enqueued once, as JSON, under names that say what they make."""

from __future__ import annotations

import importlib
import json
import re
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import Redis
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty

from pal_backend import queues as module
from pal_backend.errors import InputError, UnavailableError
from pal_backend.queues import (
    DESK,
    EXPORT,
    LEARN,
    NAMES,
    PATHS,
    RULES,
    TRAIN,
    Queues,
    patient,
    remember_problem,
    report_progress,
)
from pal_backend.store.sittings import Sittings


def succeed(project: str, *_: Any) -> dict[str, Any]:
    """A job that notes its progress and ends well."""
    report_progress({"epoch": 3, "loss": 0.5})
    return {"project": project}


def fail(project: str, *_: Any) -> None:
    """A job that goes wrong."""
    raise ValueError(f"no {project}\nreally none")


def refuse(project: str, kind: str) -> None:
    """A job that will never go well."""
    with patient():
        raise InputError(f"{kind} is not a kind of {project}")


def miss(project: str, *_: Any) -> None:
    """A job that may go well later."""
    with patient():
        raise UnavailableError("Label Studio is not there")


def ask_again(project: str, url: str) -> None:
    """A job that enqueues its like, once, while it runs."""
    if url:
        Queues(url).reconcile(project)


class UnaskedWorker(SimpleWorker):
    """Nobody sends it commands; to stop listening for them takes RQ a second whenever its thread is late."""

    def subscribe(self) -> None:
        """Not."""

    def unsubscribe(self) -> None:
        """Nothing to stop."""


@pytest.fixture
def queues(redis_url: str) -> Queues:
    """Queues of an empty database."""
    return Queues(redis_url)


@pytest.fixture
def run(redis_url: str) -> Callable[..., None]:
    """Works off what waits in all queues, in this process."""

    def work() -> None:
        with Redis.from_url(redis_url) as connection:
            found = [Queue(name, connection=connection, serializer=JSONSerializer) for name in NAMES]
            worker = UnaskedWorker(
                found, connection=connection, serializer=JSONSerializer, exception_handlers=[remember_problem]
            )
            worker.death_penalty_class = TimerDeathPenalty
            worker.work(burst=True, logging_level="CRITICAL")

    return work


def serve(monkeypatch: pytest.MonkeyPatch, kind: str, job: Callable[..., Any]) -> None:
    """Let jobs of a kind be done by a function of this file."""
    monkeypatch.setitem(PATHS, kind, f"{__name__}.{job.__name__}")


ENQUEUE: dict[str, Callable[[Queues], str]] = {
    "learn": lambda queues: queues.learn("digits-2"),
    "refill": lambda queues: queues.refill("digits-2"),
    "reconcile": lambda queues: queues.reconcile("digits-2", "due"),
    "train": lambda queues: queues.train("digits-2", 40, "enough"),
    "ingest": lambda queues: queues.ingest("digits-2"),
    "draw": lambda queues: queues.draw("digits-2", "v0000"),
    "export": lambda queues: queues.export("digits-2", "csv"),
    "push": lambda queues: queues.push("digits-2", None),
}


@pytest.mark.parametrize("kind", ENQUEUE)
def test_a_job_goes_to_its_queue_with_json_arguments(queues: Queues, redis_url: str, kind: str) -> None:
    """Queue, id, path, project and arguments are as the rules say, and nothing stored is a pickle."""
    job_id = ENQUEUE[kind](queues)
    assert re.fullmatch(rf"{kind}-digits-2[A-Za-z0-9_-]*", job_id)
    [found] = queues.jobs()
    assert (found.id, found.queue, found.kind, found.project, found.state) == (
        job_id,
        RULES[kind].queue,
        kind,
        "digits-2",
        "queued",
    )
    assert queues.depths() == {name: int(name == RULES[kind].queue) for name in NAMES}
    with Redis.from_url(redis_url) as client:
        path, _, arguments, _ = json.loads(zlib.decompress(client.hget(f"rq:job:{job_id}", "data")))
    assert path == PATHS[kind] and arguments[0] == "digits-2"


@pytest.mark.parametrize("kind", ENQUEUE)
def test_asking_twice_makes_one_job(queues: Queues, kind: str) -> None:
    """While a job waits the same id is returned and nothing is added; another project has a job of its own."""
    first = ENQUEUE[kind](queues)
    assert ENQUEUE[kind](queues) == first
    assert sum(queues.depths().values()) == 1
    assert queues.refill("other") != first and queues.reconcile("other") != first


def test_fifty_askers_at_once_make_one_job(redis_url: str) -> None:
    """The check and the enqueueing are one transaction."""
    with ThreadPoolExecutor(16) as pool:
        ids = set(pool.map(lambda _: Queues(redis_url).refill("digits"), range(50)))
    assert len(ids) == 1
    assert Queues(redis_url).depths()[DESK] == 1


def test_a_map_that_could_not_be_drawn_is_not_tried_again(
    queues: Queues, run: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would fail every few minutes; the next version gets a job of its own."""
    serve(monkeypatch, "draw", fail)
    monkeypatch.setitem(RULES, "draw", module._Rule(TRAIN, 60, 60, RULES["draw"].busy, retries=(0,)))
    first = queues.draw("birds", "v0000")
    run()
    assert queues.draw("birds", "v0000") == first and queues.depths()[TRAIN] == 0
    assert queues.draw("birds", "v0001") != first and queues.depths()[TRAIN] == 1


@pytest.mark.parametrize("kind", [kind for kind in ENQUEUE if kind != "draw"])
@pytest.mark.parametrize("end", [succeed, fail])
def test_a_job_that_ended_may_be_asked_for_again(
    queues: Queues, run: Callable[[], None], monkeypatch: pytest.MonkeyPatch, kind: str, end: Callable[..., Any]
) -> None:
    """Finished or failed, an id is not taken: the new job runs, with neither result nor time limit of the old one."""
    serve(monkeypatch, kind, end)
    monkeypatch.setitem(RULES, kind, module._Rule(RULES[kind].queue, 60, 60, RULES[kind].busy, retries=(0,)))
    first = ENQUEUE[kind](queues)
    run()
    found = queues.job(first)
    assert found is not None and found.state == ("finished" if end is succeed else "failed")
    second = ENQUEUE[kind](queues)
    waiting = queues.job(second)
    assert waiting is not None and (waiting.state, waiting.error) == ("queued", "")
    assert queues._redis.ttl(f"rq:job:{second}") == -1
    serve(monkeypatch, kind, succeed)
    run()
    done = queues.job(second)
    assert done is not None and (done.error == "" or end is fail) and done.ended_at is not None


def test_what_comes_while_a_job_runs_gets_a_run_of_its_own(
    queues: Queues, run: Callable[[], None], redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reconcile asked for during a reconcile is not swallowed: it is queued, and runs afterwards."""
    serve(monkeypatch, "reconcile", ask_again)
    queues.reconcile("digits", redis_url)
    run()
    assert [job.state for job in queues.jobs() if job.id.startswith("reconcile-digits-")] == ["finished", "finished"]


def test_a_training_is_not_asked_for_while_one_waits_or_runs(queues: Queues) -> None:
    """Later revisions do not pile trainings up; the one that waits or runs is named instead."""
    first = queues.train("digits", 200)
    assert first == "train-digits-200"
    assert queues.train("digits", 203) == first
    queues._redis.hset(f"rq:job:{first}", "status", "started")
    assert queues.train("digits", 210) == first
    queues._redis.hset(f"rq:job:{first}", "status", "failed")
    assert queues.train("digits", 220) == "train-digits-220"


def test_exports_with_other_arguments_are_other_jobs(queues: Queues) -> None:
    """The id names what is made, so two kinds can wait at once; the same one waits once, and is found by its kind."""
    first = queues.export("digits", "csv")
    assert queues.export("digits", "jsonl") != first == queues.export("digits", "csv")
    assert queues.depths()[EXPORT] == 2
    assert {kind: job.id for kind, job in queues.exports("digits", ["csv", "card"]).items()} == {"csv": first}


def test_what_no_attempt_mends_is_not_tried_again(
    queues: Queues, run: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong input fails at once; what cannot be reached is tried again later."""
    serve(monkeypatch, "export", refuse)
    serve(monkeypatch, "push", miss)
    queues.export("digits", "csv")
    queues.push("digits", 7)
    run()
    found = queues.exports("digits", ["csv", "push"])
    assert found["csv"].state == "failed" and "not a kind" in found["csv"].error
    assert found["push"].state == "scheduled" and "not there" in found["push"].error


def test_progress_result_and_error_are_told(
    queues: Queues, run: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status page finds how far a job is, and the last line of what went wrong."""
    serve(monkeypatch, "train", succeed)
    serve(monkeypatch, "ingest", fail)
    monkeypatch.setitem(RULES, "ingest", module._Rule(DESK, 60, 60, RULES["ingest"].busy, retries=(0,)))
    train, ingest = queues.train("digits", 1), queues.ingest("digits")
    run()
    jobs = {job.id: job for job in queues.jobs()}
    assert jobs[train].progress == {"epoch": 3, "loss": 0.5}
    assert queues.training_progress("digits") == "finished, epoch 3, loss 0.5"
    assert queues.training_progress("other") == ""
    assert (jobs[ingest].state, jobs[ingest].error) == ("failed", "really none")
    assert jobs[train].started_at and jobs[train].ended_at and jobs[train].enqueued_at


def test_a_job_that_waits_for_its_next_attempt_is_not_doubled(
    queues: Queues, run: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Label Studio away, refills do not pile up: one waits, scheduled, with its error to be seen."""
    serve(monkeypatch, "refill", fail)
    first = queues.refill("digits")
    run()
    found = queues.job(first)
    assert found is not None and (found.state, found.error) == ("scheduled", "really none")
    assert queues.refill("digits") == first
    assert queues.depths()[DESK] == 0 and [job.id for job in queues.jobs()] == [first]


def test_workers_are_listed_while_they_live(queues: Queues, redis_url: str) -> None:
    """Name, queues, state and heartbeat, gone with the worker."""
    assert queues.workers() == []
    with Redis.from_url(redis_url) as connection:
        worker = SimpleWorker(
            [Queue(TRAIN, connection=connection), Queue(DESK, connection=connection)], connection=connection
        )
        worker.register_birth()
        worker.set_state("idle")
        [found] = queues.workers()
        assert (found.name, found.queues, found.state) == (worker.name, (TRAIN, DESK), "idle")
        assert found.last_heartbeat is not None and found.last_heartbeat > 1_600_000_000
        worker.register_death()
    assert queues.workers() == []


def test_looking_does_not_write(
    queues: Queues, redis: Redis, run: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Depths, jobs, workers and progress leave Redis as it was."""
    serve(monkeypatch, "train", succeed)
    queues.train("digits", 1)
    run()
    queues.refill("digits")
    changes = redis.info("persistence")["rdb_changes_since_last_save"]
    assert queues.depths() and queues.jobs() and queues.training_progress("digits")
    assert queues.workers() == [] and queues.waiting_to_learn() == 0
    assert redis.info("persistence")["rdb_changes_since_last_save"] == changes


def test_a_malformed_job_is_left_out_and_replaced(queues: Queues, redis: Redis) -> None:
    """Nonsense under RQ's keys neither hides the other jobs nor blocks an id, and nothing in it is executed."""
    good = queues.refill("digits")
    for number, fields in enumerate([{"data": "\x80\x04nonsense"}, {"x": "y"}, {"data": "[]", "created_at": "never"}]):
        redis.hset(f"rq:job:bad-{number}", mapping=fields)
        redis.rpush("rq:queue:desk", f"bad-{number}")
    redis.hset("rq:job:ingest-digits", mapping={"created_at": "never", "data": "x", "status": "finished"})
    assert [job.id for job in queues.jobs()] == [good]
    assert queues.ingest("digits") == "ingest-digits"
    found = queues.job("ingest-digits")
    assert found is not None and found.state == "queued"


def test_enqueueing_joins_a_text_clients_transaction(queues: Queues, redis: Redis) -> None:
    """The learn job is in RQ's queue only once the caller's own MULTI is executed, and not at all if it is dropped."""
    with redis.pipeline() as pipe:
        pipe.set("mine", "1")
        job_id = queues.learn("digits", pipe)
        assert queues.depths()[LEARN] == 0 and queues.job(job_id) is None
        pipe.reset()
        assert queues.depths()[LEARN] == 0
        pipe.set("mine", "1")
        job_id = queues.learn("digits", pipe)
        pipe.execute()
    assert redis.get("mine") == "1"
    assert queues.depths()[LEARN] == 1 and queues.job(job_id) is not None


def test_the_wake_flag_and_the_job_come_and_go_as_one(queues: Queues, redis: Redis) -> None:
    """A wake either leaves flag and job, or neither."""
    assert Sittings(redis, "digits").wake(lambda pipe: queues.learn("digits", pipe) and None)
    assert redis.exists("pal:digits:wake") and queues.waiting_to_learn() == 1


def test_a_client_that_gives_text_is_refused(redis: Redis) -> None:
    """RQ would fail much later, and oddly."""
    with pytest.raises(ValueError, match="decode_responses"):
        Queues(redis)


def test_progress_outside_a_job_is_ignored() -> None:
    """The same code runs in `pal simulate`, where there is no job."""
    report_progress({"epoch": 1})


def test_every_job_path_leads_to_a_function() -> None:
    """RQ takes a misspelt path at enqueueing and fails only in the worker; here it fails at once."""
    jobs = pytest.importorskip("worker.jobs", exc_type=ImportError)
    for kind, path in PATHS.items():
        place, _, name = path.rpartition(".")
        assert place == jobs.__name__ and callable(getattr(importlib.import_module(place), name)), kind
