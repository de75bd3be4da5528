"""What a push of predictions finds in Label Studio, and what it came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from pal_backend.core.vocabulary import SampleId
from pal_backend.label_studio_values import RemotePrediction, RemoteTask


class Task(NamedTuple):
    """A task that shows a sample of ours: what a push needs of it, since there may be very many."""

    id: int
    sample: SampleId
    ours: bool
    """Whether a push made it."""
    data: Mapping[str, Any]
    predictions: tuple[RemotePrediction, ...]


@dataclass
class Pushed:
    """What a push came to."""

    project: int = 0
    """Label Studio's."""
    title: str = ""
    url: str = ""
    model_version: str = ""
    made: bool = False
    """Whether the project was made by this push."""
    tasks: int = 0
    """Made."""
    predictions: int = 0
    """Written, those of new tasks among them."""
    unchanged: int = 0
    """Tasks that had this very prediction already."""
    links: int = 0
    """Tasks whose picture has a new address."""
    unknown: dict[str, int] = field(default_factory=dict)
    """Names of groups that the project's config has no choice for → samples that got no prediction."""
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For the job's result and ``--json``."""
        return asdict(self)

    @property
    def sentence(self) -> str:
        """The same in words."""
        done = f"{self.predictions:,} predictions written, {self.tasks:,} tasks made"
        return f"{done}, {self.unchanged:,} as they were" if self.unchanged else done


def read_task(task: RemoteTask, project: str, key: str, urls: Mapping[str, SampleId]) -> Task | None:
    """A task that shows a sample of ours, known by its meta or by its picture's address; None for others.

    Args:
        task: as Label Studio has it.
        project: ours.
        key: of its data, under which the picture's address stands.
        urls: addresses of our pictures to their samples.
    """
    own, data = _sample(task, project), _data(task)
    sample = own or urls.get(str(data.get(key)))
    return None if sample is None else Task(task.id, sample, own is not None, data, task.predictions)


def _sample(task: RemoteTask, project: str) -> SampleId | None:
    """The sample that a task of ours shows, by its meta; None for others."""
    meta = task.raw.get("meta")
    about = meta.get("pal") if isinstance(meta, Mapping) else None
    if not isinstance(about, Mapping) or about.get("project") != project:
        return None
    sample = about.get("sample")
    return sample if isinstance(sample, str) else None


def _data(task: RemoteTask) -> Mapping[str, Any]:
    data = task.raw.get("data")
    return data if isinstance(data, Mapping) else {}
