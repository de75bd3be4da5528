"""Pools by manifest: a CSV or JSONL file with a path, an address or a text on each line.

Paths lie in the manifest's folder and below; whoever wrote the manifest cannot make us read a file elsewhere. Addresses
are for :mod:`pal_backend.resolver`, which says whether they may be fetched.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from pal_backend.core.vocabulary import Medium
from pal_backend.errors import InputError, NotFoundError
from pal_backend.pool_folder import PoolEntry, entry_at, limited
from pal_backend.pool_index import MANIFESTS, Quarantined, read_inside

PLACES = ("path", "file", "image", "url")
"""Names of the column that says where a sample is; the first that is there counts."""
TEXTS = ("text",)
IDS = ("id",)
MAX_BYTES = 1_000_000_000
MAX_LINE = 200_000
"""Characters of a line, or of a field."""


class Row(NamedTuple):
    """One line: what it says, what the team calls it, and its number in the file, from 1."""

    line: int
    said: str
    name: str


@dataclass(frozen=True)
class ManifestPool:
    """The samples that a manifest names.

    Args:
        file: ``.csv`` with a head line, or ``.jsonl`` with an object a line, in UTF-8.
        medium: images by path or address, or texts that stand in the file.
        fetch: gets what is at an address; None where addresses may not be fetched.
    """

    file: Path
    medium: Medium = Medium.IMAGE
    fetch: Callable[[str], bytes] | None = None
    at_once: int = 8
    _texts: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def about(self) -> str:
        """Its path."""
        return str(self.file)

    def entries(self) -> Iterator[PoolEntry | Quarantined]:
        """What each line names, in the order of the lines.

        Raises:
            NotFoundError: there is no such file.
            InputError: it is no manifest; the message names the line.
        """
        rows = limited(self.rows(), self.about)
        return self._written(rows) if self.medium is Medium.TEXT else self._named(rows)

    def read(self, path: str) -> bytes:
        """The text of a line, the file at a path, or what is at an address."""
        if self.medium is Medium.TEXT:
            return self._texts[path].encode("utf-8", "surrogatepass")
        if not _is_address(path):
            return read_inside(self.file.parent, path)
        if self.fetch is None:
            raise InputError("an address where none may be fetched; give a path in the folder of the manifest")
        return self.fetch(path)

    def rows(self) -> Iterator[Row]:
        """The lines that say something.

        Raises:
            NotFoundError, InputError: as :meth:`entries`.
        """
        names: dict[str, int] = {}
        for row in self._rows():
            if row.name and row.name in names:
                raise InputError(
                    f"line {row.line} of {self.file} has the id {row.name!r:.80} of line {names[row.name]}; expected ids that "
                    "differ; mend the file"
                )
            if row.name:
                names[row.name] = row.line
            yield row

    def _rows(self) -> Iterator[Row]:
        wanted = TEXTS if self.medium is Medium.TEXT else PLACES
        column = ""
        for line, found in self._objects():
            column = column or next((name for name in wanted if name in found), "")
            if not column:
                raise InputError(
                    f"line {line} of {self.file} has {_listed(found)}; expected a column {' or '.join(wanted)}; "
                    "name it so" + ("" if self.medium is Medium.TEXT else ", or say --kind text if these are texts")
                )
            said = found.get(column)
            if not isinstance(said, str) or not said.strip():
                raise InputError(
                    f"line {line} of {self.file} says nothing under {column!r}; expected text there; mend the line"
                )
            name = next((found[one] for one in IDS if found.get(one) not in (None, "")), "")
            if not isinstance(name, (str, int)) or len(str(name)) > 200:
                raise InputError(f"line {line} of {self.file} has an id that is no short text; mend the line")
            yield Row(line, said, str(name))

    def _objects(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        try:
            size = self.file.stat().st_size
            if size > MAX_BYTES:
                raise InputError(
                    f"{self.file} has {size / 1e6:.0f} MB; a manifest may have {MAX_BYTES / 1e6:.0f}; cut it"
                )
            with self.file.open(encoding="utf-8-sig", newline="") as lines:
                yield from _csv(lines, self.file) if self.file.suffix.lower() == ".csv" else _jsonl(lines, self.file)
        except FileNotFoundError:
            raise NotFoundError(
                f"there is no manifest {self.file}; expected a file ending in {' or '.join(MANIFESTS)}; check the path"
            ) from None
        except UnicodeDecodeError as problem:
            raise InputError(
                f"{self.file} is not UTF-8 at byte {problem.start}; expected a manifest in UTF-8; save it so"
            ) from None
        except OSError as problem:
            raise InputError(f"{self.file} cannot be read: {problem.strerror}; mend its permissions") from None

    def _written(self, rows: Iterator[Row]) -> Iterator[PoolEntry | Quarantined]:
        self._texts.clear()
        for row in rows:
            path = f"{self.file.name}#{row.name or row.line}"
            data = row.said.encode("utf-8", "surrogatepass")
            self._texts[path] = row.said
            stamp = int.from_bytes(hashlib.sha256(data).digest()[:6])
            yield PoolEntry(path, len(data), stamp, row.name)

    def _named(self, rows: Iterator[Row]) -> Iterator[PoolEntry | Quarantined]:
        base = self.file.parent.resolve()
        for row in rows:
            said = row.said.strip()
            if _is_address(said):
                yield PoolEntry(said, -1, 0, row.name, remote=True)
                continue
            found = _inside(base, said)
            if isinstance(found, PoolEntry):
                yield found._replace(path=PurePosixPath(said).as_posix(), name=row.name)
            else:
                yield Quarantined(said[:500], f"line {row.line}: {found}")


def _is_address(said: str) -> bool:
    return "://" in said


def _inside(base: Path, said: str) -> PoolEntry | str:
    """The file at a path in the manifest's folder, or why it cannot be one."""
    parts = PurePosixPath(said).parts
    if said.startswith("/") or ".." in parts or "\0" in said or len(said) > 4_000:
        return "a path that leads out of the manifest's folder; expected one inside, such as cats/1.png"
    found = entry_at(base, base.joinpath(*parts))
    if isinstance(found, Quarantined):
        return found.reason
    return found or "there is no such file in the manifest's folder"


def _csv(lines: Iterator[str], file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    reader = csv.DictReader(_short(lines, file), strict=True)
    try:
        for found in reader:
            if None in found or None in found.values():
                raise InputError(
                    f"line {reader.line_num} of {file} has other fields than the head line; expected "
                    f"{len(reader.fieldnames or ())}: {_listed(dict.fromkeys(reader.fieldnames or ()))}; mend the line"
                )
            yield reader.line_num, found
    except csv.Error as problem:
        raise InputError(f"line {reader.line_num} of {file} is not CSV: {problem}; mend the line") from None


def _jsonl(lines: Iterator[str], file: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(_short(lines, file), start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise InputError(
                f'line {number} of {file} is no JSON object; expected one such as {{"path": "cats/1.png"}}'
            )
        yield number, found


def _short(lines: Iterator[str], file: Path) -> Iterator[str]:
    # readline with a limit would cut a line in two; a file of one endless line is bounded by MAX_BYTES.
    for number, line in enumerate(lines, start=1):
        if len(line) > MAX_LINE:
            raise InputError(f"line {number} of {file} has {len(line):,} characters; {MAX_LINE:,} are read; cut it")
        yield line


def _listed(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{name!s:.40}" for name in list(found)[:8]) or "no columns"
