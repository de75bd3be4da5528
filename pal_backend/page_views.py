"""Makes what our pages show: read by the same functions as ``pal status``, ``pal export`` and ``pal doctor``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pal_backend.choosing import Operator
from pal_backend.core.grouping import Group, Grouping
from pal_backend.core.vocabulary import Origin, Purpose, SampleId, Verdict
from pal_backend.curve import curve
from pal_backend.doctor_house import look_around
from pal_backend.doctor_parts import Finding, House
from pal_backend.errors import InputError, NotFoundError
from pal_backend.page_values import Card, GalleryView, GroupsView, Named, ProjectView, QuestionView, TrainingView
from pal_backend.queues import Queues
from pal_backend.status import Status, status_of
from pal_backend.store.history import Point
from pal_backend.store.projects import Project
from pal_backend.store.questions import PostedQuestion
from pal_backend.store.reports import Report
from pal_backend.store.stores import Stores

GROUPS_ON_PAGE = 48
MEMBERS_ON_PAGE = 60
STRIP = 12
"""Groups shown on a project's page."""
COVERS = 5
"""Groups whose most typical sample stands in the list of projects."""
LATEST_ANNOTATIONS = 500
"""Newest annotations among which the samples that joined a group last are looked for."""
CONTRADICTIONS_SHOWN = 6
DECISIONS_SHOWN = 8
QUESTIONS_SHOWN = 60
CHECK_SECONDS = 2.0
"""Longest time a page waits for one check of its health."""

WHY = {
    Purpose.PLACE: "Which group does it belong to?",
    Purpose.MERGE: "Are these two groups one?",
    Purpose.RECHECK: "An answer that looks unlikely, asked again",
    Purpose.VERIFY: "A uniform sample, to estimate the accuracy",
    Purpose.REVIEW: "A lead wants it asked again",
}


@dataclass(frozen=True)
class PageViews:
    """Makes the views. Keeps nothing; the stores keep the grouping of each project's latest revision."""

    stores: Stores
    queues: Queues
    operator: Operator
    house: House
    clock: Callable[[], float]

    def stamp(self, name: str) -> str:
        """A text that changes whenever a page of the project would; cheap.

        Raises:
            NotFoundError: there is no such project.
        """
        kept = self.stores.projects.get(name)
        project = kept.name
        job = self.queues.training(project)
        training = "" if job is None else f"{job.id} {job.state} {sorted(job.progress.items())}"
        parts = (
            self.stores.revisions(project).number(),
            self.stores.answers(project).count(),
            self.stores.questions(project).count(),
            self.stores.versions(project).current(),
            self.stores.names(project).stamp(),
            self.stores.maps(project).stamp(),
            self.stores.reports(project).stamp(),
            training,
            (kept.paused_at, kept.strategy, kept.recipe, kept.open_questions),
        )
        return "|".join(map(str, parts))

    def projects(self) -> list[Card]:
        """Every project at a glance; one that cannot be read is left out."""
        cards = []
        for name in self.stores.projects.names():
            try:
                cards.append(Card(self._status(self.stores.projects.get(name)), self._covers(name)))
            except InputError:
                continue
        return cards

    def project(self, name: str) -> ProjectView:
        """One project.

        Raises:
            NotFoundError: there is no such project.
        """
        project = self.stores.projects.get(name)
        status = self._status(project)
        points, report = self.stores.history(name).points(), self.stores.reports(name).last()
        stops = _stops(status, points)
        version = None if status.version is None else self.stores.versions(name).describe(status.version)
        revision = self.stores.revisions(name).current()
        contradictions = [] if revision is None else revision.contradictions[:CONTRADICTIONS_SHOWN]
        return ProjectView(
            status=status,
            title=name,
            curve=curve(points, stops),
            points=points,
            stops=stops,
            groups=self._strip(name),
            contradictions=contradictions,
            version=version,
            training=self._training(name),
            findings=self._findings(project, report),
            examined_at=None if report is None else report.at,
            desk_urls=_desk_urls(project, self.house.settings.label_studio_url),
        )

    def groups(self, name: str, page: int) -> GroupsView:
        """The groups, largest first.

        Raises:
            NotFoundError: there is no such project or page.
        """
        grouping = self.stores.revisions(self.stores.projects.get(name).name).grouping()
        groups = () if grouping is None else grouping.sized
        pages = _pages(len(groups), GROUPS_ON_PAGE, page)
        if grouping is None:
            return GroupsView((), 0, 1, 1)
        shown = groups[(page - 1) * GROUPS_ON_PAGE : page * GROUPS_ON_PAGE]
        names = self.stores.names(name).of(grouping)
        named = [_named(group, names, grouping, 4) for group in shown]
        return GroupsView(named, len(groups), page, pages, self.stores.decisions(name).all()[:DECISIONS_SHOWN])

    def gallery(self, name: str, group: SampleId, order: str, page: int) -> GalleryView:
        """Members of a group.

        Args:
            name: the project.
            group: its id.
            order: typical, doubtful, or joined (those that a person's "same" concerned last).
            page: 1 is the first.

        Raises:
            NotFoundError: there is no such project, group or page.
            InputError: an unknown order.
        """
        grouping = self._grouping(name)
        about = grouping.find(group)
        if about is None:
            raise NotFoundError(f"there is no group {group:.20}; it may have merged with another; look at all groups")
        total, start = about.size, (page - 1) * MEMBERS_ON_PAGE
        if order == "typical":
            members = grouping.typical(group, start, MEMBERS_ON_PAGE)
        elif order == "doubtful":
            members = grouping.doubtful(group, start, MEMBERS_ON_PAGE)
        elif order == "joined":
            joined = grouping.among(group, self._joined_last(name))
            members, total = joined[start : start + MEMBERS_ON_PAGE], len(joined)
        else:
            raise InputError(f"there is no order {order!r:.20}; expected typical, doubtful or joined")
        pages = _pages(total, MEMBERS_ON_PAGE, page)
        named = _named(about, self.stores.names(name).of(grouping), grouping, 4)
        return GalleryView(named, order, members, page, pages)

    def questions(self, name: str) -> list[QuestionView]:
        """What waits for an answer, that which is asked first in front.

        Raises:
            NotFoundError: there is no such project.
        """
        project = self.stores.projects.get(name)
        urls = _desk_urls(project, self.house.settings.label_studio_url)
        found = sorted(self.stores.questions(name).open(), key=lambda posted: (posted.score, posted.id))
        return [_question(posted, urls.get(posted.desk, "")) for posted in found[:QUESTIONS_SHOWN]]

    def name_group(self, name: str, group: SampleId, text: str) -> None:
        """Call a group so; an empty text takes its name away.

        Raises:
            NotFoundError: there is no such project or group.
            InputError: no usable name.
        """
        self.stores.names(name).give(group, text, self.clock(), self._grouping(name))

    def examine(self, name: str) -> None:
        """Let a worker look at everything now.

        Raises:
            NotFoundError: there is no such project.
        """
        self.queues.examine(self.stores.projects.get(name).name)

    def _findings(self, project: Project, report: Report | None) -> list[Finding]:
        """What can be looked at here and now; the rest as a worker found it."""
        here = look_around(self.house, project, CHECK_SECONDS)
        known = {finding.check for finding in here}
        found = [] if report is None else [Finding(**finding) for finding in report.findings]
        return here + [finding for finding in found if finding.check not in known]

    def _grouping(self, name: str) -> Grouping:
        found = self.stores.revisions(self.stores.projects.get(name).name).grouping()
        if found is None:
            raise NotFoundError(f"project {name} has no groups yet; they come with the first answers")
        return found

    def _joined_last(self, name: str) -> list[SampleId]:
        """Samples that an annotator called the same as another one lately, the newest first."""
        return [
            sample
            for annotation in self.stores.answers(name).latest(LATEST_ANNOTATIONS)
            for answer in annotation.answers
            if answer.verdict is Verdict.SAME and answer.origin is not Origin.DECISION
            for sample in ([answer.candidate] if answer.candidate else answer.pair)
        ]

    def _status(self, project: Project) -> Status:
        return status_of(project, self.stores, self.queues, self.operator)

    def _covers(self, name: str) -> list[SampleId]:
        found = self.stores.revisions(name).grouping()
        return [] if found is None else [found.typical(group.id, count=1)[0].sample for group in found.sized[:COVERS]]

    def _strip(self, name: str) -> list[Named]:
        found = self.stores.revisions(name).grouping()
        names = self.stores.names(name).of(found)
        return [] if found is None else [_named(group, names, found, 1) for group in found.sized[:STRIP]]

    def _training(self, name: str) -> TrainingView | None:
        job = self.queues.training(name)
        if job is None or job.state in {"finished", "canceled", "stopped"}:
            return None
        done, of = job.progress.get("epoch", job.progress.get("done")), job.progress.get("of")
        share = done / of if isinstance(done, int) and isinstance(of, int) and of > 0 else None
        return TrainingView(job, self.queues.training_progress(name), None if share is None else min(share, 1.0))


def _named(group: Group, names: Mapping[SampleId, str], grouping: Grouping, members: int) -> Named:
    return Named(group, names.get(group.id, ""), grouping.typical(group.id, count=members))


def _question(posted: PostedQuestion, url: str) -> QuestionView:
    question = posted.question
    probabilities = posted.probabilities or question.probabilities
    # Whoever looks here may be asked next: what must stay blind in Label Studio stays blind here.
    told: Sequence[float | None] = [None] * len(question.candidates) if question.blind else probabilities
    if len(told) != len(question.candidates):
        told = [None] * len(question.candidates)
    candidates = list(zip(question.candidates, told, strict=True))
    return QuestionView(posted, WHY[question.purpose], candidates, url)


def _stops(status: Status, points: Sequence[Point]) -> int | None:
    """Where more answers stop paying, in annotations: where they did, else where they are foreseen to."""
    quality = status.quality
    if quality is None or not points or not points[-1].answers:
        return None
    rule = next((verdict for verdict in quality.stopping if verdict.name == "worth"), None)
    if rule is None:
        return None
    if rule.met:
        since = points[-1].annotations
        for point in reversed(points):
            if point.next_hundred is None or point.next_hundred >= rule.threshold:
                break
            since = point.annotations
        return since
    until = quality.pays_until(points[-1].answers)
    return None if until is None else round(until * points[-1].annotations / points[-1].answers)


def _desk_urls(project: Project, label_studio: str) -> dict[str, str]:
    return {
        desk.name: f"{(desk.label_studio_url or label_studio).rstrip('/')}/projects/{desk.project_id}/data"
        for desk in project.desks
        if not desk.retired
    }


def _pages(total: int, size: int, page: int) -> int:
    """How many pages there are.

    Raises:
        NotFoundError: ``page`` is none of them.
    """
    pages = max(1, -(-total // size))
    if not 1 <= page <= pages:
        raise NotFoundError(f"there is no page {page}; expected 1 to {pages}")
    return pages
