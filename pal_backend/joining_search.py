"""Which Label Studio project is a desk's: the one recorded, the one that carries our mark, or none (any more)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from label_config import parse
from pal_backend.core.vocabulary import Medium, QuestionKind
from pal_backend.errors import ConfigError, ConflictError, NotFoundError
from pal_backend.label_studio import LabelStudio
from pal_backend.label_studio_values import RemoteProject
from pal_backend.store.projects import Desk, Project

_MARK = re.compile(r"\[pal ([a-z0-9-]+)/([a-z0-9-]+)\]")


def marker(project: str, desk: str) -> str:
    """The words in a Label Studio project's description by which its desk is known again."""
    return f"[pal {project}/{desk}]"


def leads_to(url: str, project: str, desk: str, tail: str = "") -> bool:
    """Whether a URL, on whatever host, is that of a desk's ML backend (with ``tail``: of its webhook)."""
    return urlsplit(url).path.rstrip("/").endswith(f"/p/{project}/{desk}{tail}")


@dataclass(frozen=True)
class Wanted:
    """The desk that is asked for."""

    name: str
    kind: QuestionKind
    prelabel: bool = False
    """Whether annotators see the guess."""
    adopt: int | None = None
    """Id of a Label Studio project of the team's to use; None creates one, or finds the one made before."""
    title: str = ""
    """Title of a new Label Studio project; empty makes one up."""


@dataclass(frozen=True)
class Found:
    """What the search came to."""

    name: str
    """The desk's name: the one wanted, or with a number after it when Label Studio was lost before."""
    remote: RemoteProject | None
    """Label Studio's project, or None when one has to be created."""
    gone: tuple[Desk, ...] = ()
    """Recorded desks whose Label Studio project is not there any more."""


class Search:
    """Looks for the Label Studio project of the desk ``wanted`` of ``project``. Changes nothing."""

    def __init__(self, project: Project, wanted: Wanted, label_studio: LabelStudio) -> None:
        self._project = project
        self._wanted = wanted
        self._label_studio = label_studio
        self._base = re.compile(rf"{re.escape(wanted.name)}(?:-(\d+))?\Z")

    def find(self) -> Found:
        """Look.

        Raises:
            ConfigError: the labelling config of the project to adopt is not one of ours.
            ConflictError: the project to adopt belongs to another desk.
            NotFoundError: there is no project to adopt.
        """
        if self._wanted.adopt is not None:
            return Found(self._wanted.name, self._adopted(self._wanted.adopt))
        gone: list[Desk] = []
        live = [desk for desk in self._project.desks if self._base.match(desk.name) and not desk.retired]
        for desk in sorted(live, key=lambda desk: self._number(desk.name), reverse=True):
            remote = self._still_there(desk)
            if remote is not None:
                return Found(desk.name, remote, tuple(gone))
            gone.append(desk)
        name, remote = self._known_again() or (self._free_name(), None)
        return Found(name, remote, tuple(gone))

    def _adopted(self, number: int) -> RemoteProject:
        name, kind = self._wanted.name, self._wanted.kind
        remote = self._label_studio.project(number)
        mark = _MARK.search(remote.description)
        if mark and (mark[1], mark[2]) != (self._project.name, name):
            raise ConflictError(
                f"Label Studio project {number} says in its description that it is desk {mark[2]} of project {mark[1]}; "
                f"use those names, or remove {mark[0]} there if nothing uses it any more"
            )
        kept = next((desk for desk in self._project.desks if desk.name == name), None)
        if kept is not None and (kept.retired or kept.project_id != number):
            raise ConflictError(
                f"desk {name} of {self._project.name} belongs to Label Studio project {kept.project_id}, not {number}; "
                "choose another name for the desk"
            )
        if problems := parse.check(remote.label_config, str(kind), str(self._project.medium)):
            raise ConfigError(
                f"the labelling config of Label Studio project {number} cannot ask {kind} questions: "
                f"{'; '.join(problems)}; paste ours into its Labeling Interface (label_config/{kind}{'_text' * (self._project.medium is Medium.TEXT)}.xml), "
                "or let `pal init` create a project"
            )
        return remote

    def _still_there(self, desk: Desk) -> RemoteProject | None:
        """The project of a recorded desk; None when it is gone, or when its id now names somebody else's."""
        try:
            remote = self._label_studio.project(desk.project_id)
        except NotFoundError:
            return None
        if marker(self._project.name, desk.name) in remote.description:
            return remote
        backends = self._label_studio.backends(remote.id)
        return remote if any(leads_to(b.url, self._project.name, desk.name) for b in backends) else None

    def _known_again(self) -> tuple[str, RemoteProject] | None:
        """A project that carries our mark though we know nothing of it: ``.pal/`` was lost. The latest desk wins."""
        marked: dict[str, RemoteProject] = {}
        unmarked: list[RemoteProject] = []
        for remote in self._label_studio.projects():
            mark = _MARK.search(remote.description)
            if mark and mark[1] == self._project.name and self._base.match(mark[2]):
                marked.setdefault(mark[2], remote)
            elif not mark and not parse.check(remote.label_config, str(self._wanted.kind), str(self._project.medium)):
                unmarked.append(remote)
        found = marked or {name: remote for remote in unmarked for name in self._desks_behind(remote)}
        taken = {desk.name for desk in self._project.desks}
        names = sorted((name for name in found if name not in taken), key=self._number)
        return (names[-1], found[names[-1]]) if names else None

    def _desks_behind(self, remote: RemoteProject) -> Iterator[str]:
        for backend in self._label_studio.backends(remote.id):
            named = re.search(rf"/p/{re.escape(self._project.name)}/([a-z0-9-]+)/?\Z", urlsplit(backend.url).path)
            if named and self._base.match(named[1]):
                yield named[1]

    def _free_name(self) -> str:
        taken = {desk.name for desk in self._project.desks}
        number, name = 1, self._wanted.name
        while name in taken:
            number += 1
            name = f"{self._wanted.name}-{number}"
        return name

    def _number(self, name: str) -> int:
        found = self._base.match(name)
        return int(found[1] or 1) if found else 0
