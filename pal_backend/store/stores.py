"""All stores of an installation, made from one client and one artefact folder. No key is owned here."""

from __future__ import annotations

from redis import Redis

from pal_backend.settings import Settings
from pal_backend.store.answers import Answers
from pal_backend.store.artefacts import Artefacts
from pal_backend.store.asked import Asked
from pal_backend.store.connection import SOCKET_TIMEOUT_S, connect
from pal_backend.store.decisions import Decisions
from pal_backend.store.events import Events
from pal_backend.store.history import History
from pal_backend.store.logins import Logins
from pal_backend.store.maps import Maps
from pal_backend.store.names import Names
from pal_backend.store.projects import Projects, check_name
from pal_backend.store.questions import Questions
from pal_backend.store.reasons import Reasons
from pal_backend.store.reports import Reports
from pal_backend.store.revisions import Revisions
from pal_backend.store.sittings import Sittings
from pal_backend.store.unfinished import Unfinished
from pal_backend.store.versions import Versions
from pal_backend.store.withheld import Withheld


class Stores:
    """Hands out the store of each thing. A project's name is checked before it becomes part of a key or path."""

    def __init__(self, redis: Redis, artefacts: Artefacts) -> None:
        self.redis = redis
        self.artefacts = artefacts
        self.projects = Projects(redis, artefacts)
        self.logins = Logins(redis)
        self._revisions: dict[str, Revisions] = {}
        self._reasons: dict[str, Reasons] = {}

    @classmethod
    def open(cls, settings: Settings, *, timeout_s: float = SOCKET_TIMEOUT_S) -> Stores:
        """The stores that the settings name. Nothing is read or written yet.

        Args:
            settings: where Redis and the artefacts are.
            timeout_s: longest wait for one reply of Redis; the web process has less patience than a worker.

        Raises:
            ConfigError: an address that cannot be used.
        """
        return cls(connect(settings.redis_url, timeout_s=timeout_s), Artefacts(settings.artefact_root))

    def events(self, project: str) -> Events:
        """What Label Studio told us about a project."""
        return Events(self.redis, check_name(project))

    def answers(self, project: str) -> Answers:
        """The annotations of a project."""
        return Answers(self.redis, check_name(project))

    def asked(self, project: str) -> Asked:
        """What a project's desks ask for in Label Studio."""
        return Asked(self.redis, check_name(project))

    def questions(self, project: str) -> Questions:
        """The questions of a project."""
        return Questions(self.redis, check_name(project))

    def withheld(self, project: str) -> Withheld:
        """The questions of a project that are kept from somebody."""
        return Withheld(self.redis, check_name(project))

    def sittings(self, project: str) -> Sittings:
        """Who learns for a project."""
        return Sittings(self.redis, check_name(project))

    def versions(self, project: str) -> Versions:
        """The model versions of a project."""
        return Versions(self.redis, self.artefacts, check_name(project))

    def revisions(self, project: str) -> Revisions:
        """The published beliefs of a project; one object for each, since it keeps the last posterior in memory."""
        found = self._revisions.get(project)
        if found is None:
            found = self._revisions.setdefault(project, Revisions(self.redis, self.artefacts, check_name(project)))
        return found

    def reasons(self, project: str) -> Reasons:
        """Why samples of a project are where they are; one object for each, like :meth:`revisions`."""
        found = self._reasons.get(project)
        return found or self._reasons.setdefault(project, Reasons(self.artefacts, check_name(project)))

    def decisions(self, project: str) -> Decisions:
        """What leads decided by hand."""
        return Decisions(self.redis, self.artefacts, check_name(project))

    def history(self, project: str) -> History:
        """How a project came along."""
        return History(self.redis, check_name(project))

    def names(self, project: str) -> Names:
        """What people call the groups of a project."""
        return Names(self.redis, self.artefacts, check_name(project))

    def maps(self, project: str) -> Maps:
        """Where the samples of a project's versions lie on a plane."""
        return Maps(self.redis, self.artefacts, check_name(project))

    def reports(self, project: str) -> Reports:
        """What the doctor found last about a project."""
        return Reports(self.redis, check_name(project))

    def unfinished(self, project: str) -> Unfinished:
        """The training under way of a project."""
        return Unfinished(self.redis, self.artefacts, check_name(project))

    def ping(self) -> None:
        """Ask Redis whether it is there.

        Raises:
            UnavailableError: it is not.
        """
        self.redis.ping()
