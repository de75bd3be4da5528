"""What can be taken home, in words. Nothing is made here: :mod:`pal_backend.exports.making` does, in workers and commands."""

from __future__ import annotations

from dataclasses import dataclass

from pal_backend.errors import InputError


@dataclass(frozen=True)
class Kind:
    """One kind of export."""

    name: str
    """As `pal export --format` and the page's address have it."""
    ending: str
    """Of the file's name."""
    title: str
    sentence: str
    """What is in it."""
    about: str
    """The heading under which it stands."""


KINDS = (
    Kind("csv", "csv", "CSV", "A row for each file, for spreadsheets.", "groups"),
    Kind("jsonl", "jsonl", "JSON lines", "The same rows, an object a line.", "groups"),
    Kind("parquet", "parquet", "Parquet", "The same rows in typed columns. Needs the extra parquet.", "groups"),
    Kind(
        "card", "html", "Data card", "What was asked, of whom, how much they agreed, how good the groups are.", "groups"
    ),
    Kind("embeddings", "zip", "Embeddings", "features.npy, float32, with the ids of its rows.", "model"),
    Kind("model", "zip", "Model", "Weights with a loader of ten lines, and a torch.export program.", "model"),
    Kind("edges", "zip", "Edges of the graph", "Answered pairs with what was said, and the neighbours.", "answers"),
    Kind("answers", "jsonl", "Answers", "All annotations, to be imported into another project.", "answers"),
)
"""In the order in which they are shown."""

LABEL_STUDIO = "label-studio"
"""Under this name the last push of predictions stands beside the files."""


def label_of(version: str | None, revision: int | None) -> str:
    """Version and revision, as `v0003-r41`; `r0` before anything was learned."""
    return f"{version or 'none'}-r{revision or 0}"


def kind_of(name: str) -> Kind:
    """The kind of that name.

    Raises:
        InputError: there is none.
    """
    found = next((kind for kind in KINDS if kind.name == name), None)
    if found is None:
        names = ", ".join(kind.name for kind in KINDS)
        raise InputError(f"cannot export {name!r:.40}; expected one of {names}; choose one of them")
    return found
