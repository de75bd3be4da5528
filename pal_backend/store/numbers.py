"""What groups without a name are called where people work with them: "group 1", "group 2"...

No Redis key is owned here. Artefact: ``projects/<p>/numbers.json``, group → number. A number is never given twice, so that what somebody
labelled as "group 3" stays what it was when other groups come and go.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from pal_backend.core.vocabulary import SampleId
from pal_backend.errors import NotFoundError
from pal_backend.store.artefacts import Artefacts
from pal_backend.store.records import Record


class Numbers:
    """The numbers of one project."""

    def __init__(self, artefacts: Artefacts, project: str) -> None:
        self._artefacts = artefacts
        self._file = f"projects/{project}/numbers.json"

    def labels(self, groups: Iterable[SampleId], names: Mapping[SampleId, str]) -> dict[SampleId, str]:
        """Group → its name, or "group" and its number; new numbers are kept.

        Raises:
            InputError: the file is malformed.
        """
        known, taken = self._kept(), set(names.values())
        before, last = len(known), max(known.values(), default=0)
        found = {}
        for group in groups:
            if group not in names and group not in known:
                last = next(n for n in range(last + 1, last + len(taken) + 2) if f"group {n}" not in taken)
                known[group] = last
            found[group] = names.get(group) or f"group {known[group]}"
        if len(known) > before:
            self._artefacts.write_file(self._file, json.dumps(known, indent=1).encode())
        return found

    def _kept(self) -> dict[SampleId, int]:
        try:
            record = Record(self._artefacts.read(self._file), self._file, "remove it; groups are then numbered anew")
        except NotFoundError:
            return {}
        return {group: record.whole(group) for group in record.value}
