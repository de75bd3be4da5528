"""The groups of a revision as people look at them: sizes, and members from the most typical to the most doubtful."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.posterior import Posterior
from pal_backend.core.vocabulary import SampleId, Verdict
from pal_backend.errors import NotFoundError
from pal_backend.store.stores import Stores

LATEST_ANNOTATIONS = 500
"""Newest annotations among which the samples that joined a group last are looked for."""


class Member(NamedTuple):
    """A sample in a group."""

    sample: SampleId
    probability: float
    """Of the group, 0..1."""


@dataclass(frozen=True)
class Group:
    """A group at a glance."""

    id: SampleId
    size: int
    confidence: float
    """Mean probability of its members, 0..1."""


class Grouping:
    """Samples by their most probable group, as exports have them.

    Args:
        posterior: beliefs over N samples and K groups.
    """

    def __init__(self, posterior: Posterior) -> None:
        self._posterior = posterior
        best, self._probability = posterior.assignment()
        self._best = best
        # Rows group by group, each from the most typical to the most doubtful; ties stay in the order of the rows.
        self._order = np.lexsort((-self._probability, best))
        self._starts = np.searchsorted(best[self._order], np.arange(len(posterior.groups) + 1))

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Groups that have members, largest first."""
        sizes = np.diff(self._starts)
        count = len(self._posterior.groups)
        sums = np.bincount(np.maximum(self._best, 0), self._probability, count) if count else np.zeros(0)
        found = [
            Group(group, int(size), float(total) / int(size))
            for group, size, total in zip(self._posterior.groups, sizes, sums, strict=True)
            if size
        ]
        return tuple(sorted(found, key=lambda group: (-group.size, group.id)))

    @cached_property
    def _by_id(self) -> dict[SampleId, Group]:
        return {group.id: group for group in self.groups}

    def find(self, group: SampleId) -> Group:
        """A group by its id.

        Raises:
            NotFoundError: there is none of that id (any more), or it has no members.
        """
        found = self._by_id.get(group)
        if found is None:
            raise NotFoundError(f"there is no group {group:.20}; it may have merged with another; look at all groups")
        return found

    def typical(self, group: SampleId, start: int = 0, count: int = 4) -> list[Member]:
        """Members by falling probability."""
        return self._members(self._rows(group)[start : start + count])

    def doubtful(self, group: SampleId, start: int = 0, count: int = 4) -> list[Member]:
        """Members by rising probability."""
        return self._members(self._rows(group)[::-1][start : start + count])

    def among(self, group: SampleId, samples: Iterable[SampleId]) -> list[Member]:
        """Those of the samples that are in the group, in their order, each once."""
        index, number = self._posterior.index, self._posterior.groups.index(group)
        rows = [row for row in map(index.get, dict.fromkeys(samples)) if row is not None and self._best[row] == number]
        return self._members(np.asarray(rows, np.int64))

    def _rows(self, group: SampleId) -> NDArray[np.int64]:
        number = self._posterior.groups.index(group)
        return np.asarray(self._order[self._starts[number] : self._starts[number + 1]])

    def _members(self, rows: NDArray[np.int64]) -> list[Member]:
        ids = self._posterior.sample_ids
        return [Member(ids[row], float(self._probability[row])) for row in rows.tolist()]


class Groupings:
    """The grouping of each project's latest revision, kept until the next one."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._kept: dict[str, tuple[Posterior, Grouping]] = {}

    def of(self, project: str) -> tuple[Posterior, Grouping] | None:
        """Beliefs and grouping; None before there is a revision."""
        posterior = self._stores.revisions(project).posterior()
        if posterior is None:
            return None
        kept = self._kept.get(project)
        if kept is None or kept[0] is not posterior:
            kept = self._kept[project] = (posterior, Grouping(posterior))
        return kept


def joined_last(stores: Stores, project: str) -> list[SampleId]:
    """Samples that somebody called the same as another one lately, the newest first."""
    latest = stores.answers(project).latest(LATEST_ANNOTATIONS)
    return [
        sample
        for annotation in latest
        for answer in annotation.answers
        if answer.verdict is Verdict.SAME
        for sample in ([answer.candidate] if answer.candidate else answer.pair)
    ]
