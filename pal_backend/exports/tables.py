"""Groups as tables: one row for each file of the pool, as CSV, JSON lines or Parquet."""

from __future__ import annotations

import csv
import io
import json
from typing import Any, NamedTuple

from pal_backend.core.vocabulary import SampleId, Verdict
from pal_backend.errors import ConfigError
from pal_backend.exports.snapshot import Made, Snapshot

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


def rows(snapshot: Snapshot) -> list[Row]:
    """A row for each file of the pool, by path.

    Raises:
        NotFoundError: the project has no samples.
    """
    groups: dict[SampleId, tuple[str, str, float]] = {}
    if snapshot.posterior is not None and snapshot.posterior.groups:
        best, probability = snapshot.posterior.assignment()
        names = [(group, snapshot.names.get(group, "")) for group in snapshot.posterior.groups]
        groups = {
            sample: (*names[k], round(p, 4))
            for sample, k, p in zip(snapshot.posterior.sample_ids, best.tolist(), probability.tolist(), strict=True)
        }
    answered = {sample for answer in snapshot.answers if answer.verdict is not Verdict.UNSURE for sample in answer.pair}
    files = sorted((path, sample.id) for sample in snapshot.samples for path in sample.paths)
    return [Row(sample, path, *groups.get(sample, ("", "", 0.0)), sample in answered) for path, sample in files]


def as_csv(snapshot: Snapshot) -> Made:
    """With a head; a text that a spreadsheet would run as a formula gets an apostrophe in front."""
    found = rows(snapshot)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(
        (row.sample, inert(row.path), inert(row.group), inert(row.name), row.confidence, str(row.answered).lower())
        for row in found
    )
    return Made(text.getvalue().encode(), _counted(found))


def as_jsonl(snapshot: Snapshot) -> Made:
    """One object a line."""
    found = rows(snapshot)
    return Made(
        "".join(json.dumps(row._asdict(), ensure_ascii=False) + "\n" for row in found).encode(), _counted(found)
    )


def as_parquet(snapshot: Snapshot) -> Made:
    """Strings, a double and a boolean, with the project, version and revision in the file's metadata.

    Raises:
        ConfigError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as problem:
        raise ConfigError(
            f"Parquet needs the package pyarrow, which cannot be imported ({problem}); install the extra where workers and "
            "`pal` run: pip install 'pal-label-studio[parquet]'"
        ) from None
    found = rows(snapshot)
    kinds = {"confidence": pyarrow.float64(), "answered": pyarrow.bool_()}
    schema: Any = pyarrow.schema([(name, kinds.get(name, pyarrow.string())) for name in Row._fields])
    about = {
        "pal": json.dumps({"project": snapshot.project.name, "version": snapshot.version, "made from": snapshot.label})
    }
    columns = [list(column) for column in zip(*found, strict=True)] or [[] for _ in Row._fields]
    table = pyarrow.Table.from_arrays(
        [pyarrow.array(column, field.type) for column, field in zip(columns, schema, strict=True)],
        schema=schema.with_metadata(about),
    )
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table, buffer, compression="zstd")
    return Made(buffer.getvalue(), _counted(found))


def inert(text: str) -> str:
    """The text, with an apostrophe in front if a spreadsheet would run it as a formula."""
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def _counted(found: list[Row]) -> str:
    return f"{len(found):,} row{'' if len(found) == 1 else 's'}"
