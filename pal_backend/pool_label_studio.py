"""Pools that are a project of Label Studio: what its tasks show is taken in, by one field of their data.

Uploads and storages of Label Studio are asked for there, under our token; addresses elsewhere only where the operator
allows their hosts. Tasks come with annotations; those are not looked at.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote

from label_config.parse import object_fields
from pal_backend.core.vocabulary import Medium
from pal_backend.errors import InputError
from pal_backend.label_studio import LabelStudio
from pal_backend.label_studio_values import RemoteTask
from pal_backend.pool_folder import PoolEntry, limited
from pal_backend.pool_index import LABEL_STUDIO, Quarantined

_ADDRESS = re.compile(r"label-studio:([1-9][0-9]{0,9})(?::([^\0-\x1f:]{1,100}))?\Z", re.ASCII)
_STORAGES = ("s3://", "s3s://", "gs://", "azure-blob://", "azure_spi://")
"""Addresses that Label Studio turns into signed ones."""
TAGS = {Medium.IMAGE: "Image", Medium.TEXT: "Text"}


class Fetcher(Protocol):
    """What :class:`pal_backend.resolver.Resolver` offers."""

    def fetch(self, url: str) -> bytes:
        """What is at an address."""

    def label_studio_url(self, path: str) -> str:
        """The address of something that Label Studio keeps."""


@dataclass(frozen=True)
class LabelStudioPool:
    """The tasks of a project.

    Args:
        address: ``label-studio:ID`` or ``label-studio:ID:FIELD``.
        label_studio: lists the tasks.
        fetcher: gets what they show.
        medium: what they show.
    """

    address: str
    label_studio: LabelStudio
    fetcher: Fetcher
    medium: Medium = Medium.IMAGE
    at_once: int = 4
    _said: dict[str, tuple[int, str]] = field(default_factory=dict, repr=False, compare=False)
    """Path to task and what its field says."""

    @property
    def about(self) -> str:
        """Its address."""
        return self.address

    def entries(self) -> Iterator[PoolEntry | Quarantined]:
        """What each task shows, by the tasks' numbers; the path of a sample is ``task-ID``.

        Raises:
            InputError: the project is a desk of ours, or shows nothing of this kind.
            PalError: Label Studio cannot be asked.
        """
        number, name = read_address(self.address)
        name = name or self._field(number)
        self._said.clear()
        yield from limited((self._entry(task, name) for task in self.label_studio.tasks(number)), self.about)

    def read(self, path: str) -> bytes:
        """What a task shows."""
        task, said = self._said[path]
        if self.medium is Medium.TEXT:
            return said.encode("utf-8", "surrogatepass")
        if said.startswith("/"):
            return self.fetcher.fetch(self.fetcher.label_studio_url(said))
        if said.startswith(_STORAGES):
            where = quote(base64.b64encode(said.encode()).decode(), safe="")
            return self.fetcher.fetch(self.fetcher.label_studio_url(f"/tasks/{task}/resolve/?fileuri={where}"))
        return self.fetcher.fetch(said)

    def _field(self, number: int) -> str:
        """The field of the data that the labelling config shows."""
        remote = self.label_studio.project(number)
        if "[pal " in remote.description:
            raise InputError(
                f"project {number} of Label Studio is a desk where PAL asks its questions; expected one of yours with the samples"
            )
        try:
            fields = object_fields(remote.label_config, TAGS[self.medium])
        except ValueError as problem:
            raise InputError(
                f"project {number} of Label Studio: {problem}; say the field with {self.address}:FIELD"
            ) from None
        if len(fields) != 1:
            found = f"the fields {', '.join(fields)}" if fields else f"no <{TAGS[self.medium]}>"
            raise InputError(
                f"project {number} of Label Studio shows {found}; expected one; say which with {LABEL_STUDIO}{number}:FIELD"
            )
        return fields[0]

    def _entry(self, task: RemoteTask, name: str) -> PoolEntry | Quarantined:
        path = f"task-{task.id}"
        data = task.raw.get("data")
        said = data.get(name) if isinstance(data, dict) else None
        if not isinstance(said, str) or not said.strip():
            return Quarantined(path, f"its data has no text under {name!r:.100}; mend the task, or name another field")
        self._said[path] = task.id, said
        stamp = int.from_bytes(hashlib.sha256(said.encode("utf-8", "surrogatepass")).digest()[:6])
        return PoolEntry(path, -1, stamp, remote=True)


def read_address(address: str) -> tuple[int, str]:
    """Number of the project, and the field, "" where none is named.

    Raises:
        InputError: it cannot be read.
    """
    found = _ADDRESS.match(address)
    if found is None:
        raise InputError(
            f"{address!r:.200} is no pool; expected label-studio:ID or label-studio:ID:FIELD, ID of a project"
        )
    return int(found[1]), found[2] or ""
