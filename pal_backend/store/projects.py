"""Projects and their desks.

Keys:
    ``pal:projects`` set of project names; ``pal:{p}:config`` JSON of :class:`Project`. Written by ``pal init`` and by
    whoever pauses or changes it; also kept as the artefact ``projects/<p>/project.json``, which is read when Redis was lost.
    ``pal:pending`` hash of backends connected by hand at the bare URL: Label Studio's project to its host name; a field
    goes when somebody adopts it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import cast

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import WatchError

from pal_backend.core.choice import Choice
from pal_backend.core.vocabulary import Medium, Opinion, QuestionKind
from pal_backend.errors import InputError, NotFoundError
from pal_backend.store.artefacts import Artefacts
from pal_backend.store.records import Record, dump

PROJECT_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}\Z")
"""Names of projects and desks: they stand in URLs, keys, job ids and paths."""
PENDING_LIMIT = 100
"""Set-ups at the bare URL that are remembered; a stranger must not fill the memory."""
QUESTION_TEXT = "Do these two show the same thing?"


def check_name(name: str, what: str = "project") -> str:
    """``name`` if it may name a project or a desk.

    Raises:
        InputError: it may not.
    """
    if not isinstance(name, str) or not PROJECT_NAME.match(name):
        raise InputError(
            f"the {what} name {name!r:.60} cannot be used; expected 1 to 40 lower-case letters, digits and hyphens, "
            "not starting with a hyphen; choose such a name"
        )
    return name


@dataclass(frozen=True)
class Desk:
    """One Label Studio project attached to a project of ours, with one kind of question."""

    name: str
    kind: QuestionKind
    project_id: int
    """Label Studio's."""
    backend_id: int
    webhook_id: int
    prelabel: bool = False
    """Whether annotators see the guess."""
    retired: bool = False
    """A desk whose Label Studio project is gone; its answers stay."""
    label_studio_url: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, "desk")


@dataclass(frozen=True)
class Project:
    """One pool and one similarity graph."""

    name: str
    pool: str
    """Where the samples come from, as :func:`pal_backend.pool_sources.read_pool` gives it."""
    desks: tuple[Desk, ...]
    candidates: int = 8
    """Candidates on a screen."""
    strategy: str = "gain"
    opinion: Opinion = Opinion.KERNEL
    seed: int = 0
    recipe: str = ""
    """How it learns, as `pal init` was told; empty: others may say (:mod:`pal_backend.choosing`)."""
    backbone: str = ""
    weights: str = ""
    tuning: str = ""
    seal: str = ""
    """That the backbone was named by `pal init`; see :meth:`pal_backend.choosing.Operator.seal`."""
    question_text: str = QUESTION_TEXT
    medium: Medium = Medium.IMAGE
    open_questions: int = 0
    """Least number of open questions on a desk; 0: as ``PAL_OPEN_QUESTIONS`` says."""
    paused_at: float = 0.0
    """Since when no new questions are asked, in seconds since 1970; 0: they are."""
    recipe_by: str = ""
    """Who chose the recipe, where that was not `pal init`."""

    def __post_init__(self) -> None:
        check_name(self.name)

    @property
    def paused(self) -> bool:
        """Whether no new questions are asked."""
        return self.paused_at > 0

    @property
    def choice(self) -> Choice:
        """Recipe, backbone, weights and tuning."""
        return Choice(self.recipe, self.backbone, self.weights, self.tuning)

    def desk(self, name: str) -> Desk:
        """The desk of that name.

        Raises:
            NotFoundError: it has none.
        """
        for desk in self.desks:
            if desk.name == name:
                return desk
        names = ", ".join(desk.name for desk in self.desks) or "none"
        raise NotFoundError(
            f"project {self.name} has no desk {name!r:.60}; expected one of: {names}; check the URL, or run `pal init`"
        )


@dataclass(frozen=True)
class Pending:
    """A backend connected by hand at the bare URL, which nobody has adopted yet."""

    project: str
    """Label Studio's id of the project, with the time it was made, as /setup states it."""
    hostname: str


class Projects:
    """All projects of this installation."""

    def __init__(self, redis: Redis, artefacts: Artefacts) -> None:
        self._redis = redis
        self._artefacts = artefacts

    def names(self) -> list[str]:
        """Names of all projects, sorted; those that only the artefact folder remembers among them."""
        known = cast("set[str]", self._redis.smembers("pal:projects"))
        return sorted(known | set(self.kept_names()))

    def kept_names(self) -> list[str]:
        """Names of the projects in the artefact folder, sorted; needs no Redis."""
        names = (name for name in self._artefacts.list("projects") if PROJECT_NAME.match(name))
        return sorted(name for name in names if self._artefacts.exists(_file(name)))

    def get(self, name: str) -> Project:
        """The project of that name.

        Raises:
            NotFoundError: there is none.
            InputError: the name cannot be one, or what is kept about it is malformed.
        """
        project = self.find(name)
        if project is None:
            raise NotFoundError(
                f"there is no project {name}; expected one of: {', '.join(self.names()) or 'none yet'}; run `pal init`"
            )
        return project

    def find(self, name: str) -> Project | None:
        """The project of that name, or None.

        Raises:
            InputError: the name cannot be one, or what is kept about it is malformed.
        """
        key = f"pal:{check_name(name)}:config"
        text = cast("str | None", self._redis.get(key))
        if text is not None:
            return _load(Record(text, key), name)
        return self.kept(name)

    def kept(self, name: str) -> Project | None:
        """The project as the artefact folder has it, or None; needs no Redis.

        Raises:
            InputError: the name cannot be one, or what is kept about it is malformed.
        """
        check_name(name)
        try:
            return _load(Record(self._artefacts.read(_file(name)), _file(name)), name)
        except NotFoundError:
            return None

    def save(self, project: Project, pipe: Pipeline | None = None) -> None:
        """Keep a project, new or changed: in the artefact folder, then in Redis (or in the caller's transaction)."""
        fields = asdict(project)
        self._artefacts.write_file(_file(project.name), json.dumps(fields, indent=1).encode())
        own = self._redis.pipeline() if pipe is None else pipe
        own.sadd("pal:projects", project.name)
        own.set(f"pal:{project.name}:config", dump(fields))
        if pipe is None:
            own.execute()

    def change(self, name: str, change: Callable[[Project], Project]) -> Project:
        """Change what is kept about a project; what others change at the same time stays.

        Args:
            name: of the project.
            change: from the project as it is to what it shall be; may be called again.

        Raises:
            NotFoundError: there is none.
        """
        with self._redis.pipeline() as pipe:
            while True:
                pipe.watch(f"pal:{check_name(name)}:config")  # type: ignore[no-untyped-call]
                changed = change(self.get(name))
                pipe.multi()
                self.save(changed, pipe)
                try:
                    pipe.execute()
                except WatchError:
                    continue
                return changed

    def note_pending(self, url_project: str, hostname: str, pipe: Pipeline | None = None) -> None:
        """Remember that a Label Studio project connected at the bare URL; beyond 100 of them nothing is remembered."""
        if self._redis.hlen("pal:pending") < PENDING_LIMIT:
            (self._redis if pipe is None else pipe).hset("pal:pending", url_project[:100], hostname[:300])

    def pending(self) -> list[Pending]:
        """Who connected at the bare URL and waits for `pal init --adopt`."""
        found = cast("dict[str, str]", self._redis.hgetall("pal:pending"))
        return [Pending(project, hostname) for project, hostname in sorted(found.items())]

    def forget_pending(self, url_project: str, pipe: Pipeline | None = None) -> None:
        """Somebody adopted it."""
        (self._redis if pipe is None else pipe).hdel("pal:pending", url_project[:100])


def _file(name: str) -> str:
    return f"projects/{name}/project.json"


def _load(record: Record, name: str) -> Project:
    if record.text("name") != name:
        raise record.wrong(f"the project {record.text('name')!r:.60}", f"the project {name}")
    desks = [Record.of(item, record.place) for item in record.items("desks")]
    return Project(
        name=name,
        pool=record.text("pool"),
        desks=tuple(
            Desk(
                name=desk.text("name"),
                kind=desk.choice("kind", QuestionKind),
                project_id=desk.whole("project_id"),
                backend_id=desk.whole("backend_id"),
                webhook_id=desk.whole("webhook_id"),
                prelabel=desk.flag("prelabel"),
                retired=desk.flag("retired"),
                label_studio_url=desk.text("label_studio_url", ""),
            )
            for desk in desks
        ),
        candidates=record.whole("candidates", 8),
        strategy=record.text("strategy", "gain"),
        opinion=record.as_choice(record.value.get("opinion", Opinion.KERNEL), Opinion),
        seed=record.whole("seed", 0),
        # Earlier releases wrote the only recipe there was into every project; nobody had chosen it.
        recipe=record.text("recipe", "") if "backbone" in record.value else "",
        backbone=record.text("backbone", ""),
        weights=record.text("weights", ""),
        tuning=record.text("tuning", ""),
        seal=record.text("seal", ""),
        question_text=record.text("question_text", QUESTION_TEXT),
        medium=record.as_choice(record.value.get("medium", Medium.IMAGE), Medium),
        open_questions=record.whole("open_questions", 0),
        paused_at=record.number("paused_at", 0.0),
        recipe_by=record.text("recipe_by", ""),
    )
