"""Makes what the map shows: places that never change, and groups and confidences that do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.grouping import Group, Grouping
from pal_backend.core.places import Places
from pal_backend.core.vocabulary import SampleId
from pal_backend.errors import NotFoundError
from pal_backend.page_views import PageViews
from pal_backend.store.stores import Stores

HUES = 10
"""Colours that can be told apart: the largest groups have one each, the others share grey."""
LISTED = 200
"""Groups named beside the map; the page of groups has all."""
NO_GROUP = 65_535
KEPT = 4
"""Maps in memory, some megabyte each."""


@dataclass(frozen=True)
class Shown:
    """A group beside the map."""

    number: int
    """By which the data of the map speak of it: 0 is the largest."""
    group: Group
    name: str
    hue: int | None


@dataclass(frozen=True)
class MapView:
    """The page of the map."""

    version: str | None
    """Whose samples it shows; None: there is no map yet."""
    current: str | None
    """The version in use."""
    shown: int
    samples: int
    method: str
    groups: Sequence[Shown]
    more: int
    """Groups that are not listed."""
    revision: int | None


@dataclass(frozen=True)
class _Map:
    """A map with the ids of its samples."""

    places: Places
    samples: int
    sample_ids: Sequence[SampleId]


class MapViews:
    """Makes the views of maps; keeps the last few maps in memory, which never change."""

    def __init__(self, views: PageViews) -> None:
        self._stores = views.stores
        self._load = lru_cache(KEPT)(self._read)
        self._known: dict[str, tuple[str, Sequence[SampleId], NDArray[np.int64]]] = {}

    def page(self, name: str) -> MapView:
        """Of one project.

        Raises:
            NotFoundError: there is no such project.
        """
        name = self._stores.projects.get(name).name
        version, current = self._stores.maps(name).shown(), self._stores.versions(name).current()
        groups = _listed(self._stores, name)
        sized = self._stores.revisions(name).grouping()
        found = None if version is None else self._load(name, version)
        return MapView(
            version=version,
            current=current,
            shown=0 if found is None else len(found.places.rows),
            samples=0 if found is None else found.samples,
            method="" if found is None else found.places.method,
            groups=groups,
            more=0 if sized is None else len(sized.sized) - len(groups),
            revision=self._stores.revisions(name).number(),
        )

    def places(self, name: str, version: str) -> bytes:
        """x and y of each sample on the map, little-endian uint16, one sample after the other.

        Raises:
            NotFoundError: there is no such project or map.
        """
        return self._of(name, version).places.xy.astype("<u2").tobytes()

    def groups(self, name: str, version: str) -> tuple[int | None, bytes]:
        """Number of the revision; of all M samples the number of the group, little-endian uint16 (65535: none), then
        of all the confidence, uint8 (255 is certain).

        Raises:
            NotFoundError: there is no such project or map.
        """
        found, revisions = self._of(name, version), self._stores.revisions(name)
        number, grouping = revisions.number(), revisions.grouping()
        groups = np.full(len(found.sample_ids), NO_GROUP, "<u2")
        sure = np.zeros(len(found.sample_ids), np.uint8)
        if grouping is not None and grouping.groups:
            rows = self._rows(name, version, grouping.sample_ids)
            known = rows >= 0
            groups[known] = _numbers(grouping)[grouping.assigned[rows[known]]]
            sure[known] = np.rint(grouping.probability[rows[known]] * 255)
        return number, groups.tobytes() + sure.tobytes()

    def sample(self, name: str, version: str, at: int) -> Mapping[str, Any]:
        """One sample of the map, by its place in the list.

        Raises:
            NotFoundError: there is no such project, map or sample.
        """
        found = self._of(name, version)
        if not 0 <= at < len(found.sample_ids):
            raise NotFoundError(f"there is no sample {at} on this map; expected 0 to {len(found.sample_ids) - 1}")
        sample, grouping = found.sample_ids[at], self._stores.revisions(name).grouping()
        group = None if grouping is None else grouping.group_of(sample)
        row = None if grouping is None else grouping.index.get(sample)
        sure = None if grouping is None or row is None or group is None else float(grouping.probability[row])
        names = self._stores.names(name).of(grouping)
        return {
            "sample": sample,
            "group": group,
            "name": names.get(group or "", ""),
            "probability": sure,
            "href": f"/projects/{quote(name)}/samples/{sample}",
        }

    def _of(self, name: str, version: str) -> _Map:
        return self._load(self._stores.projects.get(name).name, version)

    def _rows(self, name: str, version: str, sample_ids: Sequence[SampleId]) -> NDArray[np.int64]:
        """Where the samples of a map stand among others, int64 (M,), -1 for nowhere; the same list is looked through once."""
        kept = self._known.get(name)
        if kept is None or kept[0] != version or kept[1] is not sample_ids:
            index = {sample: row for row, sample in enumerate(sample_ids)}
            rows = np.asarray([index.get(one, -1) for one in self._of(name, version).sample_ids], np.int64)
            kept = self._known[name] = (version, sample_ids, rows)
        return kept[2]

    def _read(self, name: str, version: str) -> _Map:
        places, samples = self._stores.maps(name).load(version)
        sample_ids = self._stores.versions(name).load_ids(version)
        return _Map(places, samples, [sample_ids[row] for row in places.rows.tolist()])


def _listed(stores: Stores, name: str) -> list[Shown]:
    """The largest groups, each of the very largest with a hue of its own."""
    grouping = stores.revisions(name).grouping()
    if grouping is None:
        return []
    names = stores.names(name).of(grouping)
    # By id, so that a hue stays with its group while sizes change places.
    hues = {group: hue for hue, group in enumerate(sorted(found.id for found in grouping.sized[:HUES]))}
    return [
        Shown(number, group, names.get(group.id, ""), hues.get(group.id))
        for number, group in enumerate(grouping.sized[:LISTED])
    ]


def _numbers(grouping: Grouping) -> NDArray[np.uint16]:
    """Number of a group in the posterior's order to its rank by size, uint16 (K,)."""
    ranks = np.full(len(grouping.groups), NO_GROUP, np.uint16)
    for rank, group in enumerate(grouping.sized[:NO_GROUP]):
        ranks[grouping.numbers[group.id]] = rank
    return ranks
