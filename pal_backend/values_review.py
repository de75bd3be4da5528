"""What the pages show on which a lead looks closer, as plain values that templates print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pal_backend.core.vocabulary import SampleId, Verdict
from pal_backend.store.reasons import Doubt

SIDE = 6
"""Pictures of each side of a doubtful merge."""


@dataclass(frozen=True)
class Placed:
    """A sample with the group it is believed to be in."""

    sample: SampleId
    group: SampleId
    """Empty before there are groups."""
    name: str
    probability: float
    near: float = 0.0
    """Share of the ties of the sample that is shown which leads to it, 0..1."""


@dataclass(frozen=True)
class Voice:
    """What one person said of a pair."""

    who: str
    """Label Studio's user id; empty for a lead's decision."""
    verdict: Verdict
    at: float
    """Seconds since 1970."""
    url: str = ""
    """The task in Label Studio, where it is known."""


@dataclass(frozen=True)
class PairView:
    """Two samples, and all that was said of them."""

    first: Placed
    second: Placed
    says: str
    """What it comes to: same, different, disputed or unsure."""
    fits: bool
    """Whether the groups agree with that."""
    decided: bool
    voices: Sequence[Voice]
    asked: bool = False
    """Whether it waits for an answer in Label Studio."""


@dataclass(frozen=True)
class SampleView:
    """Why a sample is where it is."""

    here: Placed
    founds: bool
    """Whether its group is named after it."""
    others: Sequence[tuple[SampleId, str, float]]
    """The next likely groups: id, name, probability."""
    none: float
    """Probability that it is in no known group."""
    by: SampleId
    """From which sample the chain starts: itself, or where it has no answers its nearest neighbour that has; or empty."""
    chain: Sequence[PairView]
    """Trusted "same" answers from there to the group's founder."""
    answers: Sequence[PairView]
    total: int
    """Pairs with answers that it is in."""
    neighbours: Sequence[Placed]


@dataclass(frozen=True)
class ConflictView:
    """Answers that cannot all be right."""

    title: str
    pairs: Sequence[PairView]


@dataclass(frozen=True)
class DoubtView:
    """A group that may be two."""

    doubt: Doubt
    name: str
    bridges: Sequence[PairView]

    @property
    def sides(self) -> Sequence[tuple[int, Sequence[SampleId]]]:
        """Of each side how many samples were answered on, 0 where it is not known, and the most typical ones."""
        return (len(self.doubt.small), self.doubt.small[:SIDE]), (0, self.doubt.large[:SIDE])


@dataclass(frozen=True)
class ReviewView:
    """What waits for a decision."""

    conflicts: Sequence[ConflictView]
    total: int
    page: int
    pages: int
    doubts: Sequence[DoubtView]
