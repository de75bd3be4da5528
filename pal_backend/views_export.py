"""Makes what the page of exports shows: each kind with the newest of it and the job that makes the next one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pal_backend.errors import InputError
from pal_backend.exports.kinds import KINDS, LABEL_STUDIO, Kind, kind_of, label_of
from pal_backend.job_status import JobStatus
from pal_backend.page_views import PageViews
from pal_backend.store.exports import Export

PUSH = "push"
ENDED = frozenset({"finished", "canceled", "stopped"})
HEADINGS = {
    "groups": "The groups",
    "model": "The model",
    "answers": "What people said",
}


@dataclass(frozen=True)
class Work:
    """A job that makes something, or failed at it."""

    job: JobStatus
    doing: str
    share: float | None
    """Done, 0..1; None where it is not known."""


@dataclass(frozen=True)
class Offer:
    """One kind of export."""

    kind: Kind
    made: Export | None
    behind: bool
    """Whether there is something newer to be made."""
    work: Work | None


@dataclass(frozen=True)
class ExportView:
    """The page of exports."""

    label: str
    """Version and revision as they are now."""
    offers: Mapping[str, Sequence[Offer]]
    """Heading to the kinds below it."""
    pushed: Export | None
    pushed_behind: bool
    pushing: Work | None
    groups: int


class ExportViews:
    """Makes the view, and asks workers for exports."""

    def __init__(self, views: PageViews) -> None:
        self._stores = views.stores
        self._queues = views.queues

    def stamp(self, name: str) -> str:
        """A text that changes whenever the page would.

        Raises:
            NotFoundError: there is no such project.
        """
        project = self._stores.projects.get(name).name
        jobs = [(kind, job.state, sorted(job.progress.items())) for kind, job in sorted(self._jobs(project).items())]
        return f"{self._label(project)}|{self._stores.exports(project).stamp()}|{jobs}"

    def page(self, name: str) -> ExportView:
        """Of one project.

        Raises:
            NotFoundError: there is no such project.
        """
        project = self._stores.projects.get(name).name
        made, jobs, label = self._stores.exports(project).all(), self._jobs(project), self._label(project)
        offers: dict[str, list[Offer]] = {heading: [] for heading in HEADINGS.values()}
        for kind in KINDS:
            found = made.get(kind.name)
            behind = found is not None and found.label != label
            offers[HEADINGS[kind.about]].append(Offer(kind, found, behind, _work(jobs.get(kind.name), found)))
        pushed, revision = made.get(LABEL_STUDIO), self._stores.revisions(project).current()
        return ExportView(
            label=label,
            offers=offers,
            pushed=pushed,
            pushed_behind=pushed is not None and pushed.label != label,
            pushing=_work(jobs.get(PUSH), pushed),
            groups=0 if revision is None else revision.groups,
        )

    def ask(self, name: str, kind: str) -> None:
        """Let a worker make one kind.

        Raises:
            NotFoundError: there is no such project.
            InputError: there is no such kind.
        """
        self._queues.export(self._stores.projects.get(name).name, kind_of(kind).name)

    def push(self, name: str, target: str) -> None:
        """Let a worker push the groups as predictions into a Label Studio project; "" is the one that we made.

        Raises:
            NotFoundError: there is no such project of ours.
            InputError: the target is no number.
        """
        target = target.strip()
        if target and not (target.isascii() and target.isdecimal() and len(target) < 10):
            raise InputError(
                f"{target!r:.40} is no project of Label Studio; expected its number, as its address has it"
            )
        self._queues.push(self._stores.projects.get(name).name, int(target) if target else None)

    def read(self, name: str, kind: str) -> tuple[Export, Iterator[bytes]]:
        """A file to take home, and its content piece by piece.

        Raises:
            NotFoundError: there is no such project, or it was not made yet.
            InputError: there is no such kind.
        """
        return self._stores.exports(self._stores.projects.get(name).name).read(kind_of(kind).name)

    def _jobs(self, project: str) -> dict[str, JobStatus]:
        return self._queues.exports(project, [*(kind.name for kind in KINDS), PUSH])

    def _label(self, project: str) -> str:
        """As :attr:`pal_backend.exports.snapshot.Snapshot.label` has it."""
        revision = self._stores.revisions(project).current()
        version = self._stores.versions(project).current() if revision is None else revision.version
        return label_of(version, None if revision is None else revision.number)


def _work(job: JobStatus | None, made: Export | None) -> Work | None:
    """What is under way; a failure is told until the thing was made after it."""
    if job is None or job.state in ENDED:
        return None
    if job.state == "failed" and made is not None and made.made_at > (job.ended_at or 0.0):
        return None
    done, of = job.progress.get("done"), job.progress.get("of")
    share = min(done / of, 1.0) if isinstance(done, int) and isinstance(of, int) and of > 0 else None
    return Work(job, str(job.progress.get("doing", "")), share)
