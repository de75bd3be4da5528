"""What exports are made from: one project as it stands, read once. numpy only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pal_backend.choosing import Operator
from pal_backend.core.grouping import Grouping
from pal_backend.core.posterior import Posterior
from pal_backend.core.vocabulary import Annotation, Answer, SampleId
from pal_backend.exports.kinds import label_of
from pal_backend.pool_index import PoolSample, load_samples
from pal_backend.store.projects import Project
from pal_backend.store.revisions import Revision
from pal_backend.store.stores import Stores

ATTEMPTS = 5
"""A revision may be published between two looks."""


@dataclass(frozen=True)
class Made:
    """A file to take home."""

    data: bytes = field(repr=False)
    holds: str
    """What it holds, in a few words: "1,797 rows"."""


@dataclass(frozen=True)
class Snapshot:
    """One project as it stands.

    Args:
        stores: where it is kept.
        project: it.
        revision: the latest, None before there is one.
        posterior: what it believes; None before there is one.
        operator: what whoever runs this says about backbones, for what opens them.
        device: auto, cpu or cuda.
        now: seconds since 1970.
        progress: hears of long work, as plain values.
    """

    stores: Stores
    project: Project
    revision: Revision | None
    posterior: Posterior | None
    operator: Operator
    device: str
    now: float
    progress: Callable[[dict[str, Any]], None]

    @classmethod
    def of(
        cls,
        stores: Stores,
        name: str,
        operator: Operator,
        *,
        now: float,
        device: str = "auto",
        progress: Callable[[dict[str, Any]], None] = lambda state: None,
    ) -> Snapshot:
        """Read a project; beliefs and the number of their revision belong together.

        Raises:
            NotFoundError: there is no such project, or its pool was never taken in.
            InputError: something that is kept about it is malformed.
        """
        project, revisions = stores.projects.get(name), stores.revisions(name)
        for _ in range(ATTEMPTS):
            revision, posterior = revisions.current(), revisions.posterior()
            if (revision and revision.number) == revisions.number():
                break
        return cls(stores, project, revision, posterior, operator, device, now, progress)

    @cached_property
    def samples(self) -> list[PoolSample]:
        """The pool."""
        return load_samples(self.stores.artefacts, self.project.name)

    @cached_property
    def grouping(self) -> Grouping | None:
        """The groups, None before there are some."""
        return Grouping.of(self.posterior) if self.posterior is not None and self.posterior.groups else None

    @cached_property
    def names(self) -> Mapping[SampleId, str]:
        """Group to the name that people gave it."""
        return self.stores.names(self.project.name).of(self.grouping)

    @cached_property
    def annotations(self) -> list[Annotation]:
        """Every annotation kept."""
        return self.stores.answers(self.project.name).all()

    @property
    def answers(self) -> list[Answer]:
        """Every answer of every annotation."""
        return [answer for annotation in self.annotations for answer in annotation.answers]

    @cached_property
    def version(self) -> str | None:
        """The model version that the beliefs speak of; before there are any, the one in use."""
        return self.revision.version if self.revision else self.stores.versions(self.project.name).current()

    @property
    def label(self) -> str:
        """Version and revision, as `v0003-r41`; `r0` before anything was learned."""
        return label_of(self.version, self.revision.number if self.revision else None)
