"""What a lead decides by hand: two groups are one, samples leave a group, two samples are the same or not.

A decision becomes answers of its own kind (:attr:`Origin.DECISION`) on few pairs: one between representatives, and one on
each pair whose answers say the opposite. So what it overrules is written down, and undoing it, which withdraws its answers,
brings everything back as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from pal_backend.core.ties import MIXED, Ties
from pal_backend.core.vocabulary import (
    HOUSE,
    Annotation,
    AnnotationKey,
    Answer,
    Origin,
    Pair,
    Purpose,
    SampleId,
    Verdict,
)


class Act(StrEnum):
    """The kinds of decision."""

    MERGE = "merge"
    """Groups are one."""
    SPLIT = "split"
    """Samples of a group are a group of their own."""
    REMOVE = "remove"
    """Samples are not of a group; where they belong is open."""
    SETTLE = "settle"
    """Two samples are the same, or different."""


class Said(NamedTuple):
    """What a decision says of one pair; ``first`` is the sample it is about, as far as it is about one of the two."""

    first: SampleId
    second: SampleId
    verdict: Verdict


@dataclass(frozen=True)
class Decision:
    """One act of a lead.

    Args:
        number: names it for ever; microseconds since 1970 at which it was made.
        act: what was decided.
        about: the groups (of a split first the group, then its samples), or the two samples.
        said: on which pairs it speaks.
        undone_at: seconds since 1970, or None while it stands.
    """

    number: int
    act: Act
    about: tuple[SampleId, ...]
    said: tuple[Said, ...]
    undone_at: float | None = None

    @property
    def key(self) -> AnnotationKey:
        """Under which its answers are kept."""
        return AnnotationKey(HOUSE, self.number)

    @property
    def at(self) -> float:
        """When it was made, seconds since 1970."""
        return self.number / 1e6

    def annotation(self) -> Annotation:
        """The same as answers; nobody's, and to no question."""
        purpose = _PURPOSES[self.act]
        answers = tuple(
            Answer(
                annotation=self.key,
                pair=Pair.of(one.first, one.second),
                verdict=one.verdict,
                updated_at=self.number,
                origin=Origin.DECISION,
                purpose=purpose,
                candidate=one.first,
            )
            for one in self.said
        )
        return Annotation(self.key, 0, "", "", self.number, answers, note=f"decided: {self.act}")


_PURPOSES = {
    Act.MERGE: Purpose.MERGE,
    Act.SPLIT: Purpose.SPLIT,
    Act.REMOVE: Purpose.PLACE,
    Act.SETTLE: Purpose.REVIEW,
}


def merge(ties: Ties, ids: Sequence[SampleId], founders: Sequence[int]) -> tuple[Said, ...]:
    """What makes groups one: their founders are the same, and so is every pair between them that was called different.

    Args:
        ties: what answers say of the samples.
        ids: the samples, by row.
        founders: rows of two founders or more.
    """
    first, *others = founders
    said = [Said(ids[other], ids[first], Verdict.SAME) for other in others]
    inside: list[int] = ties.component(first).tolist()
    for other in others:
        more = ties.component(other).tolist()
        if first in more:
            continue
        against = [edge for edge in ties.across(inside, more) if ties.weights[edge] < 0.0 or ties.has(edge, MIXED)]
        said += [Said(*_samples(ties, ids, edge), Verdict.SAME) for edge in against]
        inside += more
    return _once(said)


def part(
    ties: Ties, ids: Sequence[SampleId], leaving: Sequence[int], *, members: Sequence[int], together: bool
) -> tuple[Said, ...]:
    """What takes samples out of a group: they are different from what stays, above all where answers joined them to it;
    what stays is held together, also where it was joined by what leaves.

    Args:
        ties: what answers say of the samples.
        ids: the samples, by row.
        leaving: rows of those that leave, all different.
        members: rows of the group, its founder first.
        together: whether those that leave are a group of their own.

    Raises:
        ValueError: nothing would stay.
    """
    gone = set(leaving)
    home = [row for row in ties.component(members[0]).tolist() if row not in gone]
    staying = next((row for row in [*members[:1], *home, *members] if row not in gone), None)
    if staying is None:
        raise ValueError("all samples of the group were named")
    joined = [edge for edge in ties.across(gone, home) if ties.weights[edge] > 0.0 or ties.has(edge, MIXED)]
    said = [Said(*_samples(ties, ids, edge, gone), Verdict.DIFFERENT) for edge in joined]
    rest = ties.pieces([staying, *home], gone)
    said += [Said(ids[int(piece[0])], ids[staying], Verdict.SAME) for piece in rest[1:]]
    if together:
        first = leaving[0]
        others = (int(piece[0]) for piece in ties.pieces(leaving, {*home, staying})[1:])
        said += [Said(ids[other], ids[first], Verdict.SAME) for other in others]
    apart = leaving[:1] if together else leaving
    said += [Said(ids[row], ids[staying], Verdict.DIFFERENT) for row in apart]
    return _once(said)


def _samples(ties: Ties, ids: Sequence[SampleId], edge: int, first: Iterable[int] = ()) -> tuple[SampleId, SampleId]:
    """The samples of a pair, one of ``first`` in front."""
    a, b = ties.ends[edge].tolist()
    a, b = (b, a) if b in first else (a, b)
    return ids[a], ids[b]


def _once(said: Iterable[Said]) -> tuple[Said, ...]:
    """Without what was said of a pair already."""
    found: dict[Pair, Said] = {}
    for one in said:
        found.setdefault(Pair.of(one.first, one.second), one)
    return tuple(found.values())
