"""A learn sitting: holds one project's beliefs in memory, folds in events as they come, publishes revisions.

It never talks to Label Studio: what is to be asked is journalled, and the refill job posts it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from pal_backend import wire
from pal_backend.core.asking.state import Spared
from pal_backend.core.learner import Learner
from pal_backend.core.neighbours import Space
from pal_backend.core.solver_space import space_with
from pal_backend.core.vocabulary import HOUSE, Annotation, AnnotationKey
from pal_backend.pool_index import load_near, load_withdrawn
from pal_backend.store.answers import Applied
from pal_backend.store.events import StoredEvent
from pal_backend.store.history import Point
from pal_backend.store.imports import Imports
from pal_backend.store.projects import Project
from pal_backend.store.sittings import Lease
from pal_backend.store.version_files import Version
from worker.agenda import Agenda
from worker.bootstrap import Workshop
from worker.efforts import Efforts
from worker.reasons import reasons_of

log = logging.getLogger(__name__)

LEASE_SECONDS = 20
READ_COUNT = 500
BLOCK_MS = 500
LEAST_PAUSE = 0.1
MOST_PAUSE = 3.0
LOOK_SECONDS = 5.0
"""How often a sitting looks whether the pool has lost samples or gained near duplicates."""
PUBLISH_SHARE = 5.0
"""Publishing takes at most one fifth of the time: after a publish of t seconds the next waits 5 t (0.1 to 3 s)."""


class Sitting:
    """One sitting over one project, under a lease.

    Args:
        project: whose answers are learned from.
        shop: stores, queues, clock, settings.
        lease: proof that nobody else publishes revisions of this project.
        should_stop: asked between steps.
    """

    def __init__(self, project: Project, shop: Workshop, lease: Lease, should_stop: Callable[[], bool]) -> None:
        self._project = project
        self._space = space_with(project.opinion)
        self._shop = shop
        self._clock = shop.clock
        self._lease = lease
        self._should_stop = should_stop
        stores = shop.stores
        self._events = stores.events(project.name)
        self._answers = stores.answers(project.name)
        self._sittings = stores.sittings(project.name)
        self._revisions = stores.revisions(project.name)
        self._history = stores.history(project.name)
        self._versions = stores.versions(project.name)
        self._decisions = stores.decisions(project.name)
        self._reasons = stores.reasons(project.name)
        self._imports = Imports(stores.artefacts, project.name)
        self._agenda = Agenda(project, shop)
        self._efforts = Efforts(project)
        self._waiting: list[float] = []
        self._renewed_at = self._published_at = self._clock()
        self._pause = 0.0
        self._dirty = True

    def run(self) -> int:
        """Learn until nothing has come for a while; returns the number of events folded in."""
        self._open()
        folded, idle_since = 0, self._clock()
        while not self._should_stop():
            if not self._keep_lease():
                log.info("%s: the lease ran out; leaving it to the next sitting", self._project.name)
                return folded
            self._follow_project()
            self._follow_version()
            self._follow_pool()
            batch = self._events.read(self._events.cursor(), READ_COUNT, BLOCK_MS)
            if batch:
                self._fold(batch)
                folded, idle_since = folded + len(batch), self._clock()
            if self._dirty and self._clock() - self._published_at >= self._pause:
                self._publish()
            idle = self._clock() - idle_since
            if not self._dirty and (idle > self._shop.settings.idle_seconds or (idle > 1 and self._others_wait())):
                break
        if self._dirty:
            self._publish()
        self._events.trim()
        return folded

    def _open(self) -> None:
        version = self._versions.load(self._versions.current_or_fail())
        self._version = version.id
        self._looked_at = float("-inf")
        self._learner = Learner(self._seen(version), strategy=self._project.strategy, seed=self._project.seed)
        annotations = self._answers.all()
        self._learner.set_answers(answer for annotation in annotations for answer in annotation.answers)
        people = _of_people(annotations)
        self._agenda.meet(people)
        self._efforts.note(people)

    def _follow_version(self) -> None:
        """Move to the model version that training has published meanwhile, keeping answers and groups."""
        current = self._versions.current_or_fail()
        if current == self._version:
            return
        version = self._versions.load(current)
        self._learner.move_to(self._seen(version))
        self._version, self._dirty = version.id, True

    def _follow_pool(self) -> None:
        """Ask no more about what was withdrawn from the pool, and last about near duplicates."""
        if self._clock() - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = self._clock()
        artefacts, name = self._shop.stores.artefacts, self._project.name
        twins = frozenset(load_near(artefacts, name))
        if self._learner.spare(Spared(load_withdrawn(artefacts, name), twins)):
            self._dirty = True

    def _follow_project(self) -> None:
        """Ask as the project says now: somebody may have paused it, or chosen another strategy or number of questions."""
        now, before = self._shop.stores.projects.get(self._project.name), self._agenda.project
        if now == before:
            return
        if now.strategy != before.strategy:
            self._learner.ask_by(now.strategy)
        self._agenda.project, self._dirty = now, True

    def _seen(self, version: Version) -> Space:
        space = self._space(version.sample_ids, version.features, difficulty=version.difficulty)
        self._reasons.keep_neighbours(version.id, space.graph.indptr, space.graph.indices, space.graph.data)
        return space

    def _keep_lease(self) -> bool:
        """Whether the lease is still ours."""
        if self._clock() - self._renewed_at <= LEASE_SECONDS / 4:
            return True
        self._renewed_at = self._clock()
        return self._sittings.renew(self._lease)

    def _others_wait(self) -> bool:
        return self._shop.queues.waiting_to_learn() > 0

    def _fold(self, batch: Sequence[StoredEvent]) -> None:
        """Answers, tombstones and cursor are committed together; beliefs follow what was committed."""
        put, withdrawn = self._sort(batch)
        # Before the cursor passes their event: killed in between, they are followed again.
        imported = self._imports.follow(self._answers) if _names_imports(batch) else Applied([], [])
        changed, gone = self._answers.apply(put=put, withdraw=withdrawn, cursor=batch[-1].id, events=self._events)
        changed, gone = [*imported.put, *changed], [*imported.withdrawn, *gone]
        # An update may take back every verdict: the learner must forget the old ones.
        emptied = [annotation.key for annotation in changed if not annotation.answers]
        self._learner.update([answer for annotation in changed for answer in annotation.answers], [*gone, *emptied])
        people, taken_back = _of_people(changed), [key for key in gone if key.desk != HOUSE]
        self._agenda.answered(people)
        self._agenda.unanswered(taken_back)
        self._efforts.note(people)
        self._efforts.forget(taken_back)
        self._waiting += [
            stored.received_at for stored in batch if isinstance(stored.event, wire.Submitted | wire.Deleted)
        ]
        self._dirty = self._dirty or bool(changed or gone or self._waiting)

    def _sort(self, batch: Sequence[StoredEvent]) -> tuple[list[Annotation], list[AnnotationKey]]:
        put: list[Annotation] = []
        withdrawn: list[AnnotationKey] = []
        for stored in batch:
            match stored.event:
                case wire.Submitted(submissions):
                    for submission in submissions:
                        annotation = self._agenda.read(stored.desk, submission)
                        if annotation is not None:
                            put.append(annotation)
                case wire.Deleted(annotations):
                    withdrawn += [AnnotationKey(stored.desk, number) for number in annotations]
                case wire.Decided(numbers):
                    found = [self._decisions.get(number) for number in numbers]
                    put += [one.annotation() for one in found if one is not None and one.undone_at is None]
                    withdrawn += [one.key for one in found if one is not None and one.undone_at is not None]
                case wire.AskedAgain(asked):
                    self._agenda.ask_again(asked, self._learner)
                    self._dirty = True  # so that it is planned with, and posted
                case wire.TrainingRequested():
                    self._shop.queues.train(self._project.name, self._answers.count(), "asked for in Label Studio")
                case wire.TasksDeleted() | wire.ReconcileRequested():
                    self._shop.queues.reconcile(self._project.name, "an event without its content")
                case _:
                    pass
        return put, withdrawn

    def _publish(self) -> None:
        started = self._clock()
        waiting, self._waiting = self._waiting, []
        posterior = replace(self._learner.posterior(), quality=self._learner.quality())
        contradictions = self._learner.contradictions()
        effort = self._efforts.now(self._learner)
        annotations, answers = self._answers.count(), self._learner.answers
        self._revisions.publish(
            posterior,
            version=self._version,
            answers=annotations,
            contradictions=[list(pair) for found in contradictions for pair in found.pairs],
            lease=self._lease,
            cursor=self._events.cursor(),
            now=started,
            latencies=[self._clock() - received for received in waiting],
            effort=effort,
            more=reasons_of(self._learner, contradictions),
        )
        point = Point(annotations, answers, len(posterior.groups), self._version, started)
        self._history.note(point.judged(posterior.quality))
        self._agenda.plan(self._learner, posterior)
        self._agenda.ask_for_training(posterior)
        self._published_at, self._dirty = self._clock(), False
        self._pause = min(MOST_PAUSE, max(LEAST_PAUSE, PUBLISH_SHARE * (self._published_at - started)))


def _of_people(annotations: Sequence[Annotation]) -> list[Annotation]:
    """Without leads' decisions, which are no annotator's."""
    return [annotation for annotation in annotations if annotation.key.desk != HOUSE]


def _names_imports(batch: Sequence[StoredEvent]) -> bool:
    return any(isinstance(stored.event, wire.ImportsChanged) for stored in batch)
