"""Answers, as a file that another project takes in, and taking such a file in.

A line is an annotation as every version's folder has them, and besides: ``source``, by which its desk is known whatever
others are called, and ``pool``, by which one knows whether both projects have the same samples.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pal_backend import wire
from pal_backend.core.vocabulary import Annotation, Purpose, SampleId
from pal_backend.errors import InputError
from pal_backend.exports.snapshot import Made, Snapshot
from pal_backend.pool_index import load_samples
from pal_backend.store.imports import IMPORTED, Foreign, Imports, key_of, under
from pal_backend.store.projects import Project
from pal_backend.store.records import Record, dump_annotation, load_annotation, read_key
from pal_backend.store.stores import Stores

MAX_BYTES = 500_000_000
MAX_LINES = 2_000_000
MAX_ANSWERS = 200
"""Of one annotation: a screen has no more candidates."""
MAX_WORDS = 1_000
DAY_S = 86_400
MEND = "take it out, or export the answers again"
_SAMPLE = re.compile(r"[0-9a-f]{16}\Z")
_SOURCE = re.compile(r"(?:[0-9a-f]{16})?\Z")


def as_answers(snapshot: Snapshot) -> Made:
    """One annotation a line, those without answers (skips) among them; `pal train --answers` reads it as well.

    What was imported goes out as what it was where it was given, so that it is known again wherever it comes.
    """
    project, pool = snapshot.project, _pool(sample.id for sample in snapshot.samples)
    source = {name: _source(project, name) for name in {a.key.desk for a in snapshot.annotations}}
    origins = {one.annotation.key: one.origin for one in Imports(snapshot.stores.artefacts, project.name).all()}
    lines = []
    for annotation in snapshot.annotations:
        origin = origins.get(annotation.key, f"{source[annotation.key.desk]} {annotation.key}")
        desk, _, key = origin.partition(" ")
        head = json.dumps({"key": key, "source": desk, "pool": pool}, separators=(",", ":"))
        lines.append(f"{head[:-1]},{dump_annotation(annotation)[1:]}\n")
    return Made("".join(lines).encode(), f"{len(lines):,} annotations, {len(snapshot.answers):,} answers")


@dataclass(frozen=True)
class Taken:
    """What an import came to; counts of annotations unless said otherwise."""

    id: str
    """By which it is removed; "" if nothing was new."""
    new: int
    changed: int
    """Newer than what an earlier import brought."""
    known: int
    """Imported before, as they are or newer."""
    own: int
    """This project's own, which are not imported."""
    unknown: int
    """Not taken in, since no pair of theirs is in the pool."""
    answers: int
    """Answers taken in."""
    unknown_answers: int
    """Answers left out, since the pool lacks one of their samples."""
    unknown_samples: tuple[SampleId, ...]
    """The first few of those samples."""


def take_in(stores: Stores, name: str, data: bytes, place: str, now: float) -> Taken:
    """Make the answers of a file those of a project too. The same file again changes nothing.

    They are kept in the artefact folder under the desk ``imported``; the learn sitting folds them in. Answers on samples
    that the pool lacks are left out. What checked the accuracy of another pool's groups is an answer like any other here.

    Args:
        stores: where the project is kept.
        name: of the project.
        data: the file.
        place: what messages call it.
        now: seconds since 1970.

    Raises:
        NotFoundError: there is no such project, or its pool was never taken in.
        InputError: a line is malformed or beyond the limits; nothing was taken in.
    """
    project = stores.projects.get(name)
    pool = frozenset(sample.id for sample in load_samples(stores.artefacts, name))
    here, mark = {_source(project, desk.name) for desk in project.desks}, _pool(pool)
    lines = _read(data, place, now)
    imports, counts = Imports(stores.artefacts, name), Counter[str]()
    before = {one.origin: one.annotation for one in imports.all()}
    foreign = [line for line in lines if line.source not in here]
    withdrawn = frozenset(w.key for w in stores.answers(name).withdrawn() if w.key.desk == IMPORTED)
    unknown: dict[SampleId, None] = {}
    found = []
    for line in foreign:
        fitting, missing = _fitting(line, pool, same_pool=line.pool == mark)
        unknown |= dict.fromkeys(missing)
        counts["unknown_answers"] += len(line.annotation.answers) - len(fitting.answers)
        old = before.get(line.origin)
        state = _state(fitting, line.annotation, old)
        counts[state] += 1
        if state in ("new", "changed"):
            # As old as before, but with more answers, since the pool has grown: it would not win under the key it has.
            gone = withdrawn if old is None else withdrawn | {old.key}
            later = old is not None and fitting.updated_at > old.updated_at
            key = old.key if old is not None and later else key_of(line.origin, gone)
            found.append(Foreign(line.origin, under(fitting, key, line.person)))
    identity = imports.add(found) if found else ""
    return Taken(
        id=identity,
        new=counts["new"],
        changed=counts["changed"],
        known=counts["known"],
        own=len(lines) - len(foreign),
        unknown=counts["unknown"],
        answers=sum(len(one.annotation.answers) for one in found),
        unknown_answers=counts["unknown_answers"],
        unknown_samples=tuple(unknown)[:5],
    )


def tell(stores: Stores, name: str, now: float) -> None:
    """Let the learn sitting look at the imports; killed before, the next `pal sync` or import does."""
    stores.events(name).append(wire.ImportsChanged(), now, IMPORTED)


@dataclass(frozen=True)
class _Line:
    source: str
    pool: str
    annotation: Annotation

    @property
    def origin(self) -> str:
        """Who it is, whatever file it comes in."""
        return f"{self.source} {self.annotation.key}"

    @property
    def person(self) -> str:
        """Number 1 of another Label Studio is another person."""
        own, there = self.annotation.annotator, f"@{self.source[:8] or IMPORTED}"
        return own if own.endswith(there) else f"{own}{there}"


def _state(fitting: Annotation, whole: Annotation, old: Annotation | None) -> str:
    if whole.answers and not fitting.answers:
        return "unknown"
    if old is None:
        return "new"
    return "changed" if whole.updated_at > old.updated_at or len(fitting.answers) > len(old.answers) else "known"


def _fitting(line: _Line, pool: frozenset[SampleId], *, same_pool: bool) -> tuple[Annotation, list[SampleId]]:
    """The annotation with what the pool knows of it, and the samples that the pool lacks."""
    answers = [answer for answer in line.annotation.answers if pool.issuperset(answer.pair)]
    missing = [sample for answer in line.annotation.answers for sample in answer.pair if sample not in pool]
    if not same_pool:  # a uniform sample of another pool is none of this one
        answers = [replace(a, purpose=Purpose.PLACE) if a.purpose is Purpose.VERIFY else a for a in answers]
    return replace(line.annotation, answers=tuple(answers)), missing


def _read(data: bytes, place: str, now: float) -> list[_Line]:
    if len(data) > MAX_BYTES:
        raise InputError(f"{place} has {len(data) / 1e6:.0f} MB; at most {MAX_BYTES / 1e6:.0f} MB are read; split it")
    lines = data.splitlines()
    if len(lines) > MAX_LINES:
        raise InputError(f"{place} has {len(lines):,} lines; at most {MAX_LINES:,} are read; split it")
    newest: dict[str, _Line] = {}
    for number, text in enumerate(lines, start=1):
        if text.strip():
            line = _line(Record(text, f"{place} line {number}", MEND), now)
            if line.origin in newest:
                raise InputError(
                    f"{place} line {number} has the annotation {line.annotation.key} again; expected each once; {MEND}"
                )
            newest[line.origin] = line
    return list(newest.values())


def _line(record: Record, now: float) -> _Line:
    source, pool = record.text("source", ""), record.text("pool", "")
    if not (_SOURCE.match(source) and _SOURCE.match(pool)):
        raise record.wrong(f"the source {source!r:.20} and pool {pool!r:.20}", "16 hex digits each, or none")
    annotation = load_annotation(read_key(record.text("key"), record.place, MEND), record)
    for found, expected, wrong in _limits(annotation, now):
        if wrong:
            raise record.wrong(found, expected)
    return _Line(source, pool, annotation)


def _limits(annotation: Annotation, now: float) -> Iterable[tuple[str, str, bool]]:
    """What was found, what is expected, and whether that is wrong."""
    answers, seconds = annotation.answers, annotation.seconds
    samples = {sample for answer in answers for sample in answer.pair}
    pairs = Counter(answer.pair for answer in answers)
    yield f"the number {annotation.key.number}", "0 to 2^53", not 0 <= annotation.key.number < 2**53
    yield f"{len(answers)} answers", f"at most {MAX_ANSWERS}", len(answers) > MAX_ANSWERS
    yield "a pair twice", "each once", len(pairs) < len(answers)
    yield "a sample id that is none", "16 hex digits", not all(map(_SAMPLE.match, samples))
    words = (annotation.annotator, annotation.question, annotation.note, annotation.key.desk)
    yield "a very long text", f"at most {MAX_WORDS} characters", any(len(word) > MAX_WORDS for word in words)
    at = annotation.updated_at
    # A time to come would win over every later correction.
    yield f"the time {at}", "microseconds since 1970, not after tomorrow", not 0 <= at <= (now + DAY_S) * 1e6
    yield f"{seconds} seconds", "0 to a day", seconds is not None and not 0.0 <= seconds <= DAY_S
    predicted = [answer.predicted for answer in answers if answer.predicted is not None]
    yield "a probability beyond", "one between 0 and 1", not all(0.0 < p < 1.0 for p in predicted)


def _source(project: Project, name: str) -> str:
    """By which a desk is known in other projects: nothing that says where its Label Studio is."""
    desk = next((one for one in project.desks if one.name == name), None)
    address = [desk.label_studio_url, desk.project_id] if desk else []
    return hashlib.sha256(json.dumps([project.name, name, *address]).encode()).hexdigest()[:16]


def _pool(samples: Iterable[SampleId]) -> str:
    return hashlib.sha256(" ".join(sorted(samples)).encode()).hexdigest()[:16]
