"""Label Studio's JSON and our values: webhook events here, annotations, tasks and set-up in the modules below. Pure.

Shapes are those that Label Studio 1.23.2 was seen to send (``tests/recordings``). Access tokens and invite tokens in
the bodies are never read. Others import every name of the wire from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pal_backend import untrusted
from pal_backend.errors import InputError
from pal_backend.wire_setup import MAX_CONFIG_CHARACTERS, SetupRequest, parse_setup, project_id
from pal_backend.wire_submissions import Submission, parse_submission, to_annotation
from pal_backend.wire_tasks import (
    ASKED_LAST,
    PLACEHOLDER,
    Guess,
    Predictions,
    PredictRequest,
    TaskMeta,
    WireTask,
    parse_tasks,
    prediction_json,
    predictions_json,
    task_json,
)

__all__ = [
    "ASKED_LAST",
    "PLACEHOLDER",
    "AskedAgain",
    "Decided",
    "Deleted",
    "Event",
    "Guess",
    "Ignored",
    "PredictRequest",
    "Predictions",
    "ProjectUpdated",
    "ReconcileRequested",
    "SetupRequest",
    "Submission",
    "Submitted",
    "TaskMeta",
    "TasksDeleted",
    "TrainingRequested",
    "WireTask",
    "event_from_json",
    "parse_event",
    "parse_setup",
    "parse_submission",
    "parse_tasks",
    "parse_train",
    "prediction_json",
    "predictions_json",
    "receipt_json",
    "task_json",
    "to_annotation",
]


ABOUT_ANSWERS = frozenset(
    {"ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED", "ANNOTATIONS_DELETED", "TASKS_DELETED"}
)
"""Actions after which the answers are other than before; a webhook may send them without saying more."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something Label Studio told us; whose desk it was about is known from the URL."""

    project: int = 0
    """Label Studio's project id, 0 if it was not said."""

    def to_json(self) -> dict[str, Any]:
        """For the event stream."""
        return {"type": type(self).__name__, "project": self.project, **self._content()}

    def _content(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class Submitted(Event):
    """Annotations were created or updated, skips among them."""

    submissions: tuple[Submission, ...]

    def _content(self) -> dict[str, Any]:
        return {"submissions": [submission.to_json() for submission in self.submissions]}


@dataclass(frozen=True)
class Deleted(Event):
    """Annotations were deleted; Label Studio says no more than their ids."""

    annotations: tuple[int, ...]

    def _content(self) -> dict[str, Any]:
        return {"annotations": list(self.annotations)}


@dataclass(frozen=True)
class TasksDeleted(Event):
    """Tasks were deleted, and their annotations with them, about which nothing is sent."""

    tasks: tuple[int, ...]

    def _content(self) -> dict[str, Any]:
        return {"tasks": list(self.tasks)}


@dataclass(frozen=True)
class TrainingRequested(Event):
    """Somebody pressed "Start training"."""


@dataclass(frozen=True)
class ReconcileRequested(Event):
    """Something changed and we were not told what: Label Studio has to be asked."""

    reason: str

    def _content(self) -> dict[str, Any]:
        return {"reason": self.reason}


@dataclass(frozen=True)
class Decided(Event):
    """A lead made decisions, or undid them; the store of decisions tells which way. Label Studio never says this."""

    decisions: tuple[int, ...]

    def _content(self) -> dict[str, Any]:
        return {"decisions": list(self.decisions)}


@dataclass(frozen=True)
class AskedAgain(Event):
    """A lead wants a question asked; its round is settled, so that it is asked once. Label Studio never says this."""

    question: TaskMeta

    def _content(self) -> dict[str, Any]:
        return {"question": self.question.to_json()}


@dataclass(frozen=True)
class ProjectUpdated(Event):
    """The project's settings changed, perhaps its labelling config; not kept in the stream."""

    label_config: str


@dataclass(frozen=True)
class Ignored(Event):
    """An action that says nothing to us; not kept in the stream."""

    action: str


def event_from_json(value: Any) -> Event:
    """Inverse of :meth:`Event.to_json`.

    Raises:
        InputError: it is none of the events that are kept in a stream.
    """
    found = untrusted.mapping(value, "event")
    project = untrusted.whole(found.get("project"), "event.project")
    match found.get("type"):
        case "Submitted":
            kept = untrusted.items(found.get("submissions"), "event.submissions")
            return Submitted(tuple(Submission.from_json(item) for item in kept), project=project)
        case "Deleted":
            return Deleted(_ids(found.get("annotations"), "event.annotations"), project=project)
        case "TasksDeleted":
            return TasksDeleted(_ids(found.get("tasks"), "event.tasks"), project=project)
        case "TrainingRequested":
            return TrainingRequested(project=project)
        case "ReconcileRequested":
            return ReconcileRequested(untrusted.text(found.get("reason"), "event.reason"), project=project)
        case "Decided" | "AskedAgain" as kind:
            return _of_house(kind, found, project)
    raise InputError("an event of unknown type; expected one that this version wrote; update PAL, or run `pal sync`")


def _of_house(kind: str, found: Mapping[str, Any], project: int) -> Event:
    if kind == "Decided":
        return Decided(_ids(found.get("decisions"), "event.decisions"), project=project)
    asked = TaskMeta.from_json(found.get("question"))
    if asked is None:
        raise InputError("an event asks a question that cannot be read; expected one of ours; ask it again")
    return AskedAgain(asked, project=project)


def parse_event(body: Any) -> Event:
    """Read a webhook's body.

    Raises:
        InputError: not an object with an action, or something in it has another type than Label Studio gives it.
    """
    found = untrusted.mapping(body, "the body")
    action = untrusted.text(found.get("action"), "action", 100)
    project = project_id(found.get("project"))
    event: Event = Ignored(action, project=project)
    match action:
        case "ANNOTATION_CREATED" | "ANNOTATION_UPDATED" | "ANNOTATIONS_CREATED" if "annotation" in found:
            event = Submitted(_submissions(found["annotation"], found.get("task")), project=project)
        case "ANNOTATIONS_DELETED" if "annotations" in found:
            event = Deleted(_ids(found["annotations"], "annotations"), project=project)
        case "TASKS_DELETED" if "tasks" in found:
            event = TasksDeleted(_ids(found["tasks"], "tasks"), project=project)
        case "START_TRAINING":
            event = TrainingRequested(project=project)
        case "PROJECT_UPDATED":
            event = ProjectUpdated(_label_config(found.get("project")), project=project)
        case "TASKS_CREATED" if _annotated(found.get("tasks")):
            # Annotations that arrive inside an import are announced by this alone.
            event = ReconcileRequested("tasks were imported with annotations", project=project)
        case _ if action in ABOUT_ANSWERS:
            event = ReconcileRequested(f"{action} without its content", project=project)
    return event


def parse_train(body: Any) -> TrainingRequested:
    """Read ``POST /train``, which Label Studio used before it sent START_TRAINING to the webhook.

    Raises:
        InputError: not an object, or its project is none.
    """
    return TrainingRequested(project=project_id(untrusted.mapping(body, "the body").get("project")))


def receipt_json(event: Event, entry: str) -> dict[str, str]:
    """The body that answers a webhook; Label Studio keeps the job id of a training it asked for.

    Args:
        event: what was sent.
        entry: id of the event in the stream; empty if it was not kept.
    """
    return {"job": f"train-{entry}"} if isinstance(event, TrainingRequested) else {"status": "ok"}


def _submissions(annotation: Any, task: Any) -> tuple[Submission, ...]:
    """One annotation with its task, or (ANNOTATIONS_CREATED) a list of each, in any order."""
    if not isinstance(annotation, list):
        return (parse_submission(annotation, task),)
    tasks = {about.get("id"): about for about in _objects(task)}
    return tuple(parse_submission(one, tasks.get(one.get("task"))) for one in _objects(annotation))


def _objects(value: Any) -> Iterable[Any]:
    found = untrusted.items([] if value is None else value, "annotation or task")
    for one in found:
        for name in ("id", "task"):
            if name in untrusted.mapping(one, "annotation or task") and one[name] is not None:
                untrusted.whole(one[name], name)
    return found


def _ids(value: Any, where: str) -> tuple[int, ...]:
    """Ids, bare or as ``{"id": 1}``."""
    found = (item.get("id") if isinstance(item, dict) else item for item in untrusted.items(value, where))
    return tuple(untrusted.whole(number, where) for number in found)


def _annotated(tasks: Any) -> bool:
    counters = ("total_annotations", "cancelled_annotations")
    found = [] if tasks is None else untrusted.items(tasks, "tasks")
    return any(isinstance(task, dict) and any(task.get(name) for name in counters) for task in found)


def _label_config(project: Any) -> str:
    value = project.get("label_config") if isinstance(project, dict) else None
    return untrusted.text("" if value is None else value, "project.label_config", MAX_CONFIG_CHARACTERS)
