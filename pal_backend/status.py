"""Where a project stands, as ``pal status`` and ``/metrics`` show it. Looking changes nothing."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pal_backend.choosing import Chosen, Operator, chosen
from pal_backend.core.paying import Effort, Outlook, Person
from pal_backend.core.quality import Quality
from pal_backend.core.recipes import pretext_of
from pal_backend.desk_advice import Advice, advise
from pal_backend.errors import InputError
from pal_backend.pool_index import load_near, load_quarantine, load_withdrawn
from pal_backend.queues import Queues
from pal_backend.store.projects import Desk, Project
from pal_backend.store.revisions import Revision
from pal_backend.store.stores import Stores

QUARANTINE_SHOWN = 100


@dataclass(frozen=True)
class DeskStatus:
    """A desk and how many questions wait on it."""

    name: str
    kind: str
    label_studio_project: int
    prelabel: bool
    retired: bool
    open_questions: int
    seconds_per_question: float | None = None
    """Expected of a person; None before a revision has looked."""
    seconds_per_answer: float | None = None
    """The same for one answered pair, of which a screen gives several; by it desks compare."""
    timed_answers: int = 0
    """Questions of this kind whose ``lead_time`` the seconds rest on; 0: they are assumed."""
    gain_per_second: float | None = None
    """Expected of the next questions of this kind; None unless there is a desk of each kind."""


@dataclass(frozen=True)
class Asks:
    """How questions are chosen."""

    strategy: str
    pretext: str
    """The task whose losses recipe or strategy ask for; "" for none."""
    stands_in: bool
    """Whether the version in use lacks them."""
    open_questions: int
    """Least number of open questions on a desk; three for each active annotator when that is more."""
    open_by: str
    """Who said so: "this project" or "PAL_OPEN_QUESTIONS"."""
    paused_at: float | None
    """Since when no new questions are asked, in seconds since 1970; None: they are."""

    @property
    def sentence(self) -> str:
        """The same in words."""
        if not self.pretext:
            return self.strategy
        if not self.stands_in:
            return f"{self.strategy}, with the losses of the pretext task {self.pretext} at hand"
        return (
            f"{self.strategy}; the version in use has no losses of the pretext task {self.pretext}, what a PCA of the features "
            "leaves out stands in until the next training"
        )


@dataclass(frozen=True)
class Status:
    """Where a project stands; plain values, ready to be shown as JSON."""

    project: str
    desks: tuple[DeskStatus, ...]
    annotations: int
    events_waiting: bool
    learning: str | None
    """Who holds the sitting, or None."""
    revision: int | None
    groups: int
    contradictions: int
    published_at: float | None
    median_seconds_webhook_to_revision: float | None
    version: str | None
    versions_refused: Mapping[str, str]
    training: str
    """What the last training is doing, in a line."""
    jobs_waiting: Mapping[str, int]
    """Queue name to jobs that wait in it, of all projects."""
    workers: int
    """Worker processes, of all queues."""
    held: str | None
    """Why annotations that vanished are not withdrawn yet."""
    quarantined: int
    quarantine: tuple[tuple[str, str], ...]
    """The first hundred files set aside, each with the reason."""
    samples: int = 0
    """Samples of the pool, those that it has no more among them."""
    withdrawn: int = 0
    """Samples that the pool has no more: their answers stand, nobody is asked about them."""
    near_duplicates: int = 0
    """Samples that are nearly the same as another one of the pool, and are asked about last."""
    advice: Advice | None = None
    """Which desks pay now; None unless there is a desk of each kind."""
    annotators: tuple[Person, ...] = ()
    """Everybody who answered, by Label Studio's user id."""
    quality: Quality | None = None
    """Accuracy, what the next answers are worth, and the stopping rules; None before a revision has looked."""
    learns: Chosen | None = None
    """Recipe, backbone, weights and tuning of the next training, and who chose them."""
    asks: Asks | None = None


def status_of(project: Project, stores: Stores, queues: Queues, operator: Operator) -> Status:
    """Read where a project stands.

    Raises:
        InputError: something that is kept about it is malformed.
    """
    name = project.name
    revisions, versions, answers = stores.revisions(name), stores.versions(name), stores.answers(name)
    revision, latencies = revisions.current(), revisions.latencies()
    held, quarantine = answers.held(), load_quarantine(stores.artefacts, name)
    effort = Effort() if revision is None else revision.effort
    version = versions.current()
    learns, asks = asks_of(project, stores, operator)
    return Status(
        project=name,
        desks=tuple(_desk_status(name, desk, stores, effort.outlooks.get(desk.kind)) for desk in project.desks),
        annotations=answers.count(),
        events_waiting=stores.events(name).pending(),
        learning=stores.sittings(name).holder(),
        revision=None if revision is None else revision.number,
        groups=0 if revision is None else revision.groups,
        contradictions=0 if revision is None else len(revision.contradictions),
        published_at=None if revision is None else revision.published_at,
        median_seconds_webhook_to_revision=statistics.median(latencies) if latencies else None,
        version=version,
        versions_refused=versions.refused(),
        training=queues.training_progress(name),
        jobs_waiting=queues.depths(),
        workers=len(queues.workers()),
        held=None if held is None else held.reason,
        quarantined=len(quarantine),
        quarantine=tuple((one.path, one.reason) for one in quarantine[:QUARANTINE_SHOWN]),
        samples=0 if version is None else int(versions.describe(version)["samples"]),
        withdrawn=len(load_withdrawn(stores.artefacts, name)),
        near_duplicates=len(load_near(stores.artefacts, name)),
        advice=advise(project.desks, effort),
        annotators=effort.people,
        quality=_quality(name, revision),
        learns=learns,
        asks=asks,
    )


def asks_of(project: Project, stores: Stores, operator: Operator) -> tuple[Chosen, Asks]:
    """How a project learns, and how it asks, as it counts now.

    Raises:
        InputError: something that is kept about it is malformed.
    """
    learns, versions = chosen(project, stores, operator), stores.versions(project.name)
    version = versions.current()
    metrics: Mapping[str, Any] = {} if version is None else versions.describe(version)["metrics"]
    pretext = pretext_of(learns.choice.recipe, project.strategy)
    asks = Asks(
        strategy=project.strategy,
        pretext=pretext,
        stands_in=bool(pretext) and metrics.get("pretext") != pretext,
        open_questions=project.open_questions or operator.open_questions,
        open_by="this project" if project.open_questions else "PAL_OPEN_QUESTIONS",
        paused_at=project.paused_at or None,
    )
    return learns, asks


def _quality(project: str, revision: Revision | None) -> Quality | None:
    try:
        return None if revision is None else Quality.from_json(revision.posterior.get("quality"))
    except ValueError as problem:
        raise InputError(
            f"revision {revision and revision.number} of {project}: {problem}; publish a new one"
        ) from None


def _desk_status(project: str, desk: Desk, stores: Stores, outlook: Outlook | None) -> DeskStatus:
    found = DeskStatus(
        name=desk.name,
        kind=str(desk.kind),
        label_studio_project=desk.project_id,
        prelabel=desk.prelabel,
        retired=desk.retired,
        open_questions=len(stores.questions(project).open(desk.name)),
    )
    if outlook is None or desk.retired:
        return found
    return replace(
        found,
        seconds_per_question=outlook.seconds,
        seconds_per_answer=outlook.seconds_per_answer,
        timed_answers=outlook.timed,
        gain_per_second=outlook.gain_per_second,
    )
