"""The refill job: what the journal wants asked comes to stand in Label Studio, once each, in the right order.

Learning journals questions and scores; here they are posted. Every step may be killed and done again:

1. Tasks in Label Studio that the journal does not know as posted are taken into it, by the question id in their meta.
2. Scores are brought up to date in place; a new model version gets predictions of its own.
3. Journalled questions are imported as tasks; a re-check is kept from the person whose answer it checks.
4. The project is told which version orders its tasks, and predictions of older versions are deleted.
5. Tasks of questions that are settled leave the order at once, and are deleted when nobody can have them open.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from itertools import islice
from typing import Any

from pal_backend import wire
from pal_backend.core.vocabulary import Medium, SampleId
from pal_backend.credentials import Credentials
from pal_backend.errors import NotFoundError
from pal_backend.label_studio import PAGE, LabelStudio
from pal_backend.label_studio_values import RemoteTask, chosen
from pal_backend.media import MediaLinks
from pal_backend.pool_index import load_samples, load_texts
from pal_backend.settings import Settings
from pal_backend.store.errands import Errand, Errands
from pal_backend.store.projects import Desk, Project
from pal_backend.store.questions import PostedQuestion, State
from pal_backend.store.stores import Stores
from pal_backend.withholding import Withholding

logger = logging.getLogger(__name__)

LEAST_CHANGE = 0.02
"""A score is left alone until it is off by more than this."""
IMPORT_CHUNK = 100
DELETE_CHUNK = 50
"""Tasks deleted in one run; each deletion makes Label Studio send a webhook."""
SETTLED = "settled"
"""Model version of predictions on tasks that need no answer. It is never the project's, so the label stream passes them
over until nothing else is left, also when several people label."""
ERRAND_S = 25.0
"""Longer than an import may take (:data:`pal_backend.label_studio.IMPORT_TIMEOUT_S`)."""


@dataclass(frozen=True)
class RefillReport:
    """What one run changed on one desk."""

    posted: int = 0
    found_again: int = 0
    """Tasks that stood in Label Studio though the journal did not know."""
    rescored: int = 0
    settled: int = 0
    """Tasks taken out of the order."""
    deleted: int = 0
    withheld: int = 0
    """Of those posted, how many Label Studio keeps from the person whose answer they check."""
    open: int = 0
    """Tasks that wait for an answer now."""
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """For the job's result."""
        return asdict(self)


@dataclass(frozen=True)
class Refiller:
    """What a refill works with; ``clock`` gives seconds since the epoch."""

    stores: Stores
    label_studio: LabelStudio
    settings: Settings
    credentials: Credentials
    clock: Callable[[], float]

    def refill(self, project: Project, desk: Desk) -> RefillReport:
        """Bring one desk up to date.

        Raises:
            UnavailableError: Label Studio cannot be reached, or another process refills this desk.
        """
        version = self.stores.versions(project.name).current()
        if version is None:
            return RefillReport(problem="there is no model version yet; `pal init` makes one")
        with Errands(self.stores.redis, project.name).run(f"refill-{desk.name}", ERRAND_S) as errand:
            try:
                return _Run(self, project, desk, version, errand).run()
            except NotFoundError as problem:
                logger.warning("%s/%s: %s", project.name, desk.name, problem)
                return RefillReport(problem=f"{problem}; run `pal init` to make the desk anew")


@dataclass
class _Run:
    """One desk, once."""

    refiller: Refiller
    project: Project
    desk: Desk
    version: str
    errand: Errand
    tasks: dict[int, RemoteTask] = field(default_factory=dict)
    """Label Studio's tasks without annotations, by id."""
    report: RefillReport = RefillReport()

    def __post_init__(self) -> None:
        self.label_studio = self.refiller.label_studio
        self.questions = self.refiller.stores.questions(self.project.name)
        withheld = self.refiller.stores.withheld(self.project.name)
        self.withholding = Withholding(self.label_studio, withheld, self.questions, self.desk.name)
        self.links = MediaLinks(self.refiller.credentials.media_key, self.refiller.settings.public)

    def run(self) -> RefillReport:
        self.tasks = {task.id: task for task in self.label_studio.tasks(self.desk.project_id, unlabelled=True)}
        self._find_again()
        open_tasks, settled = self._sorted()
        self._settle(settled)
        # After that, or a moot one would be back in the order for a moment, for the very person it was kept from.
        self.withholding.release(list(self.tasks.values()))
        self._rescore(open_tasks)
        posted = self._post()
        self._order_by_version(has_predictions=bool(open_tasks) or posted > 0)
        self._delete(settled)
        self._note(open=len(open_tasks) + posted)
        return self.report

    # --- 1. what stands there already

    def _find_again(self) -> None:
        """An earlier run may have been killed after importing, or Redis was lost: the tasks say what they ask."""
        found = self._take_in(self.tasks.values())
        if self.errand.interrupted:
            # Some may be answered by now, and so are not among the tasks without annotations.
            found += self._take_in(islice(self.label_studio.tasks(self.desk.project_id, newest=True), PAGE))
            self.errand.recovered()
        self._note(found_again=found)

    def _take_in(self, tasks: Iterable[RemoteTask]) -> int:
        taken = 0
        for task in tasks:
            meta = self._meta(task)
            if meta is None or self.questions.by_task(self.desk.name, task.id) is not None:
                continue
            fresh = PostedQuestion(
                question=meta.question,
                desk=self.desk.name,
                state=State.OPEN,
                task=task.id,
                created_at=task.created_at,
                posted_at=task.created_at,
                score=1.0 - meta.question.informativeness,
                probabilities=meta.question.probabilities,
            )
            self.questions.restore(fresh)
            taken += 1
        return taken

    def _meta(self, task: RemoteTask) -> wire.TaskMeta | None:
        meta = wire.TaskMeta.from_json(task.raw.get("meta"))
        ours = meta is not None and (meta.project, meta.desk) == (self.project.name, self.desk.name)
        return meta if ours else None

    def _sorted(self) -> tuple[list[tuple[RemoteTask, PostedQuestion]], list[RemoteTask]]:
        """Tasks that wait for an answer with their questions, and tasks that need none (second copies among them)."""
        waiting: list[tuple[RemoteTask, PostedQuestion]] = []
        settled: list[RemoteTask] = []
        for task in self.tasks.values():
            posted = self.questions.by_task(self.desk.name, task.id)
            if posted is None:
                continue
            if posted.state is State.CLOSED or posted.task != task.id:
                settled.append(task)
            else:
                waiting.append((task, posted))
        return waiting, settled

    # --- 2. scores

    def _settle(self, tasks: Sequence[RemoteTask]) -> None:
        unmarked: list[Mapping[str, Any]] = []
        count = 0
        for task in tasks:
            current = [p for p in task.predictions if p.model_version == self.version]
            for prediction in current:
                self.label_studio.patch_prediction(
                    prediction.id, score=wire.ASKED_LAST, model_version=SETTLED, result=[]
                )
            if not current and not any(p.model_version == SETTLED for p in task.predictions):
                unmarked.append({"task": task.id, "score": wire.ASKED_LAST, "model_version": SETTLED, "result": []})
            count += bool(current)
        count += self.label_studio.create_predictions(self.desk.project_id, unmarked)
        self._note(settled=count)

    def _rescore(self, waiting: Sequence[tuple[RemoteTask, PostedQuestion]]) -> None:
        fresh: list[Mapping[str, Any]] = []
        changed = 0
        for task, posted in waiting:
            wanted = self._prediction(posted)
            current = [p for p in task.predictions if p.model_version == self.version]
            if not current:
                fresh.append({"task": task.id, **wanted})
                continue
            off = current[0].score is None or abs(current[0].score - wanted["score"]) > LEAST_CHANGE
            if off or current[0].choices != chosen(wanted["result"]):
                self.label_studio.patch_prediction(current[0].id, score=wanted["score"], result=wanted["result"])
                changed += 1
        changed += self.label_studio.create_predictions(self.desk.project_id, fresh)
        self._note(rescored=changed)

    def _prediction(self, posted: PostedQuestion) -> dict[str, Any]:
        # Outside the label stream Label Studio prefills any guess it finds, whatever show_collab_predictions says, so a
        # desk that shows none gets a score alone.
        return wire.prediction_json(
            posted.question,
            score=posted.score,
            model_version=self.version,
            probabilities=posted.probabilities,
            show=self.desk.prelabel,
        )

    # --- 3. posting

    def _post(self) -> int:
        if self.project.paused:  # what is journalled waits too
            return 0
        waiting = [q for q in self.questions.open(self.desk.name) if q.state is State.JOURNALED and q.task is None]
        for start in range(0, len(waiting), IMPORT_CHUNK):
            chunk = waiting[start : start + IMPORT_CHUNK]
            kept_from = self.withholding.kept_from(chunk)
            tasks = [self._task(posted, kept_from.get(posted.id)) for posted in chunk]
            # Until the journal knows the tasks' numbers nobody else may import: it could not tell them from missing ones.
            with self.errand.uncertain():
                numbers = self.label_studio.import_tasks(self.desk.project_id, tasks)
                done = [
                    self.questions.posted(posted.id, number, self.refiller.clock())
                    for posted, number in zip(chunk, numbers, strict=True)
                ]
            self._open_to_the_others([posted for posted in done if posted.id in kept_from])
        self._note(posted=len(waiting))
        return len(waiting)

    def _task(self, posted: PostedQuestion, kept_from: Sequence[str] | None) -> dict[str, Any]:
        # Label Studio commits an import's tasks a moment before its drafts: who asks in between would be served what is
        # kept from him. Without a prediction the label stream passes a task over.
        return wire.task_json(
            posted.question,
            project=self.project.name,
            desk=self.desk.name,
            media_url=self._shown,
            small_url=None if self.project.medium is Medium.TEXT else partial(self.links.small, self.project.name),
            medium=self.project.medium,
            predictions=[self._prediction(posted)] if kept_from is None else [],
            kept_from=kept_from or (),
        )

    def _shown(self, sample: SampleId) -> str:
        """What a task holds of a sample: where its picture is, or its text."""
        if self.project.medium is Medium.IMAGE:
            return self.links.url(self.project.name, sample)
        if sample not in self.texts:
            raise NotFoundError(
                f"the pool of {self.project.name} has no text {sample} to ask about; see that it was taken in"
            )
        return self.texts[sample]

    @cached_property
    def texts(self) -> dict[SampleId, str]:
        """The pool's texts by sample, read when the first is asked about."""
        artefacts, name = self.refiller.stores.artefacts, self.project.name
        samples, texts = load_samples(artefacts, name), load_texts(artefacts, name)
        return {sample.id: text for sample, text in zip(samples, texts, strict=True)}

    def _open_to_the_others(self, kept: Sequence[PostedQuestion]) -> None:
        """Give what is kept from somebody its place in the order; killed before, the next run does it (step 2)."""
        self._note(withheld=self.report.withheld + self.withholding.confirm(kept))
        predictions = [{"task": posted.task, **self._prediction(posted)} for posted in kept]
        self.label_studio.create_predictions(self.desk.project_id, predictions)

    # --- 4. which version orders

    def _order_by_version(self, *, has_predictions: bool) -> None:
        if not has_predictions:
            # Label Studio accepts no version that no prediction carries.
            return
        if self.label_studio.project(self.desk.project_id).model_version != self.version:
            self.label_studio.patch_project(self.desk.project_id, model_version=self.version)
        ours = {str(version["id"]) for version in self.refiller.stores.versions(self.project.name).list()}
        carried = {p.model_version for task in self.tasks.values() for p in task.predictions}
        for old in sorted((carried & ours) - {self.version}):
            # Only after the project moved on: deleting the project's own version would leave it without one.
            self.label_studio.delete_predictions(self.desk.project_id, old)

    # --- 5. deleting

    def _delete(self, settled: Sequence[RemoteTask]) -> None:
        before = self.refiller.clock() - self.refiller.settings.task_lock_seconds
        unseen = [task for task in settled if _nobody_has(task, before)][:DELETE_CHUNK]
        for task in unseen:
            self.label_studio.delete_task(task.id)
        self._note(deleted=len(unseen))

    def _note(self, **counts: Any) -> None:
        self.report = replace(self.report, **counts)


def _nobody_has(task: RemoteTask, before: float) -> bool:
    """Whether nobody can have a settled task open: no annotation, no draft, and out of the order since ``before``.

    Label Studio does not tell who has a task open. Served last before it was settled, it is locked no longer.
    """
    since = max((p.updated_at for p in task.predictions if p.model_version == SETTLED), default=None)
    return not task.annotations and not task.has_draft and since is not None and max(since, task.created_at) < before
