"""What our pages show, as plain values that templates print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pal_backend.core.decisions import Decision
from pal_backend.core.grouping import Group, Member
from pal_backend.core.vocabulary import SampleId
from pal_backend.curve import Curve
from pal_backend.doctor_parts import Finding
from pal_backend.job_status import JobStatus
from pal_backend.status import Status
from pal_backend.store.history import Point
from pal_backend.store.questions import PostedQuestion


@dataclass(frozen=True)
class Named:
    """A group with its name and a few of its members."""

    group: Group
    name: str
    members: Sequence[Member]


@dataclass(frozen=True)
class TrainingView:
    """A training that waits or runs."""

    job: JobStatus
    line: str
    share: float | None
    """Done, 0..1; None where it is not known."""


@dataclass(frozen=True)
class ProjectView:
    """One project's page."""

    status: Status
    title: str
    curve: Curve | None
    points: Sequence[Point]
    stops: int | None
    """Annotations from which the next hundred answers are hardly worth it."""
    groups: Sequence[Named]
    contradictions: Sequence[Sequence[SampleId]]
    version: Mapping[str, Any] | None
    """What is known about the version in use."""
    training: TrainingView | None
    findings: Sequence[Finding]
    """Of our own side as it is now, and of Label Studio as a worker last found it."""
    examined_at: float | None
    """Seconds since 1970; None if no worker has looked."""
    desk_urls: Mapping[str, str]


@dataclass(frozen=True)
class Card:
    """A project in the list."""

    status: Status
    covers: Sequence[SampleId]


@dataclass(frozen=True)
class GroupsView:
    """A page of the list of groups."""

    groups: Sequence[Named]
    total: int
    page: int
    pages: int
    decisions: Sequence[Decision] = ()
    """Made by hand, the newest first; only the latest."""


@dataclass(frozen=True)
class GalleryView:
    """One group's page."""

    named: Named
    order: str
    members: Sequence[Member]
    page: int
    pages: int


@dataclass(frozen=True)
class QuestionView:
    """A question that waits for an answer."""

    posted: PostedQuestion
    why: str
    candidates: Sequence[tuple[SampleId, float | None]]
    """Each with P(same) now; None where it is not to be told."""
    url: str = ""
