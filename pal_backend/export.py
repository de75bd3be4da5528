"""Groups out: one row for each file of the pool, as CSV or JSON lines."""

from __future__ import annotations

import csv
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from pal_backend.core.grouping import Grouping
from pal_backend.core.vocabulary import SampleId, Verdict
from pal_backend.errors import InputError
from pal_backend.pool_index import load_samples
from pal_backend.store.stores import Stores

FORMATS = ("csv", "jsonl")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class Row(NamedTuple):
    """One file of the pool."""

    sample: SampleId
    path: str
    """Relative to the pool."""
    group: str
    """Id of the group; empty before there is one."""
    name: str
    """What people call the group; empty if nobody named it."""
    confidence: float
    """Probability of the group, 0..1, rounded to four digits."""
    answered: bool
    """Whether a person said "same" or "different" of this sample."""


def export(stores: Stores, project: str, kind: str, out: Path) -> int:
    """Write the groups of a project; returns the number of rows.

    Rows are sorted by path. The file is written beside its place and then renamed, so that nobody reads half of it.

    Args:
        stores: where the project is kept.
        project: its name.
        kind: csv or jsonl. In CSV a text that a spreadsheet would run as a formula gets an apostrophe in front.
        out: the file to write.

    Raises:
        InputError: an unknown format, or a place that cannot be written.
        NotFoundError: the project has no samples.
    """
    if kind not in FORMATS:
        raise InputError(f"cannot export {kind!r}; expected one of {', '.join(FORMATS)}")
    rows = _rows(stores, project)
    partial = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            count = (_write_csv if kind == "csv" else _write_jsonl)(rows, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(out)
    except OSError as problem:
        partial.unlink(missing_ok=True)
        raise InputError(f"{out} cannot be written: {problem.strerror}; give a file in a folder that exists") from None
    return count


def _rows(stores: Stores, project: str) -> Iterator[Row]:
    samples = load_samples(stores.artefacts, project)
    posterior = stores.revisions(project).posterior()
    names = {} if posterior is None else stores.names(project).of(Grouping.of(posterior))
    groups: dict[SampleId, tuple[str, str, float]] = {}
    if posterior is not None and posterior.groups:
        best, probability = posterior.assignment()
        groups = {
            sample: (group, names.get(group, ""), round(float(p), 4))
            for sample, group, p in zip(
                posterior.sample_ids, map(posterior.groups.__getitem__, best), probability, strict=True
            )
        }
    answered = {
        sample
        for annotation in stores.answers(project).all()
        for answer in annotation.answers
        if answer.verdict is not Verdict.UNSURE
        for sample in answer.pair
    }
    files = sorted((path, sample.id) for sample in samples for path in sample.paths)
    return (Row(sample, path, *groups.get(sample, ("", "", 0.0)), sample in answered) for path, sample in files)


def _write_csv(rows: Iterable[Row], file: IO[str]) -> int:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(Row._fields)
    count = 0
    for row in rows:
        answered = "true" if row.answered else "false"
        writer.writerow((row.sample, _inert(row.path), _inert(row.group), _inert(row.name), row.confidence, answered))
        count += 1
    return count


def _write_jsonl(rows: Iterable[Row], file: IO[str]) -> int:
    count = 0
    for row in rows:
        file.write(json.dumps(row._asdict(), ensure_ascii=False) + "\n")
        count += 1
    return count


def _inert(text: str) -> str:
    """The text, with an apostrophe in front if a spreadsheet would run it as a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text
