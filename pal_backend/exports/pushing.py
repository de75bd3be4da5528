"""Groups as predictions in a classification project of Label Studio, so that review goes on there.

May be killed anywhere and done again: a task is known by the sample in its meta (or by its picture's address), a prediction
by the model version it carries, which names ours, its model version and its revision. What is there already is left alone;
predictions of earlier pushes go when all new ones stand. Nothing else in that project is ever touched.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from label_config.classes import Classes, classes_config, read_classes, with_labels
from pal_backend.core.vocabulary import Medium, SampleId
from pal_backend.errors import InputError, NotFoundError
from pal_backend.exports.kinds import LABEL_STUDIO
from pal_backend.exports.pushed import Pushed, Task, read_task
from pal_backend.exports.snapshot import Snapshot
from pal_backend.label_studio import LabelStudio
from pal_backend.label_studio_values import RemoteProject
from pal_backend.media import MediaLinks
from pal_backend.pool_content import medium_of
from pal_backend.store.errands import Errand, Errands
from pal_backend.store.exports import Export
from pal_backend.store.numbers import Numbers

Item = TypeVar("Item")

IMPORT_CHUNK = 200
PREDICT_CHUNK = 500
ERRAND_S = 25.0
"""Longer than an import may take (:data:`pal_backend.label_studio.IMPORT_TIMEOUT_S`)."""
SAMPLING = "Uncertainty sampling"
"""Lowest score first, and the score is the confidence: what is most doubtful is reviewed first."""
_DESK = re.compile(r"\[pal [a-z0-9-]+/[a-z0-9-]+\]")
_GROUPS = re.compile(r"\[pal-groups ([a-z0-9-]+)\]")


def marker(project: str) -> str:
    """The words in a Label Studio project's description by which it is known as the one that we made."""
    return f"[pal-groups {project}]"


@dataclass(frozen=True)
class Pusher:
    """What a push works with."""

    label_studio: LabelStudio
    links: MediaLinks

    def push(self, snapshot: Snapshot, target: int | None) -> Pushed:
        """Let the predictions of a Label Studio project be what is believed now.

        Args:
            snapshot: the project, with groups.
            target: Label Studio's id of a project of the team's; None: the one that we made, which is made if it is not
                there (any more).

        Raises:
            NotFoundError: there are no groups yet, or no such project.
            InputError: its config has no place for a class, or it is one of our desks.
            UnavailableError: Label Studio cannot be reached, or another push is at work.
        """
        if snapshot.grouping is None:
            raise NotFoundError(f"project {snapshot.project.name} has no groups yet; they come with the first answers")
        if medium_of(snapshot.stores.artefacts, snapshot.project.name) is Medium.TEXT:
            raise InputError(
                f"{snapshot.project.name} holds texts; predictions can be pushed for images alone as yet; take the groups home as a file"
            )
        return _Push(self, snapshot).run(target)


class _Push:
    """One run."""

    def __init__(self, pusher: Pusher, snapshot: Snapshot) -> None:
        self._label_studio = pusher.label_studio
        self._links = pusher.links
        self._snapshot = snapshot
        self._name = snapshot.project.name
        self._version = f"{self._name}-{snapshot.label}"
        self._ours = re.compile(rf"{re.escape(self._name)}-v\d+-r\d+\Z", re.ASCII)
        self._pushed = Pushed(model_version=self._version)
        self._believed = self._read()

    def _read(self) -> dict[SampleId, tuple[str, float]]:
        """Sample → label of its group, and confidence."""
        posterior, grouping = self._snapshot.posterior, self._snapshot.grouping
        assert posterior is not None and grouping is not None
        numbers = Numbers(self._snapshot.stores.artefacts, self._name)
        labels = numbers.labels([group.id for group in grouping.sized], self._snapshot.names)
        best, probability = posterior.assignment()
        of = [labels.get(group, "") for group in posterior.groups]
        pairs = zip(best.tolist(), probability.tolist(), strict=True)
        return {s: (of[k], round(p, 4)) for s, (k, p) in zip(posterior.sample_ids, pairs, strict=True)}

    def run(self, target: int | None) -> Pushed:
        errands = Errands(self._snapshot.stores.redis, self._name)
        # One at a time, whatever the target: which project is ours is looked up, and made if it is not there.
        with errands.run("push", ERRAND_S) as errand:
            remote = self._own() if target is None else self._theirs(target)
            self._pushed.project, self._pushed.title = remote.id, remote.title
            self._pushed.url = f"{self._label_studio.url}/projects/{remote.id}/data"
            shape = self._shape(remote)
            tasks = list(self._tasks(remote.id, shape, errand))
            errand.recovered()
            self._leave_out(shape)
            self._post(remote.id, shape, {task.sample for task in tasks}, errand)
            self._predict(remote.id, shape, tasks, errand)
            self._renew_links(shape, tasks, errand)
            self._order(remote)
            self._prune(remote.id, tasks)
        self._keep()
        return self._pushed

    # --- which project

    def _own(self) -> RemoteProject:
        found = (p for p in self._label_studio.projects() if marker(self._name) in p.description)
        remote = min(found, key=lambda p: p.id, default=None)
        if remote is None:
            labels = dict.fromkeys(label for label, _ in self._believed.values())
            words = f"Groups of {self._name}, for review. Leave this line as it is: {marker(self._name)}"
            remote = self._label_studio.create_project(
                f"{self._name}: groups"[:50], words, classes_config(list(labels))
            )
            self._pushed.made = True
        if remote.sampling != SAMPLING:
            remote = self._label_studio.patch_project(remote.id, sampling=SAMPLING)
        return remote

    def _theirs(self, target: int) -> RemoteProject:
        remote = self._label_studio.project(target)
        if _DESK.search(remote.description):
            raise InputError(
                f"Label Studio project {target}, {remote.title!r}, is a desk where PAL asks; expected a classification project; "
                "choose another, or let PAL make one"
            )
        made_for = _GROUPS.search(remote.description)
        if made_for and made_for[1] != self._name:
            raise InputError(
                f"Label Studio project {target}, {remote.title!r}, was made by PAL for the groups of {made_for[1]}; expected one "
                f"for {self._name}; choose another, or let PAL make one"
            )
        return remote

    def _shape(self, remote: RemoteProject) -> Classes:
        try:
            shape = read_classes(remote.label_config)
        except ValueError as problem:
            raise InputError(
                f"the labelling config of Label Studio project {remote.id}, {remote.title!r}, has no place for a class: expected "
                f'one <Choices choice="single"> about an <Image>, but {problem}; change it, or let PAL make a project'
            ) from None
        labels = {label for label, _ in self._believed.values()}
        if marker(self._name) not in remote.description or labels <= set(shape.labels):
            return shape
        more = with_labels(remote.label_config, sorted(labels))
        return read_classes(self._label_studio.patch_project(remote.id, label_config=more).label_config)

    def _leave_out(self, shape: Classes) -> None:
        """What the config has no choice for gets no prediction, and is told."""
        known = set(shape.labels)
        self._pushed.unknown = dict(Counter(label for label, _ in self._believed.values() if label not in known))
        self._believed = {s: found for s, found in self._believed.items() if found[0] in known}

    # --- tasks

    def _tasks(self, project: int, shape: Classes, errand: Errand) -> Iterator[Task]:
        """Tasks that show a sample of ours."""
        urls = {self._url(sample.id): sample.id for sample in self._snapshot.samples}
        for number, task in enumerate(self._label_studio.tasks(project)):
            if number % IMPORT_CHUNK == 0:
                errand.renew()
                self._snapshot.progress({"doing": "looking at the tasks", "done": number})
            found = read_task(task, self._name, shape.key, urls)
            if found is not None:
                yield found

    def _post(self, project: int, shape: Classes, there: set[SampleId], errand: Errand) -> None:
        new = [s for s in self._snapshot.samples if s.id in self._believed and s.id not in there and not s.missing]
        for done, chunk in _chunks(new, IMPORT_CHUNK):
            self._snapshot.progress({"doing": "making tasks", "done": done, "of": len(new)})
            tasks = [
                {
                    "data": {shape.key: self._url(sample.id), "path": sample.paths[0]},
                    "meta": {"pal": {"project": self._name, "sample": sample.id}},
                    "predictions": [self._prediction(shape, sample.id)],
                }
                for sample in chunk
            ]
            with errand.uncertain():
                self._label_studio.import_tasks(project, tasks)
            self._pushed.tasks += len(chunk)
            self._pushed.predictions += len(chunk)

    def _renew_links(self, shape: Classes, tasks: Sequence[Task], errand: Errand) -> None:
        """After `pal rotate-media` the pictures of our tasks have another address."""
        for task in tasks:
            url = self._url(task.sample)
            if task.ours and task.data.get(shape.key) != url:
                errand.renew()
                self._label_studio.patch_task(task.id, data={**task.data, shape.key: url})
                self._pushed.links += 1

    def _url(self, sample: SampleId) -> str:
        return self._links.url(self._name, sample)

    # --- predictions

    def _predict(self, project: int, shape: Classes, tasks: Sequence[Task], errand: Errand) -> None:
        """Add the predictions that are not there yet; those of an earlier push go later, all in one call.

        One of the same revision may say something else: a group got its name since.
        """
        lacking = []
        for task in tasks:
            if task.sample not in self._believed:
                continue
            there = next((p for p in task.predictions if p.model_version == self._version), None)
            wanted = self._prediction(shape, task.sample)
            if there is None:
                lacking.append({"task": task.id, **wanted})
            elif there.choices == {self._believed[task.sample][0]}:
                self._pushed.unchanged += 1
            else:
                errand.renew()
                self._label_studio.patch_prediction(there.id, result=wanted["result"], score=wanted["score"])
                self._pushed.predictions += 1
        for done, chunk in _chunks(lacking, PREDICT_CHUNK):
            self._snapshot.progress({"doing": "writing predictions", "done": done, "of": len(lacking)})
            with errand.uncertain():
                self._pushed.predictions += self._label_studio.create_predictions(project, chunk)

    def _prediction(self, shape: Classes, sample: SampleId) -> dict[str, Any]:
        label, confidence = self._believed[sample]
        return {"result": shape.result(label, confidence), "score": confidence, "model_version": self._version}

    def _order(self, remote: RemoteProject) -> None:
        """Let the project show our predictions, unless it shows somebody else's."""
        if not (self._pushed.predictions or self._pushed.unchanged):
            return
        if remote.model_version in ("", "undefined") or self._ours.match(remote.model_version):
            if remote.model_version != self._version:
                self._label_studio.patch_project(remote.id, model_version=self._version)
        else:
            self._pushed.notes.append(
                f"the project shows the predictions of {remote.model_version}; choose {self._version} in its settings "
                "(Annotation, Live Predictions) to see these"
            )

    def _prune(self, project: int, tasks: Sequence[Task]) -> None:
        carried = {p.model_version for task in tasks for p in task.predictions}
        for old in sorted(version for version in carried if self._ours.match(version) and version != self._version):
            self._label_studio.delete_predictions(project, old)

    def _keep(self) -> None:
        """Where the page finds it."""
        pushed, notes = self._pushed, list(self._pushed.notes)
        if pushed.unknown:
            names = ", ".join(f"{label} ({count:,})" for label, count in sorted(pushed.unknown.items())[:10])
            notes.append(f"no prediction for samples of groups that the config has no choice for: {names}")
        title = f"{pushed.title}, project {pushed.project}: {pushed.sentence}"
        export = Export(LABEL_STUDIO, "", 0, title, self._snapshot.label, self._snapshot.now, pushed.url, tuple(notes))
        self._snapshot.stores.exports(self._name).put(export)


def _chunks(items: Sequence[Item], size: int) -> Iterator[tuple[int, Sequence[Item]]]:
    """Slices, each with the number of items before it."""
    for start in range(0, len(items), size):
        yield start, items[start : start + size]
