"""Makes what is taken home. For workers and commands: some kinds need torch, scipy or pyarrow."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from pal_backend.errors import InputError
from pal_backend.exports.answers import as_answers
from pal_backend.exports.arrays import as_embeddings
from pal_backend.exports.kinds import kind_of
from pal_backend.exports.snapshot import Made, Snapshot
from pal_backend.exports.tables import as_csv, as_jsonl, as_parquet
from pal_backend.store.exports import Export


def _card(snapshot: Snapshot) -> Made:
    from pal_backend.exports.card import as_card

    return as_card(snapshot)


def _edges(snapshot: Snapshot) -> Made:
    from pal_backend.exports.edges import as_edges

    return as_edges(snapshot)


def _model(snapshot: Snapshot) -> Made:
    from pal_backend.exports.model import as_model

    return as_model(snapshot)


# Whoever wants a table need not wait until torch and scikit-learn are loaded.
MAKERS: Mapping[str, Callable[[Snapshot], Made]] = {
    "csv": as_csv,
    "jsonl": as_jsonl,
    "parquet": as_parquet,
    "card": _card,
    "embeddings": as_embeddings,
    "model": _model,
    "edges": _edges,
    "answers": as_answers,
}
"""A function for each of :data:`pal_backend.exports.kinds.KINDS`."""


def make(snapshot: Snapshot, kind: str) -> Made:
    """Make one kind.

    Raises:
        InputError: there is no such kind.
        PalError: it cannot be made, with what to do.
    """
    return MAKERS[kind_of(kind).name](snapshot)


def make_and_keep(snapshot: Snapshot, kind: str) -> Export:
    """Make one kind and keep it where the page finds it."""
    made, about = make(snapshot, kind), kind_of(kind)
    file = file_name(snapshot, kind)
    export = Export(about.name, file, len(made.data), made.holds, snapshot.label, snapshot.now)
    snapshot.stores.exports(snapshot.project.name).put(export, made.data)
    return export


def file_name(snapshot: Snapshot, kind: str) -> str:
    """Such as ``birds-v0003-r41-groups.csv``; letters, digits, dots and hyphens alone."""
    about = kind_of(kind)
    what = "groups" if about.name in ("csv", "jsonl", "parquet") else about.name
    return f"{snapshot.project.name}-{snapshot.label}-{what}.{about.ending}"


def write(made: Made, out: Path) -> None:
    """Write it beside its place and rename it, so that nobody reads half of it.

    Raises:
        InputError: the place cannot be written.
    """
    partial = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    try:
        with partial.open("wb") as file:
            file.write(made.data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(out)
    except OSError as problem:
        partial.unlink(missing_ok=True)
        raise InputError(f"{out} cannot be written: {problem.strerror}; give a file in a folder that exists") from None
