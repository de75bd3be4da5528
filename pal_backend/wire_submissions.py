"""Annotations as Label Studio states them, and what they say about our questions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from label_config import results
from pal_backend import untrusted
from pal_backend.core.vocabulary import Annotation, AnnotationKey, Answer, Origin, Question, QuestionKind, Verdict
from pal_backend.wire_tasks import TaskMeta

MAX_ROWS = 1_000


class Named(Protocol):
    """Anything with a name, such as a desk."""

    @property
    def name(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class Submission:
    """One annotation as Label Studio states it, before we know what it was asked."""

    annotation: int
    task: int
    project: int
    """Label Studio's project id, 0 if it was not said."""
    annotator: str
    updated_at: int
    """Microseconds since the epoch, UTC."""
    skipped: bool
    choices: Mapping[str, tuple[str, ...]]
    """Control name to the values chosen in it."""
    origins: Mapping[str, str]
    """Control name to a value of :class:`Origin`."""
    seconds: float | None = None
    meta: TaskMeta | None = None

    def to_json(self) -> dict[str, Any]:
        """For the event stream."""
        return {
            "annotation": self.annotation,
            "task": self.task,
            "project": self.project,
            "annotator": self.annotator,
            "updated_at": self.updated_at,
            "skipped": self.skipped,
            "choices": {name: list(chosen) for name, chosen in self.choices.items()},
            "origins": dict(self.origins),
            "seconds": self.seconds,
            "meta": None if self.meta is None else self.meta.to_json(),
        }

    @classmethod
    def from_json(cls, value: Any) -> Submission:
        """Inverse of :meth:`to_json`.

        Raises:
            InputError: a field is missing or of another type.
        """
        found = untrusted.mapping(value, "submission")
        return cls(
            annotation=untrusted.whole(found.get("annotation"), "annotation"),
            task=untrusted.whole(found.get("task"), "task"),
            project=untrusted.whole(found.get("project"), "project"),
            annotator=untrusted.text(found.get("annotator"), "annotator"),
            updated_at=untrusted.whole(found.get("updated_at"), "updated_at"),
            skipped=untrusted.flag(found.get("skipped"), "skipped"),
            choices={
                untrusted.text(name, "control"): _labels(chosen)
                for name, chosen in untrusted.mapping(found.get("choices"), "choices").items()
            },
            origins={
                untrusted.text(name, "control"): _origin(origin)
                for name, origin in untrusted.mapping(found.get("origins"), "origins").items()
            },
            seconds=_seconds(found.get("seconds")),
            meta=TaskMeta.from_json(found.get("meta")),
        )


def parse_submission(annotation: Any, task: Any = None) -> Submission:
    """Read an annotation as webhooks, ``GET /api/tasks/id`` and exports state it, with its task if that is at hand.

    Raises:
        InputError: it lacks an id, a task or a time, or something in it has another type than Label Studio gives it.
    """
    found = untrusted.mapping(annotation, "annotation")
    about = untrusted.mapping({} if task is None else task, "task")
    choices, origins = _chosen(found.get("result"))
    if found.get("parent_prediction") is not None and found.get("lead_time") is None:
        # Predictions turned into annotations in bulk say "manual", though nobody looked at them.
        origins = dict.fromkeys(origins, str(Origin.PREDICTION))
    return Submission(
        annotation=untrusted.whole(found.get("id"), "annotation.id"),
        task=untrusted.whole(untrusted.first(found.get("task"), about.get("id")), "annotation.task"),
        project=untrusted.whole(untrusted.first(found.get("project"), about.get("project"), 0), "annotation.project"),
        annotator=_annotator(found.get("completed_by")),
        updated_at=untrusted.microseconds(found.get("updated_at"), "annotation.updated_at"),
        skipped=untrusted.flag(found.get("was_cancelled"), "annotation.was_cancelled"),
        choices=choices,
        origins=origins,
        seconds=_seconds(found.get("lead_time")),
        meta=TaskMeta.from_json(about.get("meta")),
    )


def _chosen(result: Any) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    choices: dict[str, tuple[str, ...]] = {}
    origins: dict[str, str] = {}
    for item in untrusted.items([] if result is None else result, "annotation.result", MAX_ROWS):
        row = untrusted.mapping(item, "a row of annotation.result")
        if row.get("type") != "choices":
            continue
        name = untrusted.text(row.get("from_name"), "from_name")
        value = untrusted.mapping(row.get("value"), "value")
        choices[name] = choices.get(name, ()) + _labels(value.get("choices"))
        origins[name] = _origin(row.get("origin"))
    return choices, origins


def _labels(value: Any) -> tuple[str, ...]:
    return tuple(untrusted.text(label, "a choice") for label in untrusted.items(value, "choices", MAX_ROWS))


def _origin(value: Any) -> str:
    # whoever may submit could state any; a decision is made in this house alone
    return str(Origin(value)) if value in tuple(Origin) and value != Origin.DECISION else str(Origin.MANUAL)


def _seconds(value: Any) -> float | None:
    return None if value is None else untrusted.number(value, "lead_time", 0, 1e9)


def _annotator(value: Any) -> str:
    # An int in webhooks and exports, an object from GET /api/tasks/id.
    found = value.get("id") if isinstance(value, dict) else value
    return "" if found is None else str(untrusted.whole(found, "annotation.completed_by"))


def to_annotation(submission: Submission, question: Question, desk: Named) -> Annotation:
    """What a submission says about the question it was asked; without answers, ``note`` says why."""
    key = AnnotationKey(desk.name, submission.annotation)
    verdicts, origin, note = _verdicts(submission, question)
    known = len(question.probabilities) == len(question.candidates)
    answers = tuple(
        Answer(
            annotation=key,
            pair=pair,
            verdict=verdict,
            annotator=submission.annotator,
            updated_at=submission.updated_at,
            origin=origin,
            predicted=question.probabilities[place] if known and 0 < question.probabilities[place] < 1 else None,
            purpose=question.purpose_of(question.candidates[place]),
            candidate=question.candidates[place],
        )
        for place, (pair, verdict) in enumerate(zip(question.pairs, verdicts, strict=bool(verdicts)))
    )
    return Annotation(
        key=key,
        task=submission.task,
        question=question.id,
        annotator=submission.annotator,
        updated_at=submission.updated_at,
        answers=answers,
        skipped=submission.skipped,
        seconds=submission.seconds,
        note=note,
    )


def _verdicts(submission: Submission, question: Question) -> tuple[list[Verdict], Origin, str]:
    """A verdict for each candidate, where it came from, and a note; no verdicts where nothing was said."""
    choices, origins = submission.choices, submission.origins
    if submission.skipped:
        return [], Origin.MANUAL, "skipped"
    if question.kind is QuestionKind.PAIR:
        said = results.read_pair(choices)
        note = "" if said else "not exactly one of Same, Different and Unsure was chosen"
        return [Verdict(said)] if said else [], Origin(origins.get(results.PAIR_CONTROL, "manual")), note
    reading = results.read_screen(choices, question.candidates)
    control = results.CANDIDATES_CONTROL if reading.ticked else results.VERDICT_CONTROL
    origin = Origin(origins.get(control, "manual"))
    if reading.problem:
        return [], origin, reading.problem
    if reading.cannot_tell:
        return [Verdict.UNSURE] * len(question.candidates), origin, ""
    ticked = set(reading.ticked)
    return [Verdict.SAME if c in ticked else Verdict.DIFFERENT for c in question.candidates], origin, ""
