"""What answers and open questions say of many pairs at once: the ground that strategies which place samples share.

Whether answers settle a pair is a matter of the two samples' components, so N samples against K groups is one small
table, and no pair of samples is looked at that nobody means to ask about.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.asking.state import REPRESENTATIVES, Candidates, State
from pal_backend.core.vocabulary import Pair

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Relations:
    """N samples against K groups, from the answers and the open questions of a state.

    While no group has a member here, the most typical sample stands for the first one, so that K is never 0.

    Attributes:
        representatives: int64 (K, R), rows of each group's best confirmed members, best first, filled up with -1.
        likely: float64 (N, K), belief that the sample is of the group; one half while no group has a member here.
        settled: bool (N, K), whether answers tell what the sample is to the group, or the group has no member here.
        asked: int64 (N, K), annotations that compare the sample with the group's members, "unsure" ones included.
        compared: int64 (K,), samples that answers or open questions compare with the group.
        joined: int64 (N,), samples in its component, itself included; 0 for a sample that no trusted answer speaks of.
        stands: bool (N,), one sample of each component, the one answered on first, and all in no component.
        waiting: bool (N,), whether an open question is about to place the sample.
        seen: bool (N,), whether the sample is in any answer or open question.
    """

    def __init__(self, state: State) -> None:
        graph, self._size = state.graph, len(state.space.sample_ids)
        numbers = {root: number for number, root in enumerate(graph.members)}
        ends, times = _edges(state)
        self._edges = _Table(pair_keys(ends[:, 0], ends[:, 1], self._size), times)
        waiting = _rows(state, state.open_pairs)
        self._open = _Table(open_pair_keys(state))
        self._components, self._roots = _components(state, numbers), len(numbers)
        apart = np.asarray([(numbers[a], numbers[b]) for a, b in graph.cannot], np.int64).reshape(-1, 2)
        self._apart = _Table(pair_keys(apart[:, 0], apart[:, 1], self._roots))

        sizes = [len(members) for members in graph.members.values()]
        self.joined = np.asarray([*sizes, 0], np.int64)[self._components]
        self.stands = self._components < 0
        self.stands[_first_rows(state)] = True
        self.waiting = np.zeros(self._size, bool)
        self.waiting[sorted(state.open_rows)] = True
        self.seen = self.waiting.copy()
        self.seen[ends] = self.seen[waiting] = True
        self._meet_groups(state, numbers, ends, times, waiting)

    def _meet_groups(self, state: State, numbers: dict[str, int], ends: Ints, times: Ints, waiting: Ints) -> None:
        """Make the tables of samples against groups."""
        self.representatives = _representatives(state)
        if (self.representatives >= 0).any():
            self.likely: Floats = state.beliefs.probabilities[:, :-1].astype(np.float64)
            mine = np.asarray([numbers.get(root, -1) for root in state.beliefs.groups], np.int64)
            group_of = state.beliefs.placed
        else:
            first = _most_typical(state, ends, times)
            self.representatives = np.asarray([[first] + [-1] * (REPRESENTATIVES - 1)], np.int64)
            self.likely, mine = np.full((self._size, 1), 0.5), np.full(1, -1, np.int64)
            group_of = np.where(np.arange(self._size) == first, 0, -1)
        self.settled = self._known(self._components[:, None], mine) | (self.representatives[:, 0] < 0)
        self.settled[group_of >= 0, group_of[group_of >= 0]] = True
        self.asked = _met(ends, times, group_of, self.settled.shape)
        now = _met(waiting, np.ones(len(waiting), np.int64), group_of, self.settled.shape)
        self.compared = ((self.asked > 0) | (now > 0)).sum(axis=0)

    @property
    def in_vain(self) -> Ints:
        """Annotations of each sample that settled nothing, since people were unsure or said both; int64 (N,)."""
        return np.asarray(np.where(self.settled, 0, self.asked).sum(axis=1), np.int64)

    def askable(self, left: Ints, right: Ints) -> Flags:
        """Whether two different rows are neither settled by answers nor in an open question; shapes broadcast."""
        settled = self._known(self._components[left], self._components[right])
        return np.asarray((left != right) & ~settled & ~self._open.has(pair_keys(left, right, self._size)))

    def partners(self, rows: Ints, liking: Floats) -> tuple[Ints, Ints]:
        """Whom to compare each of ``rows`` (M,) with; ``liking`` (M, K) is largest for the group to be tried first.

        Returns:
            Row of the representative, int64 (M,), -1 where no question is left to ask; and its group, int64 (M,).
        """
        liking = np.where(self.settled[rows], -np.inf, liking)
        partner, chosen = np.full(len(rows), -1, np.int64), np.full(len(rows), -1, np.int64)
        todo = np.arange(len(rows))
        while len(todo):
            group = liking[todo].argmax(axis=1)
            possible = np.isfinite(liking[todo, group])
            todo, group = todo[possible], group[possible]
            partner[todo], chosen[todo] = self.member(rows[todo], group), group
            # where every member is in an open question with the row, the next group is tried
            none = partner[todo] < 0
            liking[todo[none], group[none]] = -np.inf
            todo = todo[none]
        return partner, np.where(partner < 0, -1, chosen)

    def member(self, rows: Ints, groups: Ints) -> Ints:
        """The representative of ``groups`` (M,) that each of ``rows`` (M,) met least often, the best confirmed of those;
        int64 (M,), -1 where there is none to ask about. Who errs on one example may not err on another.
        """
        members = self.representatives[groups]
        times = self._edges.count(pair_keys(rows[:, None], members, self._size))
        never = np.iinfo(np.int64).max
        times[(members < 0) | ~self.askable(rows[:, None], members)] = never
        at, best = np.arange(len(rows)), times.argmin(axis=1)
        return np.where(times[at, best] == never, -1, members[at, best])

    def _known(self, a: Ints, b: Ints) -> Flags:
        """Whether two components, -1 for none, are one or are kept apart; shapes broadcast."""
        return np.asarray((a >= 0) & (b >= 0) & ((a == b) | self._apart.has(pair_keys(a, b, self._roots))))


def pairs_with(rows: Ints, partners: Ints, scores: Floats) -> Candidates:
    """The candidates whose partner is not -1."""
    some = partners >= 0
    return Candidates(rows[some], partners[some], scores[some])


def pair_keys(a: Ints, b: Ints, size: int) -> Ints:
    """One number for each pair, the same for (a, b) and (b, a); ``size`` is above every row. Shapes broadcast."""
    return np.asarray(np.minimum(a, b) * size + np.maximum(a, b))


def open_pair_keys(state: State) -> Ints:
    """:func:`pair_keys` of the pairs in open questions; those that the space does not know are left out."""
    ends = _rows(state, state.open_pairs)
    return pair_keys(ends[:, 0], ends[:, 1], len(state.space.sample_ids))


class _Table:
    """Numbers of pairs, looked up many at a time.

    Args:
        keys: int64 (E,), all different.
        counts: int64 (E,), what each stands for; 1 if left out.
    """

    def __init__(self, keys: Ints, counts: Ints | None = None) -> None:
        order = keys.argsort()
        self._keys = keys[order]
        self._counts = np.ones(len(keys), np.int64) if counts is None else counts[order]

    def count(self, keys: Ints) -> Ints:
        """What each key stands for, 0 where it is not there; the shape of ``keys``."""
        if not len(self._keys):
            return np.zeros(keys.shape, np.int64)
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[at] == keys, self._counts[at], 0)

    def has(self, keys: Ints) -> Flags:
        """Whether each key is there."""
        return np.asarray(self.count(keys) > 0)


def _rows(state: State, pairs: Iterable[Pair]) -> Ints:
    """Rows of the pairs that the space knows, int64 (E, 2)."""
    index = state.space.index
    known = [(index[a], index[b]) for a, b in pairs if a in index and b in index]
    return np.asarray(known, np.int64).reshape(-1, 2)


def _edges(state: State) -> tuple[Ints, Ints]:
    """Rows of the answered pairs that the space knows, int64 (E, 2), and how many annotations each has, int64 (E,)."""
    index = state.space.index
    known = {pair: edge for pair, edge in state.graph.edges.items() if pair.first in index and pair.second in index}
    return _rows(state, known), np.asarray([len(edge.annotations) for edge in known.values()], np.int64)


def _components(state: State, numbers: dict[str, int]) -> Ints:
    """Number of each sample's component, int64 (N,), -1 for a sample that no trusted answer speaks of."""
    index = state.space.index
    components = np.full(len(index), -1, np.int64)
    for sample, root in state.graph.component.items():
        if sample in index:
            components[index[sample]] = numbers[root]
    return components


def _first_rows(state: State) -> Ints:
    """Row of the sample of each component that was answered on first, of those that the space knows."""
    index = state.space.index
    known = ([index[sample] for sample in members if sample in index] for members in state.graph.members.values())
    return np.asarray([rows[0] for rows in known if rows], np.int64)


def _met(ends: Ints, times: Ints, group_of: Ints, shape: tuple[int, ...]) -> Ints:
    """How often each sample is compared with members of each group, int64 (N, K)."""
    out = np.zeros(shape, np.int64)
    for here, there in (ends.T, ends[:, ::-1].T):
        some = group_of[there] >= 0
        np.add.at(out, (here[some], group_of[there[some]]), times[some])
    return out


def _representatives(state: State) -> Ints:
    """Rows of each group's best confirmed members, int64 (K, R), filled up with -1."""
    found = np.full((state.groups, REPRESENTATIVES), -1, np.int64)
    for group, members in enumerate(state.members):
        some = members[:REPRESENTATIVES]
        found[group, : len(some)] = some
    return found


def _most_typical(state: State, ends: Ints, times: Ints) -> int:
    """The medoid of the largest cluster; one that people were unsure about gives way to the next."""
    rows, sizes = state.space.medoids
    unsure = np.bincount(ends.reshape(-1), np.repeat(times, 2), minlength=len(state.space.sample_ids))
    return int(rows[(sizes / (1.0 + unsure[rows])).argmax()])
