"""Values to compact JSON and back. What comes out of Redis or a file is untrusted: it is checked field by field.

No key is owned here.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from pal_backend import untrusted
from pal_backend.core.vocabulary import (
    Annotation,
    AnnotationKey,
    Answer,
    Origin,
    Pair,
    Purpose,
    Question,
    QuestionKind,
    Verdict,
)
from pal_backend.errors import InputError

Choice = TypeVar("Choice", bound=StrEnum)

LARGEST = sys.float_info.max
MAX_CHARACTERS = 100_000
MAX_ITEMS = 10_000_000
"""What we wrote ourselves may be large (the ids of a pool); these bounds only stop nonsense."""
MEND = "remove it and run `pal sync`"
"""What messages tell a person to do."""


def dump(value: Mapping[str, Any]) -> str:
    """Compact JSON, the same text for the same value."""
    # ASCII, so that a lone surrogate in somebody's text cannot make it unsendable.
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


class Record:
    """A JSON object read from ``place``, whose fields are taken one by one with their type.

    Raises:
        InputError: the text is no JSON object, or a field has not the type asked for; the message names ``place``.
    """

    def __init__(self, text: str | bytes, place: str, mend: str = MEND) -> None:
        self.place, self.mend = place, mend
        try:
            value = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            raise self.wrong("no JSON", "an object") from None
        self.value = untrusted.mapping(value, place)

    @classmethod
    def of(cls, value: Any, place: str) -> Record:
        """A record over an object that is parsed already."""
        record = cls.__new__(cls)
        record.place, record.mend, record.value = place, MEND, untrusted.mapping(value, place)
        return record

    def wrong(self, found: str, expected: str) -> InputError:
        """The error for something unexpected here."""
        return InputError(f"{self.place} holds {found}; expected {expected}; {self.mend}")

    def _get(self, name: str, default: Any) -> tuple[Any, str]:
        return self.value.get(name, default), f"{self.place} {name}"

    def text(self, name: str, default: str | None = None) -> str:
        """A string; ``default`` if absent."""
        return untrusted.text(*self._get(name, default), most=MAX_CHARACTERS)

    def whole(self, name: str, default: int | None = None) -> int:
        """A whole number of at most 53 bits; ``default`` if absent."""
        return untrusted.whole(*self._get(name, default), low=-untrusted.LARGEST_WHOLE)

    def number(self, name: str, default: float | None = None) -> float:
        """A finite number; ``default`` if absent."""
        return untrusted.number(*self._get(name, default), -LARGEST, LARGEST)

    def number_or_none(self, name: str) -> float | None:
        """A finite number, or None if absent or null."""
        return None if self.value.get(name) is None else self.number(name)

    def whole_or_none(self, name: str) -> int | None:
        """A whole number, or None if absent or null."""
        return None if self.value.get(name) is None else self.whole(name)

    def flag(self, name: str) -> bool:
        """True or false, False if absent."""
        return untrusted.flag(*self._get(name, False))

    def items(self, name: str) -> list[Any]:
        """A list."""
        return untrusted.items(*self._get(name, None), most=MAX_ITEMS)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings."""
        return tuple(untrusted.text(item, f"{self.place} {name}") for item in self.items(name))

    def numbers(self, name: str) -> tuple[float, ...]:
        """A list of finite numbers."""
        return tuple(untrusted.number(item, f"{self.place} {name}", -LARGEST, LARGEST) for item in self.items(name))

    def mapping(self, name: str) -> dict[str, Any]:
        """An object."""
        return dict(untrusted.mapping(*self._get(name, None)))

    def choice(self, name: str, kind: type[Choice]) -> Choice:
        """One of the words of an enumeration."""
        return self.as_choice(self.value.get(name), kind)

    def as_choice(self, found: Any, kind: type[Choice]) -> Choice:
        """``found`` as one of the words of an enumeration."""
        try:
            return kind(found)
        except ValueError:
            raise self.wrong(f"{found!r:.60}", "one of " + ", ".join(kind)) from None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def dump_annotation(annotation: Annotation) -> str:
    """JSON of an annotation but for its key, which is the field it is kept under.

    Raises:
        ValueError: an answer is not this annotation's own, or a number is too large to keep.
    """
    for answer in annotation.answers:
        if (answer.annotation, answer.annotator, answer.updated_at) != (
            annotation.key,
            annotation.annotator,
            annotation.updated_at,
        ):
            raise ValueError(
                f"annotation {annotation.key} holds an answer of {answer.annotation} by another person or time"
            )
    if not 0 <= annotation.updated_at <= untrusted.LARGEST_WHOLE:
        raise ValueError(
            f"annotation {annotation.key} was updated at {annotation.updated_at}, expected microseconds since 1970"
        )
    return dump(
        {
            # The script that compares two annotations reads these two off the front.
            "updated_at": annotation.updated_at,
            "question": annotation.question,
            "task": annotation.task,
            "annotator": annotation.annotator,
            "answers": [
                [*a.pair, a.verdict, a.origin, a.predicted, a.purpose, a.candidate] for a in annotation.answers
            ],
            "skipped": annotation.skipped,
            "seconds": annotation.seconds,
            "note": annotation.note,
        }
    )


def load_annotation(key: AnnotationKey, record: Record) -> Annotation:
    """Inverse of :func:`dump_annotation`.

    Raises:
        InputError: malformed; the message names where.
    """
    annotator, updated_at = record.text("annotator"), record.whole("updated_at")
    answers = []
    for item in record.items("answers"):
        if not (isinstance(item, list) and len(item) in (5, 7) and all(isinstance(text, str) for text in item[:2])):
            raise record.wrong(
                f"the answer {item!r:.60}", "[two samples, verdict, origin, probability, purpose, candidate]"
            )
        first, second, verdict, origin, predicted = item[:5]
        if not (first < second):
            raise record.wrong(f"the pair {first!r:.20}, {second!r:.20}", "two samples in ascending order")
        if predicted is not None and not (type(predicted) in (int, float) and math.isfinite(predicted)):
            raise record.wrong(f"the probability {predicted!r:.60}", "a number or null")
        # records of earlier releases do not say why they were asked, nor about which of the two
        purpose, candidate = item[5:] or (Purpose.PLACE, "")
        if candidate not in ("", first, second):
            raise record.wrong(f"the candidate {candidate!r:.20}", "one of the pair, or nothing")
        answers.append(
            Answer(
                annotation=key,
                pair=Pair(first, second),
                verdict=record.as_choice(verdict, Verdict),
                annotator=annotator,
                updated_at=updated_at,
                origin=record.as_choice(origin, Origin),
                predicted=None if predicted is None else float(predicted),
                purpose=record.as_choice(purpose, Purpose),
                candidate=candidate,
            )
        )
    return Annotation(
        key=key,
        task=record.whole("task"),
        question=record.text("question"),
        annotator=annotator,
        updated_at=updated_at,
        answers=tuple(answers),
        skipped=record.flag("skipped"),
        seconds=record.number_or_none("seconds"),
        note=record.text("note", ""),
    )


def dump_lines(annotations: Iterable[Annotation]) -> bytes:
    """Annotations as the ``answers.jsonl`` of a version, one a line, with their keys."""
    return "".join(f'{{"key":{json.dumps(str(a.key))},{dump_annotation(a)[1:]}\n' for a in annotations).encode()


def load_lines(data: bytes, place: str, mend: str = MEND) -> list[Annotation]:
    """Inverse of :func:`dump_lines`; empty lines are passed over.

    Args:
        data: the file.
        place: what the messages call it.
        mend: what the messages tell a person to do.

    Raises:
        InputError: a line is malformed, or two have one key; the message names ``place`` and the line.
    """
    found: dict[AnnotationKey, int] = {}
    annotations = []
    for number, line in enumerate(data.splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{place} line {number}"
        record = Record(line, where, mend)
        key = read_key(record.text("key"), where, mend)
        if key in found:
            raise record.wrong(f"the key {key} of line {found[key]} again", "one line for each annotation")
        found[key] = number
        annotations.append(load_annotation(key, record))
    return annotations


def read_key(text: str, place: str, mend: str = MEND) -> AnnotationKey:
    """``desk:number`` as a key.

    Raises:
        InputError: it is not spelt so.
    """
    try:
        key = AnnotationKey.parse(text)
    except ValueError:
        raise InputError(f"{place} has the field {text!r:.60}; expected desk:number; {mend}") from None
    return key


def question_fields(question: Question) -> dict[str, Any]:
    """A question as JSON values."""
    return {
        "kind": question.kind,
        "anchor": question.anchor,
        "candidates": list(question.candidates),
        "purpose": question.purpose,
        "probabilities": list(question.probabilities),
        "informativeness": question.informativeness,
        "round": question.round,
        "gain": question.gain,
        "checks": list(question.checks),
    }


def load_question(record: Record) -> Question:
    """Inverse of :func:`question_fields`.

    Raises:
        InputError: malformed; the message names where.
    """
    return Question(
        kind=record.choice("kind", QuestionKind),
        anchor=record.text("anchor"),
        candidates=record.texts("candidates"),
        purpose=record.choice("purpose", Purpose),
        probabilities=record.numbers("probabilities"),
        informativeness=record.number("informativeness"),
        round=record.whole("round"),
        gain=record.number("gain", 0.0),
        checks=record.texts("checks") if "checks" in record.value else (),
    )
