"""How sure the answers are of what they imply: the weakest link on the surest path between two samples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class Closure(NamedTuple):
    """Samples of components in a line, so that the confidence between two of them is the least link from one to the other.

    Kruskal's maximum spanning forest joins parts from the surest link down; laying the parts beside each other as they
    are joined puts the weakest link of the path between two samples somewhere between their places, and no weaker one.
    """

    place: Ints
    """int64 (N,), place of each sample in the line; -1 for a sample in no component."""
    link: NDArray[np.float32]
    """float32 (M,), confidence in (0, 1] between one place and the next; 0 where a new component begins."""


def closure(components: Ints, pairs: Ints, signed: NDArray[np.float32]) -> Closure:
    """The line of a set of answers.

    Args:
        components: int64 (N,), equal numbers for joined samples, -1 for none.
        pairs: int64 (E, 2), answered pairs.
        signed: float32 (E,), their confidence in [-1, 1].

    Returns:
        Where samples are of one component but no path of "same" is known here (it leads over samples outside), the
        link is 1.
    """
    inside = (signed > 0) & (components[pairs[:, 0]] == components[pairs[:, 1]]) & (components[pairs[:, 0]] >= 0)
    order = np.argsort(-signed[inside], kind="stable")
    lines: dict[int, tuple[list[int], list[float]]] = {}
    owner = {row: row for row in np.flatnonzero(components >= 0).tolist()}
    for (a, b), sure in zip(pairs[inside][order].tolist(), signed[inside][order].tolist(), strict=True):
        first, second = owner[a], owner[b]
        if first == second:
            continue
        one, other = lines.pop(first, ([first], [])), lines.pop(second, ([second], []))
        if len(one[0]) < len(other[0]):  # which of the two comes first is all the same; the longer one is not copied
            first, one, other = second, other, one
        for row in other[0]:
            owner[row] = first
        one[0].extend(other[0])
        one[1].extend([sure, *other[1]])
        lines[first] = one
    return _lay(components, owner, lines)


def _lay(components: Ints, owner: dict[int, int], lines: dict[int, tuple[list[int], list[float]]]) -> Closure:
    """All lines one after the other, by component."""
    heads = sorted(set(owner.values()), key=lambda head: (int(components[head]), head))
    place, link = np.full(len(components), -1, np.int64), []
    rows: list[int] = []
    before = -1
    for head in heads:
        if rows:
            link.append(1.0 if components[head] == before else 0.0)
        line, links = lines.get(head, ([head], []))
        rows.extend(line)
        link.extend(links)
        before = int(components[head])
    place[rows] = np.arange(len(rows))
    return Closure(place, np.array([*link, 0.0][: len(rows)], np.float32))


def confidences(found: Closure, rows: Ints) -> NDArray[np.float32]:
    """Confidence that samples are the same, float32 (m, m), for ``rows`` int64 (m,) in ascending places; 0 between
    components, the diagonal means nothing.
    """
    places = found.place[rows]
    if len(places) < 2:
        return np.zeros((len(places), len(places)), np.float32)
    steps = np.minimum.reduceat(found.link, places)[:-1]  # the least link from each place up to the next of ours
    least = np.full((len(rows), len(rows)), np.inf, np.float32)
    upper = np.triu(np.ones((len(steps), len(steps)), bool))
    least[:-1, 1:] = np.minimum.accumulate(np.where(upper, steps[None, :], np.float32(np.inf)), axis=1)
    both: NDArray[np.float32] = np.minimum(least, least.T)
    both[~np.isfinite(both)] = 0.0
    return both
