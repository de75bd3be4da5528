"""What answering costs, as JSON values and back; it is part of a revision, and no key is owned here."""

from __future__ import annotations

from typing import Any

from pal_backend.core.paying import Effort, Outlook, Person
from pal_backend.core.vocabulary import QuestionKind
from pal_backend.store.records import Record


def effort_fields(effort: Effort) -> dict[str, Any]:
    """An effort as JSON values."""
    return {
        "outlooks": {
            str(kind): {
                "seconds": outlook.seconds,
                "timed": outlook.timed,
                "idle": outlook.idle,
                "ahead": outlook.ahead,
                "gain": outlook.gain,
                "answers": outlook.answers,
            }
            for kind, outlook in effort.outlooks.items()
        },
        "people": [
            {
                "name": person.name,
                "answers": person.answers,
                "error_rate": person.error_rate,
                "median_seconds": {str(kind): seconds for kind, seconds in person.median_seconds.items()},
            }
            for person in effort.people
        ],
        "error": effort.error,
    }


def load_effort(value: Any, place: str) -> Effort:
    """Inverse of :func:`effort_fields`; None (a revision of an earlier release) gives an effort nothing is known of.

    Raises:
        InputError: malformed; the message names where.
    """
    if value is None:
        return Effort()
    record = Record.of(value, place)
    outlooks = {
        record.as_choice(kind, QuestionKind): _outlook(Record.of(found, f"{place} {kind:.20}"))
        for kind, found in record.mapping("outlooks").items()
    }
    people = tuple(_person(Record.of(found, f"{place} people")) for found in record.items("people"))
    return Effort(outlooks, people, record.number("error"))


def _outlook(record: Record) -> Outlook:
    seconds = record.number("seconds")
    answers = record.number_or_none("answers")
    if seconds <= 0.0 or (answers is not None and answers <= 0.0):
        raise record.wrong(f"{seconds:g} seconds for {answers} answers", "more than 0")
    return Outlook(
        seconds=seconds,
        timed=record.whole("timed"),
        idle=record.whole("idle"),
        ahead=record.whole("ahead"),
        gain=record.number_or_none("gain"),
        answers=answers,
    )


def _person(record: Record) -> Person:
    medians = Record.of(record.mapping("median_seconds"), f"{record.place} median_seconds")
    return Person(
        name=record.text("name"),
        answers=record.whole("answers"),
        error_rate=record.number_or_none("error_rate"),
        median_seconds={record.as_choice(kind, QuestionKind): medians.number(kind) for kind in medians.value},
    )
