"""`pal sync`: what Redis held is put back, from Label Studio and from the artefact folder.

Label Studio is the record of the answers on live desks. Those of a retired desk, whose Label Studio is gone, are in the
folder of the last model version alone. What leads decided by hand is in the artefact folder.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pal_backend.queues import Queues
from pal_backend.reconcile import Decision, Reconciler, Report
from pal_backend.store.stores import Stores


@dataclass(frozen=True)
class Recovery:
    """What a sync did."""

    restored: int
    """Annotations of retired desks, and leads' decisions, that came back from the artefact folder."""
    report: Report
    """What Label Studio had that we lacked, and the other way round."""

    def to_json(self) -> dict[str, Any]:
        """For ``pal sync --json``."""
        return {"restored": self.restored, **asdict(self.report)}


def sync(name: str, stores: Stores, reconciler: Reconciler, queues: Queues, decision: Decision) -> Recovery:
    """Put back what is missing, then let the workers learn, look at the pool and post.

    Args:
        name: the project.
        stores: where it is kept.
        reconciler: compares with Label Studio.
        queues: the workers' jobs.
        decision: about annotations that vanished all at once.

    Raises:
        NotFoundError: neither Redis nor the artefact folder knows the project.
        UnavailableError: Redis or Label Studio cannot be reached.
    """
    restored = restore(name, stores)
    decided = redecide(name, stores, reconciler.clock())
    project = stores.projects.get(name)
    reconciler.hear_setups(project)
    report = reconciler.reconcile(project, decision)
    queues.ingest(name)
    queues.learn(name)
    queues.refill(name)
    return Recovery(restored + decided, report)


def restore(name: str, stores: Stores) -> int:
    """Put the project itself back, and the annotations of its retired desks; returns how many of these were missing.

    Raises:
        NotFoundError: neither Redis nor the artefact folder knows the project.
    """
    project = stores.projects.get(name)
    stores.projects.save(project)
    retired = {desk.name for desk in project.desks if desk.retired}
    versions = stores.versions(name)
    kept = versions.list() if retired else []
    if not kept:
        return 0
    # Idempotent: tombstones block what was withdrawn, and the newest of each annotation wins.
    found = [annotation for annotation in versions.answers_of(kept[-1]["id"]) if annotation.key.desk in retired]
    return len(stores.answers(name).put(found))


def redecide(name: str, stores: Stores, now: float) -> int:
    """Send the decisions that the answers lack, and those undone that still stand in them, to whoever learns; returns how
    many these were.
    """
    answers, decisions = stores.answers(name), stores.decisions(name)
    kept = decisions.restored()
    standing = answers.keys()
    dead = {withdrawn.key for withdrawn in answers.withdrawn([decision.key for decision in kept])}
    off = [
        decision.number
        for decision in kept
        if (decision.undone_at is None) != (decision.key in standing)
        and not (decision.undone_at is None and decision.key in dead)
    ]
    if off:
        decisions.send(off, now)
    return len(off)
