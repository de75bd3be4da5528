"""The data card: one HTML file that tells how groups came about and how good they are. It asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from pal_backend.core.contradictions import contradictions
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.grouping import Group, Grouping, Member
from pal_backend.core.quality import Quality, percent
from pal_backend.core.vocabulary import Annotation, Answer, Medium, Pair, Purpose, SampleId, Verdict
from pal_backend.curve import curve
from pal_backend.errors import PalError
from pal_backend.exports.snapshot import Made, Snapshot
from pal_backend.images import decode
from pal_backend.media import MediaFiles
from pal_backend.pool_content import medium_of
from pal_backend.pool_index import load_images, local_root
from pal_backend.text_cards import TextCards

TEMPLATES = Path(__file__).parent.parent / "templates"
GROUPS = 40
"""Groups with pictures, the largest first; the others are counted."""
TYPICAL, DOUBTFUL = 5, 3
"""Pictures of a group."""
SIDE = 96
"""Pixels of a picture, twice what is shown."""
QUALITY = 75
PURPOSES = {
    Purpose.PLACE: "to place a sample",
    Purpose.MERGE: "to tell whether two groups are one",
    Purpose.RECHECK: "to check an unlikely answer",
    Purpose.VERIFY: "to estimate the accuracy",
}


@dataclass(frozen=True)
class Agreement:
    """How much people said the same of the same pair."""

    pairs: int
    """Pairs on which at least two people took a side."""
    agree: int
    """Of them, those on which all took the same side."""

    @property
    def share(self) -> float | None:
        """0..1, None where nobody can tell."""
        return self.agree / self.pairs if self.pairs else None


@dataclass(frozen=True)
class Person:
    """One annotator."""

    name: str
    annotations: int
    answers: int
    unsure: int
    wrong: float
    """Estimated share, 0..1."""


@dataclass(frozen=True)
class Shown:
    """A group with pictures, as data URIs."""

    group: Group
    name: str
    typical: Sequence[tuple[Member, str]]
    doubtful: Sequence[tuple[Member, str]]


def as_card(snapshot: Snapshot) -> Made:
    """The card of a project, before its first answer too.

    Raises:
        NotFoundError: the pool was never taken in.
    """
    data = _render(_values(snapshot)).encode()
    groups = 0 if snapshot.grouping is None else len(snapshot.grouping.sized)
    return Made(data, f"{groups:,} group{'' if groups == 1 else 's'}, {len(snapshot.annotations):,} annotations")


def agreement(answers: Iterable[Answer]) -> Agreement:
    """Among the pairs of which at least two people said "same" or "different"; the last word of each person counts."""
    said: dict[Pair, dict[str, Verdict]] = defaultdict(dict)
    for answer in sorted(answers, key=lambda a: a.updated_at):
        if answer.verdict is not Verdict.UNSURE:
            said[answer.pair][answer.annotator] = answer.verdict
    several = [set(verdicts.values()) for verdicts in said.values() if len(verdicts) > 1]
    return Agreement(len(several), sum(len(verdicts) == 1 for verdicts in several))


def _values(snapshot: Snapshot) -> dict[str, Any]:
    answers, history = snapshot.answers, snapshot.stores.history(snapshot.project.name).points()
    graph, sided = SimilarityGraph.of(answers), [a for a in answers if a.verdict is not Verdict.UNSURE]
    quality = snapshot.posterior.quality if snapshot.posterior else None
    shown, more = _shown(snapshot)
    version = snapshot.stores.versions(snapshot.project.name).describe(snapshot.version) if snapshot.version else None
    return {
        "project": snapshot.project,
        "label": snapshot.label,
        "made": datetime.fromtimestamp(snapshot.now, UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": version,
        "samples": len(snapshot.samples),
        "missing": sum(sample.missing for sample in snapshot.samples),
        "annotations": len(snapshot.annotations),
        "skipped": sum(annotation.skipped for annotation in snapshot.annotations),
        "answers": len(answers),
        "asked": len({sample for answer in sided for sample in answer.pair}),
        "verdicts": Counter(answer.verdict for answer in answers),
        "purposes": [(PURPOSES.get(purpose, str(purpose)), count) for purpose, count in _purposes(answers)],
        "days": _days(snapshot.annotations),
        "agreement": agreement(answers),
        "contradictions": len(contradictions(graph)),
        "people": _people(snapshot.annotations, graph),
        "quality": quality or Quality(),
        "curve": curve(history, None),
        "groups": 0 if snapshot.grouping is None else len(snapshot.grouping.sized),
        "shown": shown,
        "more": more,
    }


def _purposes(answers: Iterable[Answer]) -> list[tuple[Purpose, int]]:
    return Counter(answer.purpose for answer in answers).most_common()


def _days(annotations: Sequence[Annotation]) -> tuple[str, str] | None:
    """The first and the last day of answering."""
    if not annotations:
        return None
    times = [annotation.updated_at for annotation in annotations]
    first, last = (datetime.fromtimestamp(at / 1e6, UTC).strftime("%Y-%m-%d") for at in (min(times), max(times)))
    return first, last


def _people(annotations: Sequence[Annotation], graph: SimilarityGraph) -> list[Person]:
    each: dict[str, list[Annotation]] = defaultdict(list)
    for annotation in annotations:
        each[annotation.annotator].append(annotation)
    found = []
    for name, own in each.items():
        answers = [answer for annotation in own for answer in annotation.answers]
        unsure = sum(answer.verdict is Verdict.UNSURE for answer in answers)
        found.append(Person(name, len(own), len(answers), unsure, graph.rates.get(name, 0.0)))
    return sorted(found, key=lambda person: (-person.answers, person.name))


def _shown(snapshot: Snapshot) -> tuple[list[Shown], int]:
    """The largest groups with pictures, and how many are left."""
    grouping = snapshot.grouping
    if grouping is None:
        return [], 0
    picture, found = _pictures(snapshot), []
    largest = grouping.sized[:GROUPS]
    for number, group in enumerate(largest):
        snapshot.progress({"doing": "pictures", "done": number, "of": len(largest)})
        found.append(_with_pictures(group, grouping, snapshot.names.get(group.id, ""), picture))
    return found, len(grouping.sized) - len(largest)


def _with_pictures(group: Group, grouping: Grouping, name: str, picture: Callable[[SampleId], str]) -> Shown:
    typical = grouping.typical(group.id, count=TYPICAL)
    known = {member.sample for member in typical}
    doubtful = [member for member in grouping.doubtful(group.id, count=DOUBTFUL) if member.sample not in known]
    return Shown(group, name, [(m, picture(m.sample)) for m in typical], [(m, picture(m.sample)) for m in doubtful])


def _pictures(snapshot: Snapshot) -> Callable[[SampleId], str]:
    """What makes a sample's picture as a data URI: from its file, else from the small image that training sees."""
    name, pool = snapshot.project.name, local_root(snapshot.project.pool)
    artefacts = snapshot.stores.artefacts
    if medium_of(artefacts, name) is Medium.TEXT:
        cards = TextCards(artefacts, lambda: 0.0)
        return lambda sample: _uri("image/svg+xml", cards.card(name, sample).content)
    files = MediaFiles(artefacts, lambda: 0.0)
    rows = {sample.id: row for row, sample in enumerate(snapshot.samples)}
    small: list[Any] = []

    def picture(sample: SampleId) -> str:
        try:
            pixels = decode(files.read(name, pool, sample).content, SIDE).pixels
        except PalError:
            if sample not in rows:
                return ""
            if not small:
                small.append(load_images(artefacts, name))
            pixels = small[0][rows[sample]].squeeze()
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "WEBP", quality=QUALITY)
        return _uri("image/webp", buffer.getvalue())

    return picture


def _uri(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _render(values: dict[str, Any]) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda share: f"{percent(share)} %"
    style = (TEMPLATES.parent / "static/card.css").read_text()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template("card.html").render(**values, style=style, digest=digest)
