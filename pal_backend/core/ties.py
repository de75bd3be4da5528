"""The answered graph as arrays, as workers publish it: what a page needs to say why a sample is where it is. numpy only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.vocabulary import AnnotationKey, SampleId

Ints = NDArray[np.int64]

MIXED, DECIDED, JOINED, APART = 1, 2, 4, 8
"""Flags of a pair: people said both; a lead decided it; its samples are in one component; their components are kept apart."""


@dataclass(frozen=True, eq=False)
class Ties:
    """E pairs with answers, in the order in which people first gave them.

    Args:
        ends: int32 (E, 2), rows of the two samples.
        weights: float32 (E,), log-odds of "same"; 0 where people were only unsure.
        flags: uint8 (E,), sums of :data:`MIXED`, :data:`DECIDED`, :data:`JOINED` and :data:`APART`.
        keys: int64 (A, 2), of every answer: the number of its desk in ``desks``, and that of its annotation there.
        starts: int64 (E + 1,), where in ``keys`` each pair's answers begin, and where the last one's end.
        desks: names.
    """

    ends: NDArray[np.int32]
    weights: NDArray[np.float32]
    flags: NDArray[np.uint8]
    keys: Ints
    starts: Ints
    desks: tuple[str, ...]

    @classmethod
    def of(cls, graph: SimilarityGraph, index: Mapping[SampleId, int]) -> Ties:
        """The pairs of a graph; those with a sample that ``index`` (sample to row) does not know are left out."""
        known = [(pair, edge) for pair, edge in graph.edges.items() if pair.first in index and pair.second in index]
        names: dict[str, int] = {}
        keys = [(names.setdefault(key.desk, len(names)), key.number) for _, edge in known for key in edge.annotations]
        counts = [len(edge.annotations) for _, edge in known]
        flags = [
            MIXED * edge.mixed
            + DECIDED * (edge.decided is not None)
            + JOINED * graph.joined(*pair)
            + APART * graph.apart(*pair)
            for pair, edge in known
        ]
        return cls(
            ends=np.asarray([(index[pair.first], index[pair.second]) for pair, _ in known], np.int32).reshape(-1, 2),
            weights=np.asarray([edge.weight for _, edge in known], np.float32),
            flags=np.asarray(flags, np.uint8),
            keys=np.asarray(keys, np.int64).reshape(-1, 2),
            starts=np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64),
            desks=tuple(names),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What is stored as tensors; the desks' names as lines of text."""
        desks = np.frombuffer("\n".join(self.desks).encode(), np.uint8)
        return {
            "ends": self.ends,
            "weights": self.weights,
            "flags": self.flags,
            "keys": self.keys,
            "starts": self.starts,
            "desks": desks,
        }

    @classmethod
    def load(cls, arrays: Mapping[str, NDArray[Any]]) -> Ties:
        """Inverse of :meth:`arrays`.

        Raises:
            ValueError: shapes do not fit together.
        """
        text = arrays["desks"].astype(np.uint8).tobytes().decode()
        found = cls(
            arrays["ends"],
            arrays["weights"],
            arrays["flags"],
            arrays["keys"],
            arrays["starts"],
            tuple(text.split("\n")),
        )
        count, answers = len(found.ends), len(found.keys)
        fits = (
            found.ends.shape == (count, 2) and found.keys.shape == (answers, 2) and found.starts.shape == (count + 1,)
        )
        if not fits or found.weights.shape != (count,) or found.flags.shape != (count,):
            raise ValueError(f"{count} pairs with {found.weights.shape} weights and {found.starts.shape} starts")
        if (np.diff(found.starts) < 0).any() or int(found.starts[-1]) != answers:
            raise ValueError(f"starts of the pairs' answers end at {found.starts[-1]}, not at {answers}")
        return found

    def annotations(self, edge: int) -> list[AnnotationKey]:
        """Whose answers a pair has, in the order in which they were given."""
        found = self.keys[self.starts[edge] : self.starts[edge + 1]].tolist()
        return [AnnotationKey(self.desks[desk], number) for desk, number in found]

    def has(self, edge: int, flag: int) -> bool:
        """Whether a pair has a flag."""
        return bool(self.flags[edge] & flag)

    def touching(self, row: int) -> list[int]:
        """The pairs that a sample is in, in their order."""
        found, _ = self._touching(np.asarray([row]))
        return sorted(found.tolist())

    def between(self, a: int, b: int) -> int | None:
        """The pair of two rows, if it has answers."""
        return next((edge for edge in self.touching(a) if b in self.ends[edge].tolist()), None)

    def component(self, row: int, without: Collection[int] = ()) -> Ints:
        """The rows that trusted "same" answers join to a row, itself first; ``without`` rows are not passed."""
        return self._reach(row, -1, without)[0]

    def path(self, start: int, goal: int) -> list[int] | None:
        """A shortest chain of trusted "same" answers, as pairs from ``start`` on; None if none joins the two."""
        rows, via = self._reach(start, goal, ())
        came = dict(zip(rows.tolist(), via.tolist(), strict=True))
        if goal not in came:
            return None
        chain, at = [], goal
        while at != start:
            chain.append(came[at])
            at = int(self.ends[came[at]].sum()) - at
        return chain[::-1]

    def pieces(self, rows: Sequence[int], without: Collection[int] = ()) -> list[Ints]:
        """The components that some rows fall into when ``without`` rows are not there, each with its first row in front."""
        found: list[Ints] = []
        seen: set[int] = set()
        for row in rows:
            if row not in seen:
                found.append(self.component(row, without))
                seen.update(found[-1].tolist())
        return found

    def across(self, some: Iterable[int], others: Iterable[int]) -> Ints:
        """The pairs with one sample in each of two sets of rows that have none in common."""
        a, b = (np.isin(self.ends, np.fromiter(rows, np.int64)) for rows in (some, others))
        return np.flatnonzero((a & b[:, ::-1]).any(axis=1))

    @cached_property
    def _sorted(self) -> tuple[Ints, Ints]:
        """Every row once for each of its pairs, ascending, and those pairs."""
        flat = self.ends.reshape(-1).astype(np.int64)
        order = np.argsort(flat, kind="stable")
        return flat[order], order // 2

    def _touching(self, rows: Ints) -> tuple[Ints, Ints]:
        """Pairs that each of the rows is in, and the row that each was found from."""
        flat, edges = self._sorted
        first, last = np.searchsorted(flat, rows, "left"), np.searchsorted(flat, rows, "right")
        count = last - first
        at = np.arange(int(count.sum())) + np.repeat(first - (np.cumsum(count) - count), count)
        return edges[at], np.repeat(rows, count)

    def _reach(self, start: int, goal: int, without: Collection[int]) -> tuple[Ints, Ints]:
        """Rows met from ``start``, nearest first, until ``goal`` is, and the pair by which each was (-1 for the first)."""
        frontier = np.asarray([start], np.int64)
        rows, via = [frontier], [np.asarray([-1], np.int64)]
        seen = np.zeros(max(start, int(self.ends.max(initial=0))) + 1, bool)
        seen[[row for row in without if row < len(seen)]] = True
        seen[start] = True
        trusted = (self.weights > 0.0) & (self.flags & JOINED > 0)
        while len(frontier) and goal not in frontier:
            edges, sources = self._touching(frontier)
            there = self.ends[edges].sum(axis=1) - sources
            some = trusted[edges] & ~seen[there]
            # of several ways to a row the one answered first
            frontier, first = np.unique(there[some][np.argsort(edges[some])], return_index=True)
            seen[frontier] = True
            rows.append(frontier)
            via.append(np.sort(edges[some])[first])
        return np.concatenate(rows), np.concatenate(via)
