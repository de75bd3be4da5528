"""The groups of a revision as people look at them: sizes, and members from the most typical to the most doubtful."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.posterior import Posterior
from pal_backend.core.vocabulary import SampleId


class Member(NamedTuple):
    """A sample in a group."""

    sample: SampleId
    probability: float
    """Of the group, 0..1."""


class Group(NamedTuple):
    """A group at a glance."""

    id: SampleId
    size: int
    confidence: float
    """Mean probability of its members, 0..1."""


@dataclass(frozen=True)
class Grouping:
    """N samples by the most probable of K groups, as exports have them: a hundredth of the posterior it is made from.

    Args:
        sample_ids: the N samples, in the order of the version's rows.
        groups: K group ids.
        order: int32 (N,), rows group by group, each from the most typical to the most doubtful member.
        starts: int64 (K + 1,), where in ``order`` each group begins, and where the last one ends.
        probability: float32 (N,), of a row's own group, in the order of the rows.
    """

    sample_ids: Sequence[SampleId]
    groups: Sequence[SampleId]
    order: NDArray[np.int32]
    starts: NDArray[np.int64]
    probability: NDArray[np.float32]

    @classmethod
    def of(cls, posterior: Posterior) -> Grouping:
        """The grouping that a posterior implies; ties stay in the order of the rows."""
        best, probability = posterior.assignment()
        order = np.lexsort((-probability, best)).astype(np.int32)
        starts = np.searchsorted(best[order], np.arange(len(posterior.groups) + 1))
        return cls(posterior.sample_ids, posterior.groups, order, starts, probability)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What is stored as tensors; ids and groups are the revision's own."""
        return {"order": self.order, "starts": self.starts, "probability": self.probability}

    @classmethod
    def load(
        cls, sample_ids: Sequence[SampleId], groups: Sequence[SampleId], arrays: Mapping[str, NDArray[Any]]
    ) -> Grouping:
        """Inverse of :meth:`arrays`.

        Raises:
            ValueError: shapes or rows do not fit together.
        """
        order, starts, probability = arrays["order"], arrays["starts"], arrays["probability"]
        n, k = len(sample_ids), len(groups)
        fits = order.shape == (n,) and probability.shape == (n,) and starts.shape == (k + 1,)
        if not fits or (n and (order.min() < 0 or order.max() >= n)) or (np.diff(starts, append=n) < 0).any():
            raise ValueError(
                f"grouping of {order.shape} rows and {starts.shape} starts does not fit {n} samples, {k} groups"
            )
        return cls(sample_ids, groups, order, starts, probability)

    @cached_property
    def index(self) -> Mapping[SampleId, int]:
        """Sample id to row."""
        return {sample: row for row, sample in enumerate(self.sample_ids)}

    @cached_property
    def numbers(self) -> Mapping[SampleId, int]:
        """Group id to its number."""
        return {group: number for number, group in enumerate(self.groups)}

    @cached_property
    def sized(self) -> tuple[Group, ...]:
        """Groups that have members, largest first."""
        sizes = np.diff(self.starts)
        sums = np.diff(np.concatenate([[0.0], np.cumsum(self.probability[self.order], dtype=np.float64)])[self.starts])
        found = (
            Group(group, size, min(total / size, 1.0))
            for group, size, total in zip(self.groups, sizes.tolist(), sums.tolist(), strict=True)
            if size
        )
        return tuple(sorted(found, key=lambda group: (-group.size, group.id)))

    @cached_property
    def _by_id(self) -> Mapping[SampleId, Group]:
        return {group.id: group for group in self.sized}

    def find(self, group: SampleId) -> Group | None:
        """A group by its id; None if there is none of that id (any more), or it has no members."""
        return self._by_id.get(group)

    def group_of(self, sample: SampleId) -> SampleId | None:
        """The group in which a sample most probably is; that which it founded counts first."""
        if sample in self.numbers:
            return sample
        row = self.index.get(sample)
        return None if row is None or not self.groups else self.groups[int(self.assigned[row])]

    def typical(self, group: SampleId, start: int = 0, count: int = 4) -> list[Member]:
        """Members by falling probability."""
        return self._members(self._rows(group)[start : start + count])

    def doubtful(self, group: SampleId, start: int = 0, count: int = 4) -> list[Member]:
        """Members by rising probability."""
        return self._members(self._rows(group)[::-1][start : start + count])

    def among(self, group: SampleId, samples: Iterable[SampleId]) -> list[Member]:
        """Those of the samples that are in the group, in their order, each once."""
        rows = (self.index.get(sample) for sample in dict.fromkeys(samples))
        found = np.asarray([row for row in rows if row is not None], np.int64)
        return self._members(found[self.assigned[found] == self.numbers[group]])

    @cached_property
    def assigned(self) -> NDArray[np.int64]:
        """Number of each row's group, int64 (N,)."""
        assigned = np.empty(len(self.order), np.int64)
        assigned[self.order] = np.repeat(np.arange(len(self.groups)), np.diff(self.starts))
        return assigned

    def _rows(self, group: SampleId) -> NDArray[np.int32]:
        number = self.numbers[group]
        return self.order[self.starts[number] : self.starts[number + 1]]

    def _members(self, rows: NDArray[Any]) -> list[Member]:
        return [Member(self.sample_ids[row], float(self.probability[row])) for row in rows.tolist()]
