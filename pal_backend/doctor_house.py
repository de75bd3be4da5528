"""Checks of what is ours: the state folder, Redis, workers, jobs, and whether learning keeps up."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pal_backend import queues
from pal_backend.credentials import FILE
from pal_backend.doctor_parts import Check, Finding, House, Outcome, bad, good, look, unknown
from pal_backend.errors import UnavailableError
from pal_backend.store.events import StoredEvent
from pal_backend.store.projects import Project

PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
PATIENCE_SECONDS = 60.0
"""An event is folded in within a second or two; after a minute nobody is at it."""
FAILURE_SECONDS = 3600.0

WHAT_STOPS = {
    queues.LEARN: "answers are kept, but nothing is learned from them",
    queues.DESK: "no questions are posted, and missed webhooks are not made up for",
    queues.TRAIN: "no new model version is made",
    queues.EXPORT: "nothing that pages are asked for is made to be taken home",
}


def home(scene: House) -> Outcome:
    """The state folder holds secrets: nobody else may read it."""
    folder = scene.settings.home
    secrets_file = folder / FILE
    if not folder.exists():
        return unknown(f"The state folder {folder} is not there yet; `pal init` or `pal demo` makes it.", "pal init")
    for path, most in ((folder, PRIVATE_FOLDER), (secrets_file, PRIVATE_FILE)):
        if path.exists() and _mode(path) & ~most:
            return bad(
                f"{path} can be read by other accounts of this machine (mode {_mode(path):04o}, expected {most:04o}).",
                f"chmod {most:o} {path}",
            )
    return good(f"{folder} is closed to other accounts.")


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def redis(scene: House) -> Outcome:
    """Redis answers."""
    try:
        scene.stores.ping()
    except UnavailableError as problem:
        return bad(
            f"Redis cannot be reached: {problem}",
            f"start Redis, or set REDIS_URL to where it is (now {_without_password(scene.settings.redis_url)})",
        )
    return good("Redis answers.")


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _info(scene: House, section: str) -> dict[str, Any]:
    return scene.stores.redis.info(section)


def redis_append_only(scene: House) -> Outcome:
    """What Redis was told survives its restart."""
    found = _info(scene, "persistence")
    if "aof_enabled" not in found:
        return unknown("Redis does not say whether its append-only file is on.", "see that `appendonly yes` is set")
    if not found["aof_enabled"]:
        return bad(
            "Redis' append-only file is off: after a restart of Redis events and answers have to come from `pal sync`.",
            "redis-cli CONFIG SET appendonly yes, and `appendonly yes` in its configuration",
        )
    if found.get("aof_last_write_status", "ok") != "ok":
        return bad("Redis could not write its append-only file.", "see that Redis' disk has room and may be written")
    return good("Redis' append-only file is on.")


def redis_eviction(scene: House) -> Outcome:
    """Redis throws nothing away when its memory is full."""
    found = _info(scene, "memory")
    policy = str(found.get("maxmemory_policy", "noeviction"))
    if int(found.get("maxmemory", 0)) and policy != "noeviction":
        return bad(
            f"Redis throws keys away when its memory is full (maxmemory-policy {policy}), answers among them.",
            "redis-cli CONFIG SET maxmemory-policy noeviction, and the same in its configuration",
        )
    return good("Redis throws nothing away.")


def failed_jobs(scene: House) -> Outcome:
    """Jobs that failed for good, lately: RQ lists a failure for a week, and later ones may have gone well."""
    since = scene.clock() - FAILURE_SECONDS
    failed = [job for job in scene.queues.jobs() if job.state == "failed" and (job.ended_at or 0.0) >= since]
    if not failed:
        return good("No job has failed within the last hour.")
    last = max(failed, key=lambda job: job.ended_at or 0.0)
    return bad(
        f"{len(failed)} job{'s have' if len(failed) > 1 else ' has'} failed within the last hour, the last one "
        f"{last.kind} of {last.project or 'no project'}: {last.error or 'no reason kept'}.",
        f"mend what it says (the worker's log has more), then run `pal sync {last.project}`".rstrip(),
    )


def _worker(queue: str) -> Check[House]:
    def serves(scene: House) -> Outcome:
        """Somebody serves the queue."""
        count = sum(queue in worker.queues for worker in scene.queues.workers())
        if count:
            return good(f"{count} worker{'s' if count > 1 else ''} serve{'' if count > 1 else 's'} the queue {queue}.")
        return bad(f"No worker serves the queue {queue}: {WHAT_STOPS[queue]}.", f"python -m worker --queue {queue}")

    return Check(f"worker-{queue}", serves, ("redis",))


def learning(scene: House) -> Outcome:
    """Events are folded in soon after they came."""
    assert scene.project is not None
    name = scene.project.name
    events = scene.stores.events(name)
    oldest: list[StoredEvent] = events.read(events.cursor(), 1)
    holder = scene.stores.sittings(name).holder()
    held = f"the lease is held by {holder}" if holder else "nobody holds the lease"
    if not oldest:
        return good(f"No event waits to be learned from; {held}.")
    age = scene.clock() - oldest[0].received_at
    if age <= PATIENCE_SECONDS:
        return good(f"An event came {age:.0f} s ago and will be learned from; {held}.")
    mend = (
        f"stop the worker that holds it (host and process: {holder}); the lease ends by itself after 20 s"
        if holder
        else f"see that `python -m worker --queue {queues.LEARN}` runs and what its log says, then run `pal sync {name}`"
    )
    return bad(f"An event has waited for {age:.0f} s to be learned from; {held}.", mend)


def vanished(scene: House) -> Outcome:
    """Annotations that disappeared all at once wait for a person's word."""
    assert scene.project is not None
    held = scene.stores.answers(scene.project.name).held()
    if held is None:
        return good("No answers are held back.")
    return bad(
        f"{len(held.keys)} annotations vanished from Label Studio at once and are still used ({held.reason}).",
        f"bring them back in Label Studio, or run `pal sync {scene.project.name} --accept-deletions` or `--keep`",
    )


def version(scene: House) -> Outcome:
    """There is a model version to ask questions with."""
    assert scene.project is not None
    current = scene.stores.versions(scene.project.name).current()
    if current is None:
        return bad(
            "There is no model version yet, so no question can be chosen.",
            f"pal init {scene.project.name} again, with a worker on the queue {queues.DESK}",
        )
    return good(f"Model version {current} is in use.")


CHECKS = (
    Check("home", home),
    Check("redis", redis),
    Check("redis-append-only", redis_append_only, ("redis",)),
    Check("redis-eviction", redis_eviction, ("redis",)),
    *(_worker(queue) for queue in WHAT_STOPS),
    Check("failed-jobs", failed_jobs, ("redis",)),
)
PROJECT_CHECKS = (
    Check("version", version, ("redis",)),
    Check("learning", learning, ("redis",)),
    Check("vanished", vanished, ("redis",)),
)


def look_around(house: House, project: Project, check_seconds: float) -> list[Finding]:
    """What can be said of the installation and a project without a call to Label Studio, as the web process may."""
    found = look(CHECKS, house, "", {}, check_seconds)
    came_out = {finding.check: finding.ok for finding in found}
    return found + look(PROJECT_CHECKS, house.at(project), project.name, came_out, check_seconds)
