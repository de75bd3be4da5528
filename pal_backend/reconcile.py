"""Label Studio's annotations against ours: what webhooks missed is repaired (they are never sent twice).

Differences go through the event stream, so that the learn sitting stays the only writer of answers. What is not believed
at once is that many annotations vanished: tasks or a project may have been deleted by mistake, so nothing is withdrawn
until a person decides (`pal sync --accept-deletions` or `pal sync --keep`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from pal_backend import wire
from pal_backend.core.vocabulary import Annotation, AnnotationKey
from pal_backend.errors import InputError, NotFoundError
from pal_backend.label_studio import LabelStudio
from pal_backend.label_studio_values import RemoteTask
from pal_backend.store.kept import Kept
from pal_backend.store.projects import Desk, Project
from pal_backend.store.questions import PostedQuestion, State
from pal_backend.store.stores import Stores

logger = logging.getLogger(__name__)

MOST_VANISHED = 10
MOST_VANISHED_SHARE = 0.1
"""More than the greater of the two, of one desk at once, is held."""
CHUNK = 100
"""Annotations in one event."""


class Decision(StrEnum):
    """What a person decided about annotations that vanished all at once."""

    WAIT = "wait"
    """Nothing yet: hold and report them."""
    ACCEPT = "accept"
    """They were deleted on purpose: withdraw them."""
    KEEP = "keep"
    """They were lost: our answers stand."""


@dataclass
class Report:
    """What one run found; counts of annotations unless said otherwise."""

    read: int = 0
    """In Label Studio, on questions of ours."""
    added: int = 0
    updated: int = 0
    withdrawn: int = 0
    held: int = 0
    kept: int = 0
    """Stand by decision."""
    unreadable: int = 0
    restored: int = 0
    """Questions taken into the journal again."""
    lost_questions: int = 0
    """Open questions whose task is gone."""
    reasons: list[str] = field(default_factory=list)
    """Why something is held."""

    @property
    def changed(self) -> bool:
        """Whether there is something to learn from."""
        return bool(self.added or self.updated or self.withdrawn or self.lost_questions)

    def to_json(self) -> dict[str, Any]:
        """For the job's result."""
        return asdict(self)


@dataclass(frozen=True)
class Difference:
    """One annotation that is not the same on both sides."""

    key: AnnotationKey
    what: str
    """missing here, gone there, or other content."""


@dataclass(frozen=True)
class Reconciler:
    """What a reconcile works with; ``clock`` gives seconds since the epoch."""

    stores: Stores
    label_studio: LabelStudio
    clock: Callable[[], float]

    def reconcile(self, project: Project, decision: Decision = Decision.WAIT) -> Report:
        """Compare every live desk and send the differences through the event stream.

        Raises:
            UnavailableError: Label Studio cannot be reached; nothing was withdrawn because of that.
            AccessError: the token is wrong, or the account may not.
        """
        report, held = Report(), []
        for desk in project.desks:
            if not desk.retired:
                held += _Comparison(self, project, desk, report, decision).run()
        answers = self.stores.answers(project.name)
        if held:
            answers.hold(held, "; ".join(report.reasons))
        elif answers.held() is not None:
            answers.release()
        return report

    def hear_setups(self, project: Project) -> None:
        """Let Label Studio call ``/setup`` of every live desk, as it does before it lists ML backends: what their extra
        parameters ask for comes back.

        Raises:
            UnavailableError: Label Studio cannot be reached.
        """
        for desk in project.desks:
            if not desk.retired:
                self.label_studio.backends(desk.project_id)

    def differences(self, project: Project) -> list[Difference]:
        """How our answers differ from Label Studio's annotations; none when every one is the same on both sides.

        Events that were not folded in yet count as differences; annotations that stand by decision do not.
        """
        ours = {annotation.key: annotation for annotation in self.stores.answers(project.name).all()}
        live = {desk.name for desk in project.desks if not desk.retired}
        kept = Kept(self.stores.redis, project.name).all()
        theirs: dict[AnnotationKey, Annotation] = {}
        for desk in project.desks:
            if desk.name in live:
                theirs |= {a.key: a for a in _Comparison(self, project, desk, Report(), Decision.WAIT).annotations()}
        missing = [Difference(key, "missing here") for key in theirs.keys() - ours.keys()]
        other = [Difference(key, "other content") for key in theirs.keys() & ours.keys() if theirs[key] != ours[key]]
        gone = [Difference(key, "gone there") for key in ours.keys() - theirs.keys() - kept if key.desk in live]
        return sorted([*missing, *other, *gone], key=lambda difference: difference.key)


@dataclass
class _Comparison:
    """One desk, once."""

    reconciler: Reconciler
    project: Project
    desk: Desk
    report: Report
    decision: Decision

    def __post_init__(self) -> None:
        stores, name = self.reconciler.stores, self.project.name
        self._label_studio = self.reconciler.label_studio
        self._events = stores.events(name)
        self._answers = stores.answers(name)
        self._questions = stores.questions(name)
        self._kept = Kept(stores.redis, name)
        self._known_questions = {posted.id: posted for posted in self._questions.all()}
        self._by_task = {p.task: p for p in self._known_questions.values() if p.desk == self.desk.name}
        self._present: set[AnnotationKey] = set()
        self._tasks: set[int] = set()

    def run(self) -> list[AnnotationKey]:
        """Send the differences; returns what is held."""
        # Taken before anything is read from Label Studio: an annotation made meanwhile cannot look vanished.
        known = {key: at for key, at in self._answers.keys().items() if key.desk == self.desk.name}
        waiting = [posted for posted in self._questions.open(self.desk.name) if posted.task is not None]
        try:
            self._send_news(known)
        except NotFoundError as problem:
            return self._vanished(sorted(known.keys() - self._kept.all()), f"{problem}", gone=True)
        lost = sorted(known.keys() - self._present - self._kept.all())
        self._close_lost([posted for posted in waiting if posted.task not in self._tasks])
        limit = max(MOST_VANISHED, MOST_VANISHED_SHARE * len(known))
        if len(lost) <= limit and self.decision is not Decision.KEEP:
            self._withdraw([key for key in lost if not self._label_studio.annotation_exists(key.number)])
            return []
        return self._vanished(
            lost, f"{len(lost)} of {len(known)} annotations vanished from desk {self.desk.name} at once"
        )

    # --- what is new

    def _send_news(self, known: dict[AnnotationKey, int]) -> None:
        news: list[wire.Submission] = []
        for submission in self._submissions():
            key = AnnotationKey(self.desk.name, submission.annotation)
            if key not in known or submission.updated_at > known[key]:
                news.append(submission)
        dead = {w.key for w in self._answers.withdrawn(AnnotationKey(self.desk.name, s.annotation) for s in news)}
        news = [s for s in news if AnnotationKey(self.desk.name, s.annotation) not in dead]
        for start in range(0, len(news), CHUNK):
            chunk = tuple(news[start : start + CHUNK])
            self._append(wire.Submitted(chunk, project=self.desk.project_id))
        fresh = sum(AnnotationKey(self.desk.name, s.annotation) not in known for s in news)
        self.report.added += fresh
        self.report.updated += len(news) - fresh

    def annotations(self) -> Iterator[Annotation]:
        """Label Studio's annotations on questions of ours, as answers."""
        for submission in self._submissions():
            posted = self._question(submission)
            if posted is not None:
                yield wire.to_annotation(submission, posted.question, self.desk)

    def _submissions(self) -> Iterator[wire.Submission]:
        """Label Studio's annotations on questions of ours; on the way the questions themselves are taken in."""
        for task in self._label_studio.tasks(self.desk.project_id):
            self._tasks.add(task.id)
            for annotation in task.annotations:
                # Present even if it cannot be read: it is not to be withdrawn for that.
                self._present.add(AnnotationKey(self.desk.name, int(annotation.get("id") or 0)))
                submission = self._parsed(annotation, task)
                if submission is not None and self._question(submission) is not None:
                    self.report.read += 1
                    yield submission
            self._restore(task)

    def _parsed(self, annotation: Any, task: RemoteTask) -> wire.Submission | None:
        try:
            return wire.parse_submission(annotation, task.raw)
        except InputError as problem:
            logger.warning(
                "%s/%s: an annotation on task %d cannot be read: %s",
                self.project.name,
                self.desk.name,
                task.id,
                problem,
            )
            self.report.unreadable += 1
            return None

    def _question(self, submission: wire.Submission) -> PostedQuestion | None:
        return self._by_task.get(submission.task) or self._from_meta(submission.meta, submission.task)

    def _from_meta(self, meta: wire.TaskMeta | None, task: int, created_at: float = 0.0) -> PostedQuestion | None:
        if meta is None or (meta.project, meta.desk) != (self.project.name, self.desk.name):
            return None
        return self._known_questions.get(meta.question.id) or PostedQuestion(
            question=meta.question,
            desk=self.desk.name,
            state=State.OPEN,
            task=task,
            created_at=created_at,
            posted_at=created_at,
            score=1.0 - meta.question.informativeness,
            probabilities=meta.question.probabilities,
        )

    def _restore(self, task: RemoteTask) -> None:
        meta = wire.TaskMeta.from_json(task.raw.get("meta"))
        posted = self._from_meta(meta, task.id, task.created_at)
        if posted is not None and posted.id not in self._known_questions:
            self._known_questions[posted.id] = self._questions.restore(posted)
            self.report.restored += 1

    # --- what is gone

    def _withdraw(self, keys: Sequence[AnnotationKey]) -> None:
        for start in range(0, len(keys), CHUNK):
            numbers = tuple(key.number for key in keys[start : start + CHUNK])
            self._append(wire.Deleted(numbers, project=self.desk.project_id))
        self.report.withdrawn += len(keys)

    def _vanished(self, keys: Sequence[AnnotationKey], reason: str, *, gone: bool = False) -> list[AnnotationKey]:
        """Many at once: as was decided, or held."""
        if self.decision is Decision.ACCEPT:
            self._withdraw([k for k in keys if gone or not self._label_studio.annotation_exists(k.number)])
            return []
        if self.decision is Decision.KEEP:
            self._kept.add(keys)
            self.report.kept += len(keys)
            return []
        if not keys and not gone:
            return []
        self.report.held += len(keys)
        self.report.reasons.append(
            f"{reason}; nothing is withdrawn: run `pal sync --accept-deletions` if they were deleted on purpose, "
            f"`pal sync --keep` if the answers shall stand"
        )
        logger.warning("%s: %s", self.project.name, self.report.reasons[-1])
        return list(keys)

    def _close_lost(self, posted: Sequence[PostedQuestion]) -> None:
        """Open questions whose task somebody deleted would otherwise count as open for ever."""
        gone = [p.id for p in posted if p.task is not None and not self._label_studio.task_exists(p.task)]
        self._questions.close(gone, "gone")
        self.report.lost_questions += len(gone)

    def _append(self, event: wire.Event) -> None:
        self._events.append(event, self.reconciler.clock(), self.desk.name)
