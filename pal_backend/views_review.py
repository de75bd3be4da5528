"""What the pages show on which a lead looks closer: why a sample is where it is, what contradicts, what may be wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from pal_backend.core.decisions import Decision
from pal_backend.core.grouping import Grouping
from pal_backend.core.ties import APART, DECIDED, JOINED, MIXED, Ties
from pal_backend.core.vocabulary import HOUSE, Annotation, AnnotationKey, Pair, SampleId
from pal_backend.deciding import Deciding
from pal_backend.errors import NotFoundError
from pal_backend.queues import Queues
from pal_backend.store.projects import Project
from pal_backend.store.reasons import Reasons
from pal_backend.store.stores import Stores
from pal_backend.values_review import ConflictView, DoubtView, PairView, Placed, ReviewView, SampleView, Voice

CONFLICTS_ON_PAGE = 12
NEIGHBOURS = 12
ANSWERS_SHOWN = 40
"""Pairs shown of one sample, those that do not fit first."""
LIKELIEST = 3
"""Groups shown that a sample may be in."""
LEAST = 0.005
"""Least probability of a group that is shown."""
BRIDGES = 3


@dataclass(frozen=True)
class ReviewViews:
    """Makes the views, and acts. Keeps nothing."""

    stores: Stores
    queues: Queues
    label_studio_url: str
    """Of desks that name none."""
    clock: Callable[[], float]

    @property
    def deciding(self) -> Deciding:
        """Does what a lead decides."""
        return Deciding(self.stores, self.queues, self.clock)

    def sample(self, name: str, sample: SampleId) -> SampleView:
        """Why a sample is where it is.

        Raises:
            NotFoundError: there is no such project or sample, or nothing is known yet.
        """
        scene = _Scene.of(self, name)
        row = scene.grouping.index.get(sample)
        if row is None:
            raise NotFoundError(f"there is no sample {sample:.20} in the version in use")
        near = scene.neighbours(row)
        ties, here = scene.ties, scene.placed(row)
        by, path = scene.chain(row, near)
        touching = [] if ties is None else ties.touching(row)
        shown = sorted(touching, key=lambda edge: (scene.fits(edge), edge))[:ANSWERS_SHOWN]
        pairs = scene.pairs([*path, *shown])
        return SampleView(
            here=here,
            founds=here.group == sample,
            others=scene.others(row),
            none=scene.none(row),
            by="" if by is None else scene.grouping.sample_ids[by],
            chain=_along(pairs[: len(path)], by, scene.grouping),
            answers=_along(pairs[len(path) :], row, scene.grouping, each=True),
            total=len(touching),
            neighbours=[scene.placed(other, weight) for other, weight in near[:NEIGHBOURS]],
        )

    def review(self, name: str, page: int) -> ReviewView:
        """What waits for a decision, the oldest conflict first.

        Raises:
            NotFoundError: there is no such project or page.
        """
        scene = _Scene.of(self, name)
        found = scene.reasons.review(scene.number)
        pages = max(1, -(-len(found.conflicts) // CONFLICTS_ON_PAGE))
        if page > pages:
            raise NotFoundError(f"there is no page {page}; expected 1 to {pages}")
        shown = found.conflicts[(page - 1) * CONFLICTS_ON_PAGE : page * CONFLICTS_ON_PAGE]
        every = [*(conflict.pairs for conflict in shown), *(doubt.bridges[:BRIDGES] for doubt in found.doubts)]
        known = scene.of_pairs(chain.from_iterable(every))
        conflicts = [[known[pair] for pair in conflict.pairs if pair in known] for conflict in shown]
        return ReviewView(
            conflicts=[ConflictView(_title(pairs[0]), pairs) for pairs in conflicts if pairs],
            total=found.total,
            page=page,
            pages=pages,
            doubts=[
                DoubtView(d, scene.names.get(d.group, ""), [known[p] for p in d.bridges[:BRIDGES] if p in known])
                for d in found.doubts
            ],
        )

    def part(self, name: str, bridge: Pair) -> Decision:
        """Decide that a doubtful merge is none: the smaller side is a group of its own.

        Raises:
            NotFoundError: no merge that this pair holds is in doubt (any more).
        """
        scene = _Scene.of(self, name)
        doubt = next((one for one in scene.reasons.review(scene.number).doubts if bridge in one.bridges), None)
        if doubt is None:
            raise NotFoundError("this merge is not in doubt any more; look at the review again")
        return self.deciding.split(name, doubt.group, doubt.small, together=True)


@dataclass(frozen=True)
class _Scene:
    """What is known of one project as of one revision."""

    views: ReviewViews
    project: Project
    number: int
    grouping: Grouping
    ties: Ties | None
    reasons: Reasons
    names: Mapping[SampleId, str]

    @classmethod
    def of(cls, views: ReviewViews, name: str) -> _Scene:
        project = views.stores.projects.get(name)
        revisions = views.stores.revisions(name)
        number, grouping = revisions.number(), revisions.grouping()
        if number is None or grouping is None:
            raise NotFoundError(f"project {name} has no groups yet; they come with the first answers")
        reasons = views.stores.reasons(name)
        ties = reasons.ties(number)
        if ties is not None and int(ties.ends.max(initial=0)) >= len(grouping.sample_ids):
            ties = None  # a revision of another version was published this very moment
        return cls(views, project, number, grouping, ties, reasons, views.stores.names(name).of(grouping))

    def placed(self, row: int, near: float = 0.0) -> Placed:
        sample = self.grouping.sample_ids[row]
        group = self.grouping.group_of(sample) or ""
        return Placed(sample, group, self.names.get(group, ""), float(self.grouping.probability[row]), near)

    def neighbours(self, row: int) -> list[tuple[int, float]]:
        """Rows of its neighbours, the nearest first, and the share of its ties that leads to each."""
        revision = self.views.stores.revisions(self.project.name).current()
        found = [] if revision is None else self.reasons.neighbours(revision.version, row)
        total = sum(weight for _, weight in found) or 1.0
        return [(other, weight / total) for other, weight in found if other < len(self.grouping.sample_ids)]

    def others(self, row: int) -> list[tuple[SampleId, str, float]]:
        """The likeliest groups but its own."""
        beliefs = self.reasons.beliefs(self.number, row)
        if beliefs is None or len(beliefs) != len(self.grouping.groups):
            return []
        mine = self.grouping.group_of(self.grouping.sample_ids[row])
        best = [self.grouping.groups[k] for k in np.argsort(-beliefs, kind="stable")[: LIKELIEST + 1].tolist()]
        found = [(group, self.names.get(group, ""), float(beliefs[self.grouping.numbers[group]])) for group in best]
        return [one for one in found if one[0] != mine and one[2] >= LEAST][:LIKELIEST]

    def none(self, row: int) -> float:
        """Belief that it is in no known group."""
        beliefs = self.reasons.beliefs(self.number, row)
        return 0.0 if beliefs is None else max(0.0, 1.0 - float(beliefs.sum()))

    def chain(self, row: int, near: Sequence[tuple[int, float]]) -> tuple[int | None, list[int]]:
        """From the sample, or its nearest neighbour in the same group that answers lead on from, to the group's founder."""
        ties, grouping = self.ties, self.grouping
        founder = grouping.index.get(grouping.group_of(grouping.sample_ids[row]) or "")
        if ties is None or founder is None or founder == row:
            return None, []
        group = grouping.sample_ids[founder]
        alike = [other for other, _ in near if grouping.group_of(grouping.sample_ids[other]) == group]
        for start in (row, *alike):
            path = ties.path(start, founder)
            if path is not None:
                return start, path
        return None, []

    def fits(self, edge: int) -> bool:
        """Whether a pair's answers agree with each other and with the groups."""
        assert self.ties is not None
        weight, settled = float(self.ties.weights[edge]), self.ties.has(edge, DECIDED)
        if weight == 0.0:
            return not self.ties.has(edge, MIXED)
        held = self.ties.has(edge, JOINED if weight > 0.0 else APART)
        return held and (settled or not self.ties.has(edge, MIXED))

    def of_pairs(self, pairs: Iterable[Pair]) -> dict[Pair, PairView]:
        """Those of the pairs that have answers."""
        ties, index = self.ties, self.grouping.index
        if ties is None:
            return {}
        wanted = [pair for pair in dict.fromkeys(pairs) if pair.first in index and pair.second in index]
        edges = {pair: ties.between(index[pair.first], index[pair.second]) for pair in wanted}
        found = {pair: edge for pair, edge in edges.items() if edge is not None}
        return dict(zip(found, self.pairs(list(found.values())), strict=True))

    def pairs(self, edges: Sequence[int]) -> list[PairView]:
        """Pairs with all that was said of them."""
        ties = self.ties
        if ties is None or not edges:
            return []
        keys = {edge: ties.annotations(edge) for edge in edges}
        said = self.views.stores.answers(self.project.name).some(chain.from_iterable(keys.values()))
        waiting = self.views.stores.questions(self.project.name).open()
        asked = {pair for posted in waiting for pair in posted.question.pairs}
        return [self._pair(edge, keys[edge], said, asked) for edge in edges]

    def _pair(
        self, edge: int, keys: Sequence[AnnotationKey], said: Mapping[AnnotationKey, Annotation], asked: set[Pair]
    ) -> PairView:
        assert self.ties is not None
        first, second = (self.placed(row) for row in self.ties.ends[edge].tolist())
        pair = Pair.of(first.sample, second.sample)
        weight, decided = float(self.ties.weights[edge]), self.ties.has(edge, DECIDED)
        disputed = self.ties.has(edge, MIXED) and not decided
        says = "disputed" if disputed else "same" if weight > 0.0 else "different" if weight < 0.0 else "unsure"
        voices = [
            Voice(annotation.annotator, answer.verdict, annotation.updated_at / 1e6, self._url(annotation))
            for annotation in (said[key] for key in keys if key in said)
            for answer in annotation.answers
            if answer.pair == pair
        ]
        return PairView(first, second, says, self.fits(edge), decided, voices, pair in asked)

    def _url(self, annotation: Annotation) -> str:
        desks = {desk.name: desk for desk in self.project.desks}
        desk = desks.get(annotation.key.desk)
        if annotation.key.desk == HOUSE or desk is None or desk.retired:
            return ""
        address = (desk.label_studio_url or self.views.label_studio_url).rstrip("/")
        return f"{address}/projects/{desk.project_id}/data?task={annotation.task}"


def _along(pairs: Sequence[PairView], start: int | None, grouping: Grouping, *, each: bool = False) -> list[PairView]:
    """The pairs turned so that each begins where the one before it ends, or ``each`` with the first sample."""
    at = "" if start is None else grouping.sample_ids[start]
    found = []
    for pair in pairs:
        turned = pair if pair.first.sample == at else _turned(pair)
        found.append(turned)
        at = at if each else turned.second.sample
    return found


def _turned(pair: PairView) -> PairView:
    return PairView(pair.second, pair.first, pair.says, pair.fits, pair.decided, pair.voices, pair.asked)


def _title(pair: PairView) -> str:
    if pair.says == "disputed":
        return "People differ on these two"
    if pair.says == "different":
        return "Called different, but other answers join them"
    return "Called the same, but other answers keep them apart"
