"""Tasks as Label Studio holds them: made for import, with predictions, and recognised again. Pure."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from label_config import render, results
from label_config.parse import ConfigShape, read_config
from pal_backend import untrusted
from pal_backend.core.vocabulary import Medium, Purpose, Question, QuestionKind, SampleId
from pal_backend.errors import InputError
from pal_backend.wire_setup import MAX_CONFIG_CHARACTERS, project_id

MAX_CANDIDATES = 200
_SAMPLE = re.compile(r"[0-9a-f]{16}\Z")


@dataclass(frozen=True)
class TaskMeta:
    """What we put into ``task.meta``: enough to know the question again when everything else is lost."""

    question: Question
    project: str
    desk: str

    def to_json(self) -> dict[str, Any]:
        """As it stands in the task; ``question_id`` comes first since it is what is looked up."""
        question = self.question
        return {
            "question_id": question.id,
            "project": self.project,
            "desk": self.desk,
            "kind": str(question.kind),
            "anchor": question.anchor,
            "candidates": list(question.candidates),
            "purpose": str(question.purpose),
            "probabilities": list(question.probabilities),
            "informativeness": question.informativeness,
            "round": question.round,
            "gain": question.gain,
            "checks": list(question.checks),
        }

    @classmethod
    def from_json(cls, value: Any) -> TaskMeta | None:
        """Inverse of :meth:`to_json`; None for the meta of tasks that are not ours, or that somebody changed."""
        try:
            found = untrusted.mapping(value, "meta")
            question = _question(found)
            if untrusted.text(found.get("question_id"), "question_id") != question.id:
                return None
            return cls(
                question, untrusted.text(found.get("project"), "project"), untrusted.text(found.get("desk"), "desk")
            )
        except (InputError, ValueError):
            return None


def _question(found: Mapping[str, Any]) -> Question:
    candidates = tuple(_sample(c) for c in untrusted.items(found.get("candidates"), "candidates", MAX_CANDIDATES))
    question = Question(
        kind=QuestionKind(untrusted.text(found.get("kind"), "kind")),
        anchor=_sample(found.get("anchor")),
        candidates=candidates,
        purpose=Purpose(untrusted.text(found.get("purpose"), "purpose")),
        probabilities=tuple(
            untrusted.number(p, "probability", 0, 1)
            for p in untrusted.items(found.get("probabilities"), "probabilities")
        ),
        informativeness=untrusted.number(found.get("informativeness"), "informativeness", 0, 1),
        round=untrusted.whole(found.get("round"), "round"),
        gain=untrusted.number(found.get("gain", 0.0), "gain", 0, sys.float_info.max),
        checks=tuple(_sample(c) for c in untrusted.items(found.get("checks", []), "checks", MAX_CANDIDATES)),
    )
    if not candidates or len(set(question.samples)) != len(question.samples):
        raise InputError("a question needs an anchor and candidates that are all different samples")
    if question.kind is QuestionKind.PAIR and len(candidates) != 1:
        raise InputError(f"a pair has one candidate, found {len(candidates)}")
    if not set(question.checks) <= set(candidates):
        raise InputError("checks are candidates of the question; found others")
    if len(question.probabilities) not in (0, len(candidates)):
        raise InputError(f"{len(question.probabilities)} probabilities do not fit {len(candidates)} candidates")
    return question


def _sample(value: Any) -> SampleId:
    if not isinstance(value, str) or not _SAMPLE.match(value):
        raise InputError("a sample id has 16 hex digits")
    return value


@dataclass(frozen=True)
class WireTask:
    """A task of ``POST /predict``; the id is None where it has none."""

    id: int | None
    meta: TaskMeta | None


@dataclass(frozen=True)
class PredictRequest:
    """``POST /predict``."""

    project: int
    tasks: tuple[WireTask, ...]
    label_config: str


def parse_tasks(body: Any) -> PredictRequest:
    """Read ``POST /predict``; a task that cannot be read is kept without id, since each must have its answer.

    Raises:
        InputError: not an object with a list of tasks.
    """
    found = untrusted.mapping(body, "the body")
    return PredictRequest(
        project=project_id(found.get("project")),
        tasks=tuple(_task(task) for task in untrusted.items(found.get("tasks"), "tasks")),
        label_config=untrusted.text(
            untrusted.first(found.get("label_config"), ""), "label_config", MAX_CONFIG_CHARACTERS
        ),
    )


def _task(value: Any) -> WireTask:
    found = value if isinstance(value, dict) else {}
    number = found.get("id")
    known = isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= untrusted.LARGEST_WHOLE
    return WireTask(number if known else None, TaskMeta.from_json(found.get("meta")))


def task_json(
    question: Question,
    *,
    project: str,
    desk: str,
    media_url: Callable[[SampleId], str],
    small_url: Callable[[SampleId], str] | None = None,
    predictions: Sequence[Mapping[str, Any]] = (),
    kept_from: Sequence[str] = (),
    medium: Medium = Medium.IMAGE,
) -> dict[str, Any]:
    """The task that asks a question, as ``POST /api/projects/id/import`` takes it.

    Args:
        question: what is asked.
        project: ours.
        desk: ours.
        media_url: where a sample's picture is; of a text, the text.
        small_url: where it is in the one size that candidates of a screen have; None: as it is.
        predictions: as :func:`prediction_json` makes them.
        kept_from: e-mail addresses of people whom the label stream shall not serve it to (:data:`PLACEHOLDER`).
        medium: what the samples are.
    """
    pair, screen = (
        (render.text_pair_task, render.text_screen_task)
        if medium is Medium.TEXT
        else (render.pair_task, render.screen_task)
    )
    anchor = media_url(question.anchor)
    if question.kind is QuestionKind.PAIR:
        data = pair(anchor, media_url(question.candidates[0]))
    else:
        shown = small_url or media_url
        data = screen(anchor, [(sample, shown(sample)) for sample in question.candidates])
    task = {"data": data, "meta": TaskMeta(question, project, desk).to_json(), "predictions": list(predictions)}
    if kept_from:
        task["drafts"] = [
            {"id": PLACEHOLDER, "user": email, "result": [], "was_postponed": True} for email in kept_from
        ]
    return task


PLACEHOLDER = 806576
"""Id of the empty drafts that we import (Label Studio keeps it as ``import_id``), by which they are known again.

The label stream serves a task that somebody put off to that person after all else, and to others as if nothing were.
Such a draft is no annotation: it counts nowhere, and no webhook tells of it. An import takes drafts along only where a feature flag of Label Studio is on
(:data:`pal_backend.label_studio_values.DRAFTS_FLAG`); otherwise it passes them over."""


ASKED_LAST = 1.0
"""Score of what need not be asked: Label Studio serves the lowest first."""


@dataclass(frozen=True)
class Guess:
    """What we think about one task."""

    question: Question | None
    """What the task asks; None for a task that is not ours."""
    score: float
    """1 - informativeness; 1.0 for what need not be asked."""
    probabilities: tuple[float, ...] = ()
    """P(same) of each candidate, (K,); empty where nothing is known."""
    show: bool = False
    """Whether the desk shows guesses to its annotators."""


@dataclass(frozen=True)
class Predictions:
    """The answer to ``POST /predict``: one guess for each task, in order."""

    guesses: tuple[Guess, ...]
    model_version: str


def predictions_json(predictions: Predictions, label_config: str) -> dict[str, Any]:
    """The body that answers ``POST /predict``; a guess that the config sent along cannot hold is left out."""
    try:
        config = read_config(label_config)
    except ValueError:
        config = ConfigShape(None, {})
    results_json = [
        prediction_json(
            guess.question,
            score=guess.score,
            model_version=predictions.model_version,
            probabilities=guess.probabilities,
            show=guess.show,
            config=config,
        )
        for guess in predictions.guesses
    ]
    return {"results": results_json, "model_version": predictions.model_version}


def prediction_json(
    question: Question | None,
    *,
    score: float,
    model_version: str,
    probabilities: Sequence[float] = (),
    show: bool = False,
    config: ConfigShape | None = None,
) -> dict[str, Any]:
    """One prediction: the guess if it may be shown, and a finite score in 0..1; the lowest score is asked first.

    Args:
        question: what the task asks; None for a task that is not ours.
        score: 1 - informativeness; 1.0 for what need not be asked.
        model_version: as Label Studio's project has it.
        probabilities: P(same) of each candidate, (K,); the guess is made from them, and they are never surer than the
            checks so far bear out (:attr:`pal_backend.core.quality.Quality.surest`).
        show: whether the desk shows guesses. A blind question (a re-check, a verification, a screen with a check among
            its candidates) never does.
        config: the labelling config the guess must fit, if it is at hand.
    """
    result = _guess(question, probabilities) if show and question is not None and not question.blind else []
    if config is not None and not config.fits(result):
        result = []
    return {"result": result, "score": untrusted.finite(score, 1.0), "model_version": model_version}


def _guess(question: Question, probabilities: Sequence[float]) -> list[dict[str, Any]]:
    """The guess, each row with the chance that all of it is right as its ``score``."""
    if len(probabilities) != len(question.candidates):
        return []
    if question.kind is QuestionKind.PAIR:
        rows = results.pair_result(results.SAME if probabilities[0] >= 0.5 else results.DIFFERENT)
    else:
        ticked = [c for c, p in zip(question.candidates, probabilities, strict=True) if p >= 0.5]
        rows = results.screen_result(ticked)
    right = math.prod(max(p, 1.0 - p) for p in probabilities)
    return [{**row, "score": round(untrusted.finite(right, 0.5), 4)} for row in rows]
