"""What every check of `pal doctor` has in common: what it looks at, what it can say, and how long it may take.

Nothing here knows Label Studio, so that the web process can look at the house too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, NamedTuple, Self, TypeVar

import httpx
from redis.exceptions import RedisError

from pal_backend.credentials import Credentials
from pal_backend.errors import PalError
from pal_backend.queues import Queues
from pal_backend.settings import Settings
from pal_backend.store.projects import Project
from pal_backend.store.stores import Stores

logger = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """What a check found. ``ok`` is None where it cannot be known; ``mend`` is what mends just that."""

    ok: bool | None
    sentence: str
    mend: str = ""


def good(sentence: str) -> Outcome:
    """Nothing to do."""
    return Outcome(True, sentence)


def bad(sentence: str, mend: str) -> Outcome:
    """Something is wrong, and ``mend`` mends just that."""
    return Outcome(False, sentence, mend)


def unknown(sentence: str, mend: str = "") -> Outcome:
    """It cannot be known from here."""
    return Outcome(None, sentence, mend)


@dataclass(frozen=True, kw_only=True)
class House:
    """What is ours, and for some checks one project of it.

    Args:
        settings: of the process that asks; the web process and the workers are taken to have the same.
        credentials: what we show Label Studio, and what it shows us.
        stores: Redis and the artefact folder.
        queues: jobs and who works on them.
        clock: seconds since the epoch.
    """

    settings: Settings
    credentials: Credentials
    stores: Stores
    queues: Queues
    clock: Callable[[], float]
    project: Project | None = None

    def at(self, project: Project) -> Self:
        """The same, looking at this project."""
        return replace(self, project=project)


Seen_contra = TypeVar("Seen_contra", bound=House, contravariant=True)
Seen = TypeVar("Seen", bound=House)


@dataclass(frozen=True)
class Check(Generic[Seen_contra]):
    """One thing to look at: ``look`` is called unless one of the checks it ``needs`` did not come out well."""

    name: str
    look: Callable[[Seen_contra], Outcome]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What one check found.

    ``ok`` is None where it cannot be known; ``sentence`` says what was found, ``mend`` the setting or command that mends
    just that (empty when nothing is to be done); ``about`` is a project, a project/desk, or empty.
    """

    check: str
    ok: bool | None
    sentence: str
    mend: str = ""
    about: str = ""


def look(
    checks: Sequence[Check[Seen]], scene: Seen, about: str, came_out: Mapping[str, bool | None], seconds: float
) -> list[Finding]:
    """Make these checks in order. ``came_out`` holds those made before, on which some of these depend."""
    known = dict(came_out)
    findings = []
    for check in checks:
        missing = next((name for name in check.needs if known.get(name) is not True), None)
        if missing is not None:
            outcome = unknown(f"{check.name} was not looked at, because {missing} did not come out well.")
        else:
            outcome = _within(seconds, check, scene)
        known[check.name] = outcome.ok
        findings.append(Finding(check.name, outcome.ok, outcome.sentence, outcome.mend, about))
    return findings


def _within(seconds: float, check: Check[Seen], scene: Seen) -> Outcome:
    """The outcome of a check, or that it took too long; its thread is then left to itself."""
    outcomes: SimpleQueue[Outcome] = SimpleQueue()
    thread = Thread(target=lambda: outcomes.put(_guarded(check, scene)), name=f"doctor-{check.name}", daemon=True)
    thread.start()
    try:
        return outcomes.get(timeout=seconds)
    except Empty:
        return unknown(
            f"Looking at {check.name} took longer than {seconds:g} s.", "look at it again when less is going on"
        )


def _guarded(check: Check[Seen], scene: Seen) -> Outcome:
    """One failing check must not hide the next, whatever made it fail."""
    try:
        return check.look(scene)
    except PalError as problem:
        return unknown(f"{check.name} could not be looked at: {problem}.")
    except (httpx.HTTPError, RedisError, OSError) as problem:
        return unknown(f"{check.name} could not be looked at: no answer came ({type(problem).__name__}).")
    except Exception as problem:
        logger.exception("the check %s failed", check.name)
        return unknown(f"{check.name} could not be looked at, by a fault of ours ({type(problem).__name__}).")
