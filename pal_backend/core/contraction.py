"""Which samples a set of weighted edges joins: greedy additive edge contraction.

Keuper et al. 2015, "Efficient decomposition of image and mesh graphs by lifted multicuts", Algorithm 1, with two
thresholds instead of zero. The outcome depends on the edges' weights and ranks alone.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.edges import NOTHING
from pal_backend.core.exchange import exchanged
from pal_backend.core.moves import moved
from pal_backend.core.strays import reunited
from pal_backend.core.unions import first_of_each
from pal_backend.core.vocabulary import Pair, SampleId

Floats = NDArray[np.float64]
Link = tuple[float, int, float]
"""Evidence between two components, its rank, and what of it speaks against them, at most 0."""
Links = dict[SampleId, dict[SampleId, Link]]
Edges = Mapping[Pair, tuple[float, int]]
"""Pair to log-odds of "same" and rank; in the order of the ranks, all different."""
Turn = tuple[int, float, int]
"""When a union's turn comes: (its class, minus its evidence, its rank), the smallest first."""
PLAIN, OPPOSED, SEVERAL = range(3)
"""Classes of unions: nothing speaks against it; something does; both have several samples."""
LANCZOS = 50
"""Vectors out of which the leading eigenvector of a component is made; all there are, if it has fewer samples."""


class Contraction(NamedTuple):
    """What :func:`contract` finds.

    ``component``: sample to the root of its component (its sample of lowest rank), in the order of the ranks.
    ``between``: evidence between roots, ascending pair of roots to log-odds. ``since``: sample to the latest turn that had
    come when it was first joined to another; samples that stay alone are left out. ``spare``: root to the evidence by which
    the tightest union of several and several samples in its component passed; components without one are left out.
    ``halves``: roots of components that were one until :func:`part` parted them. ``moved``: samples that were
    moved, left behind (:func:`~pal_backend.core.strays.reunited`), exchanged, or cut off by either. ``dealt``: roots of
    components that exchanged samples, and of what this left of them.
    """

    component: dict[SampleId, SampleId]
    between: dict[tuple[SampleId, SampleId], float]
    since: dict[SampleId, Turn]
    spare: dict[SampleId, float]
    halves: frozenset[SampleId] = frozenset()
    moved: frozenset[SampleId] = frozenset()
    dealt: frozenset[SampleId] = frozenset()


def contract(edges: Edges, trusted: float, established: float, strayed: float = 0.0) -> Contraction:
    """Join components, most evidence first, until no trusted union is left.

    Once errors were seen (``established`` above 0), what nothing speaks against comes first, and two components of several
    samples are joined only when no sample alone is left to join: before that a few samples' evidence would decide, and one
    that an error misplaced could hold two classes together. For the same reason samples are moved before that to where all
    answers about them put them; at last components are joined that only some stray samples kept apart, and exchange samples
    where answers gain by that as much as a union of several and several takes.

    Args:
        trusted: least evidence, summed over all pairs between two components, that joins them.
        established: least evidence that joins two components which both have several samples.
        strayed: as much more for each sample of the smaller one: evidence that errors about its samples alone would bring.
    """
    needed = Needed(trusted, established, strayed)
    joining = _Joining(edges, {sample: sample for pair in edges for sample in pair}, needed)
    joining.run(OPPOSED)
    went: frozenset[SampleId] = frozenset()
    if established:
        component, went = moved(edges, joining.component, trusted)
        joining = _Joining(edges, component, needed, joining) if went else joining
    joining.run(SEVERAL)
    while established and (reunion := reunited(edges, joining.component, needed.left)) is not None:
        joining = _Joining(edges, reunion.component, needed, joining)
        for root, left in reunion.spare.items():
            joining.spare[root] = min(left, joining.spare.get(root, left))
        joining.run(SEVERAL)
        went |= reunion.strays
    touched: frozenset[SampleId] = frozenset()
    while established and (exchange := exchanged(edges, joining.component, established)) is not None:
        joining = _Joining(edges, exchange.component, needed, joining)
        joining.run(SEVERAL)
        went, touched = went | exchange.went, touched | exchange.touched
    component = joining.component
    tight = {component[root]: left for root, left in joining.spare.items() if left < math.inf}
    halves = part(edges, component, established) if established else {}
    component |= halves
    return Contraction(
        component,
        _between(edges, component),
        joining.since,
        tight,
        frozenset(halves.values()),
        went,
        frozenset(map(component.__getitem__, touched)),
    )


class Needed(NamedTuple):
    """Evidence that unions need, see :func:`contract`."""

    trusted: float
    established: float
    strayed: float

    def left(self, evidence: float, few: int) -> float:
        """By how much a union passes, of two components of which the smaller has so many samples; negative: it does not."""
        return evidence - self.established - self.strayed * few if few > 1 else math.inf


class _Joining:
    """Components while they are joined.

    Args:
        edges: see :func:`contract`.
        component: sample to the root of its component at the start, in the order of the ranks.
        needed: evidence that unions need.
        before: unions until some samples went elsewhere: its ``since``, ``latest`` and ``spare`` go on.
    """

    def __init__(
        self, edges: Edges, component: Mapping[SampleId, SampleId], needed: Needed, before: _Joining | None = None
    ) -> None:
        self._needed = needed
        self._parent = dict(component)
        self._size = Counter(component.values())
        self._links = _links(edges, component)
        self._heap = [
            (PLAIN, -weight, rank, a, b)
            for a, others in self._links.items()
            for b, (weight, rank, _) in others.items()
            if a < b and weight >= needed.trusted
        ]
        heapq.heapify(self._heap)
        self.since: dict[SampleId, Turn] = dict(before.since) if before else {}
        self.latest: Turn = before.latest if before else (PLAIN, -math.inf, 0)
        self.spare: dict[SampleId, float] = (
            {component[root]: left for root, left in before.spare.items()} if before else {}
        )

    @property
    def component(self) -> dict[SampleId, SampleId]:
        """Sample to the first of its component, in the order of the ranks."""
        return first_of_each(self._parent)

    def run(self, last: int) -> None:
        """Do the unions whose turn comes, up to those of class ``last``."""
        links, heap, size = self._links, self._heap, self._size
        while heap and heap[0][0] <= last:
            kind, negative, rank, a, b = heapq.heappop(heap)
            self.latest = max(self.latest, (kind, negative, rank))
            if a not in links or links[a].get(b, (0.0,))[:2] != (-negative, rank):
                continue  # one of the two was joined since, or evidence was added
            few = min(size[a], size[b])
            opposed = OPPOSED if links[a][b][2] < 0.0 else PLAIN
            now = PLAIN if self._needed.established == 0.0 else SEVERAL if few > 1 else opposed
            if now > kind:
                heapq.heappush(heap, (now, negative, rank, a, b))
                continue
            left = self._needed.left(-negative, few)
            if left >= 0.0:  # else it waits for more evidence, which would be pushed anew
                self._join(a, b, left)

    def _join(self, a: SampleId, b: SampleId, left: float) -> None:
        big, small = (a, b) if len(self._links[a]) >= len(self._links[b]) else (b, a)
        self._parent[small] = big
        for one in (a, b):
            if self._size[one] == 1:
                self.since.setdefault(one, self.latest)
        self._size[big] += self._size[small]
        self.spare[big] = min(left, self.spare.get(big, math.inf), self.spare.pop(small, math.inf))
        for other, link in _move(self._links, small, big):
            if link[0] >= self._needed.trusted:
                heapq.heappush(self._heap, (PLAIN, -link[0], link[1], *ascending(big, other)))


def part(edges: Edges, component: Mapping[SampleId, SampleId], least: float) -> dict[SampleId, SampleId]:
    """Components within which answers set two sides against each other, parted: their samples, to their new roots.

    Joining goes by the heaviest evidence first, so that a sample which errors put on the wrong side may hold two classes
    together, whatever else is said between them.

    Args:
        component: sample to its root, in the order of the ranks.
        least: evidence against each other, summed over all pairs between the two sides, that parts them.
    """
    inside: dict[SampleId, list[tuple[Pair, float]]] = defaultdict(list)
    for pair, (weight, _) in edges.items():
        # what is as much for as against says nothing, and a sample of which no more is said has no side
        if weight and component[pair.first] == component[pair.second]:
            inside[component[pair.first]].append((pair, weight))
    found: dict[SampleId, SampleId] = {}
    todo = list(inside.values())
    while todo:
        here = todo.pop()
        if sum(min(weight, 0.0) for _, weight in here) > -least:
            continue
        ends = {sample for pair, _ in here for sample in pair}
        samples = [sample for sample in component if sample in ends]
        side = dict(zip(samples, _side(samples, here).tolist(), strict=True))
        across = sum(weight for pair, weight in here if side[pair.first] != side[pair.second])
        if across > -least:
            continue
        for half in (False, True):
            some = [sample for sample in samples if side[sample] is half]
            found |= dict.fromkeys(some, some[0])
            todo.append([(pair, weight) for pair, weight in here if side[pair.first] is side[pair.second] is half])
    return found


def _side(samples: Sequence[SampleId], edges: Sequence[tuple[Pair, float]]) -> NDArray[np.bool_]:
    """Which of the samples are on the other side than the first, bool (n,); none where answers tell no sides.

    The leading eigenvector of ``D^-1/2 E D^-1/2``, E the evidence and D its absolute row sums, has one sign on each side of
    a signed graph whose answers agree on two (Kunegis et al. 2010, "Spectral analysis of signed graphs for clustering,
    prediction and visualization").
    """
    at = {sample: n for n, sample in enumerate(samples)}
    first, second = np.asarray([(at[pair.first], at[pair.second]) for pair, _ in edges]).T
    weights = np.asarray([weight for _, weight in edges])
    degree = np.bincount(first, np.abs(weights), len(at)) + np.bincount(second, np.abs(weights), len(at))
    weights /= np.sqrt(degree[first] * degree[second])

    def product(vector: Floats) -> Floats:
        there, back = weights * vector[second], weights * vector[first]
        return np.asarray(np.bincount(first, there, len(at)) + np.bincount(second, back, len(at)))

    vector = _leading(product, len(at))
    return np.asarray(vector * np.copysign(1.0, vector[0]) < -NOTHING)


def _leading(product: Callable[[Floats], Floats], size: int) -> Floats:
    """Eigenvector (size,) of the largest eigenvalue of the symmetric matrix behind ``product``, by Lanczos' iteration with
    all vectors held orthogonal: scipy, which has it, is not to be loaded here.
    """
    basis, images = np.zeros((2, min(LANCZOS, size), size))
    found, vector = 0, 1.0 / np.arange(1.0, size + 1.0)
    while found < len(basis):
        for _ in range(2):  # once would leave rounding errors, which grow
            vector -= (basis[:found] @ vector) @ basis[:found]
        length = np.linalg.norm(vector)
        if length < NOTHING:
            break  # what has been found holds all that the start is made of
        basis[found] = vector / length
        vector = product(basis[found])
        images[found] = vector
        found += 1
    _, mixed = np.linalg.eigh(basis[:found] @ images[:found].T)
    return np.asarray(mixed[:, -1] @ basis[:found])


def ascending(a: SampleId, b: SampleId) -> tuple[SampleId, SampleId]:
    """The two in ascending order."""
    return (a, b) if a <= b else (b, a)


def _links(edges: Edges, component: Mapping[SampleId, SampleId]) -> Links:
    """What edges between components add up to, from both ends, roots in the order of the edges."""
    links: Links = {root: {} for root in component.values()}
    for pair, (weight, rank) in edges.items():
        a, b = component[pair.first], component[pair.second]
        if a != b:
            links[a][b] = links[b][a] = _added(links[a].get(b), (weight, rank, min(weight, 0.0)))
    return links


def _move(links: Links, small: SampleId, big: SampleId) -> list[tuple[SampleId, Link]]:
    """Hand the links of ``small`` to ``big``, adding up; returns those that changed."""
    changed = []
    for other, more in links.pop(small).items():
        del links[other][small]
        if other != big:
            link = _added(links[big].get(other), more)
            links[big][other] = links[other][big] = link
            changed.append((other, link))
    return changed


def _added(one: Link | None, other: Link) -> Link:
    """Both together, as old as the older of those that speak for "same": what tells nothing makes no late answer an early one."""
    if one is None:
        return other
    ranks = [rank for weight, rank, _ in (one, other) if weight > NOTHING]
    return one[0] + other[0], min(ranks or (one[1], other[1])), one[2] + other[2]


def _between(edges: Edges, component: Mapping[SampleId, SampleId]) -> dict[tuple[SampleId, SampleId], float]:
    """Evidence between every two roots with any."""
    between: dict[tuple[SampleId, SampleId], float] = defaultdict(float)
    for pair, (weight, _) in edges.items():
        a, b = component[pair.first], component[pair.second]
        if a != b:
            between[ascending(a, b)] += weight
    return dict(between)
