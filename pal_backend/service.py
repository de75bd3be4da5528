"""What the ML backend does, in domain words: set up, predict, record, report. It reads what workers publish."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial

from redis.client import Pipeline

from label_config.parse import check
from pal_backend import choosing, wire
from pal_backend.choosing import Operator
from pal_backend.core.posterior import Posterior
from pal_backend.core.vocabulary import Question, SampleId
from pal_backend.errors import ConflictError, InputError, NotFoundError
from pal_backend.media import MediaFiles, MediaLinks, Picture
from pal_backend.pool_index import local_root
from pal_backend.queues import Queues
from pal_backend.status import Status, status_of
from pal_backend.store.projects import Desk, Project
from pal_backend.store.questions import PostedQuestion, State
from pal_backend.store.stores import Stores
from pal_backend.thumbnails import DESK_SIDE, Thumbnails

log = logging.getLogger(__name__)

NO_VERSION = "none"
"""What is said where no model version was published yet; Label Studio wants a string."""


@dataclass(frozen=True)
class Address:
    """Where a request came in: ``/p/<project>/<desk>/…``, or the bare URL."""

    project: str | None = None
    desk: str | None = None


@dataclass(frozen=True)
class Place:
    """A desk and the project it belongs to."""

    project: Project
    desk: Desk


@dataclass(frozen=True)
class Receipt:
    """An event was taken in; ``id`` names it in the stream, and is empty where nothing had to be kept."""

    id: str = ""


class Service:
    """The one service behind our own app and behind ``label-studio-ml``'s. Keeps nothing but caches."""

    def __init__(
        self, stores: Stores, queues: Queues, links: MediaLinks, files: MediaFiles, operator: Operator
    ) -> None:
        self._stores = stores
        self._queues = queues
        self._links = links
        self._files = files
        self._small = Thumbnails(files, DESK_SIDE)
        self._operator = operator

    # ---- where ------------------------------------------------------------------------------------------------------

    def find(self, address: Address, label_studio_project: int) -> Place | None:
        """The desk a request is about; at the bare URL the one desk of that Label Studio project, if there is just one.

        Raises:
            NotFoundError: the URL names a project or desk that is not there.
            ConflictError: the desk belongs to another Label Studio project.
        """
        if address.project is None or address.desk is None:
            return self._only_desk_of(label_studio_project)
        project = self._stores.projects.get(address.project)
        place = Place(project, project.desk(address.desk))
        known = place.desk.project_id
        if known and label_studio_project and known != label_studio_project:
            # Annotation ids of two Label Studio projects would be taken for each other's.
            log.warning(
                "%s/%s: a call from Label Studio project %d", project.name, place.desk.name, label_studio_project
            )
            raise ConflictError(
                f"this call comes from Label Studio project {label_studio_project}; desk {place.desk.name} of "
                f"{project.name} belongs to project {known}; run `pal init` for a desk of its own"
            )
        return place

    def _only_desk_of(self, label_studio_project: int) -> Place | None:
        if not label_studio_project:
            return None
        projects = map(self._stores.projects.get, self._stores.projects.names())
        places = [Place(project, desk) for project in projects for desk in project.desks if not desk.retired]
        found = [place for place in places if place.desk.project_id == label_studio_project]
        return found[0] if len(found) == 1 else None

    def _must_find(self, address: Address, label_studio_project: int) -> Place:
        place = self.find(address, label_studio_project)
        if place is None:
            raise NotFoundError(
                "this URL names no project and desk; expected …/p/<project>/<desk>; run `pal init --adopt` to connect it"
            )
        return place

    # ---- the protocol -----------------------------------------------------------------------------------------------

    def setup(self, address: Address, request: wire.SetupRequest) -> str:
        """The current model version of the desk's project. A project nobody knows is noted as pending.

        Raises:
            InputError: the extra parameters ask for what they may not.
        """
        place = self.find(address, request.project)
        if place is None:
            self._stores.projects.note_pending(request.url_project or str(request.project), request.hostname)
            log.info("Label Studio project %d is connected at the bare URL and waits to be adopted", request.project)
            return NO_VERSION
        self._complain(place, request.label_config)
        if request.asked is not None:
            choosing.ask(place.project, place.desk.name, request.asked, self._stores, self._operator)
        return self._version(place.project)

    def predict(self, address: Address, request: wire.PredictRequest) -> wire.Predictions:
        """One guess for each task, in order; what is not ours, or not open, is asked last."""
        place = self.find(address, request.project)
        if place is None:
            return wire.Predictions(tuple(wire.Guess(None, wire.ASKED_LAST) for _ in request.tasks), NO_VERSION)
        posterior = self._stores.revisions(place.project.name).posterior()
        guesses = tuple(self._guess(place, task, posterior) for task in request.tasks)
        return wire.Predictions(guesses, self._version(place.project))

    def record(self, address: Address, event: wire.Event, received_at: float) -> Receipt:
        """Keep an event, if it says anything, and see to it that somebody learns from it.

        Args:
            address: where it came in.
            event: what Label Studio told us.
            received_at: seconds since the epoch.
        """
        place = self._must_find(address, event.project)
        if isinstance(event, wire.ProjectUpdated):
            self._complain(place, event.label_config)
        if isinstance(event, wire.ProjectUpdated | wire.Ignored):
            return Receipt()
        name = place.project.name
        sittings = self._stores.sittings(name)
        # Event first: whoever holds the lease looks at the stream once more after letting go. An annotator waits for
        # this, so both go in one round trip; they need no transaction.
        with self._stores.redis.pipeline(transaction=False) as pipe:
            self._stores.events(name).append(event, received_at, place.desk.name, pipe)
            sittings.is_awake(pipe)
            entry, awake = pipe.execute()
        if not awake:
            sittings.wake(partial(self._enqueue_learn, name))
        log.info("%s/%s: %s kept as %s", name, place.desk.name, type(event).__name__, entry)
        return Receipt(entry)

    def versions(self, address: Address) -> list[str]:
        """Ids of the model versions of a project, oldest first; none at the bare URL."""
        if address.project is None:
            return []
        project = self._stores.projects.get(address.project)
        return [str(version["id"]) for version in self._stores.versions(project.name).list()]

    def picture(self, project: str, sample: SampleId, signature: str, *, small: bool = False) -> Picture:
        """A sample of a local pool, for whoever holds the link; ``small`` in the one size of candidates.

        Raises:
            NotFoundError: no such picture, or the signature is not ours.
        """
        self._links.check(project, sample, signature)
        pool = local_root(self._stores.projects.get(project).pool)
        return (self._small.get if small else self._files.read)(project, pool, sample)

    # ---- reports ----------------------------------------------------------------------------------------------------

    def status(self, name: str) -> Status:
        """Where a project stands.

        Raises:
            NotFoundError: there is no such project.
        """
        return status_of(self._stores.projects.get(name), self._stores, self._queues, self._operator)

    def statuses(self) -> list[Status]:
        """Where every project stands; one that cannot be read is left out."""
        found = []
        for name in self._stores.projects.names():
            try:
                found.append(self.status(name))
            except InputError as problem:
                log.warning("project %s cannot be reported: %s", name, problem)
        return found

    # ---- parts ------------------------------------------------------------------------------------------------------

    def _enqueue_learn(self, project: str, pipe: Pipeline) -> None:
        self._queues.learn(project, pipe)

    def _version(self, project: Project) -> str:
        return self._stores.versions(project.name).current() or NO_VERSION

    def _complain(self, place: Place, label_config: str) -> None:
        problems = check(label_config, str(place.desk.kind), str(place.project.medium)) if label_config else []
        for problem in problems:
            log.warning("%s/%s: the labelling config cannot be used: %s", place.project.name, place.desk.name, problem)

    def _guess(self, place: Place, task: wire.WireTask, posterior: Posterior | None) -> wire.Guess:
        posted = self._posted(place, task)
        if posted is None:
            return wire.Guess(None, wire.ASKED_LAST)
        score = wire.ASKED_LAST if posted.state is State.CLOSED else posted.score
        return wire.Guess(posted.question, score, _probabilities(posted, posterior), place.desk.prelabel)

    def _posted(self, place: Place, task: wire.WireTask) -> PostedQuestion | None:
        """The question a task asks: as the journal has it, else as the task itself says."""
        questions, meta = self._stores.questions(place.project.name), task.meta
        ours = meta is not None and (meta.project, meta.desk) == (place.project.name, place.desk.name)
        try:
            posted = None if task.id is None else questions.by_task(place.desk.name, task.id)
            if posted is None and meta is not None and ours:
                posted = questions.get(meta.question.id) or _unjournalled(meta.question, place.desk.name, task.id)
        except InputError as problem:
            # One spoilt entry must not take the other tasks' answers away.
            log.warning("%s", problem)
            return None
        return posted


def _unjournalled(question: Question, desk: str, task: int | None) -> PostedQuestion:
    return PostedQuestion(
        question=question,
        desk=desk,
        state=State.OPEN,
        task=task,
        created_at=0.0,
        score=1.0 - question.informativeness,
        probabilities=question.probabilities,
    )


def _probabilities(posted: PostedQuestion, posterior: Posterior | None) -> tuple[float, ...]:
    """P(same) of each candidate by the published posterior; where that lacks a sample, as last noted in the journal."""
    found = None if posterior is None else posterior.of_question(posted.question)
    return found or posted.probabilities or posted.question.probabilities
