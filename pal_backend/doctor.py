"""`pal doctor`: looks at everything that can go wrong between Redis, Label Studio, us and the annotators' browsers.

Each check has a time limit and none hides another: one that cannot be made, because what it needs is missing, says so and
counts neither as well nor as ill. Nothing is changed anywhere.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import httpx

from pal_backend import doctor_browser, doctor_desks, doctor_house, doctor_label_studio
from pal_backend.credentials import FILE, Credentials
from pal_backend.doctor_parts import Check, Finding, look
from pal_backend.doctor_scene import Scene
from pal_backend.errors import UnavailableError
from pal_backend.settings import Settings
from pal_backend.store.projects import Project
from pal_backend.store.stores import Stores

logger = logging.getLogger(__name__)

CHECK_SECONDS = 20.0
"""Longest time one check may take, whatever it waits for."""
REDIS_SECONDS = 3.0

OF_THE_HOUSE: tuple[Check[Scene], ...] = (*doctor_house.CHECKS, *doctor_label_studio.CHECKS, *doctor_browser.CHECKS)
OF_A_PROJECT: tuple[Check[Scene], ...] = doctor_house.PROJECT_CHECKS
OF_A_DESK: tuple[Check[Scene], ...] = (*doctor_desks.CHECKS, *doctor_browser.DESK_CHECKS)


def examine(settings: Settings, name: str | None = None) -> list[Finding]:
    """Diagnose the installation that ``settings`` name, with one project or all of them.

    Raises:
        NotFoundError: there is no project of that name.
        ConfigError: a setting or the file of secrets cannot be used.
    """
    stores = Stores.open(settings, timeout_s=REDIS_SECONDS)
    return diagnose(settings, _credentials(settings), stores, _projects(stores, name))


def diagnose(
    settings: Settings,
    credentials: Credentials,
    stores: Stores,
    projects: Sequence[Project],
    *,
    transport: httpx.BaseTransport | None = None,
    clock: Callable[[], float] = time.time,
    check_seconds: float = CHECK_SECONDS,
) -> list[Finding]:
    """Make every check: of the installation, then of each project and of each of its desks that is in use.

    Args:
        settings: of the process that asks; the web process and the workers are taken to have the same.
        credentials: what we show Label Studio, and what it shows us.
        stores: Redis and the artefact folder.
        projects: what to look at; empty before there is one.
        transport: carries every HTTP request (tests pass their own); None for the network.
        clock: seconds since the epoch.
        check_seconds: longest time one check may take.
    """
    scene = Scene.open(settings, credentials, stores, clock, transport)
    house = look(OF_THE_HOUSE, scene, "", {}, check_seconds)
    findings = list(house)
    came_out = {finding.check: finding.ok for finding in house}
    for project in projects:
        found = look(OF_A_PROJECT, scene.at(project), project.name, came_out, check_seconds)
        findings += found
        for desk in project.desks:
            if not desk.retired:
                about = f"{project.name}/{desk.name}"
                findings += look(OF_A_DESK, scene.at_desk(project, desk), about, came_out, check_seconds)
    return findings


def failed(findings: Sequence[Finding]) -> bool:
    """Whether something is wrong; what cannot be known does not count."""
    return any(finding.ok is False for finding in findings)


def to_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings as one JSON object: ``ok`` (nothing is wrong) and the list."""
    return {"ok": not failed(findings), "findings": [asdict(finding) for finding in findings]}


def _credentials(settings: Settings) -> Credentials:
    """The secrets; where there is no file of them none are made, since looking must not write."""
    if (settings.home / FILE).exists():
        return Credentials.load_or_create(settings)
    return Credentials(
        label_studio_token=settings.label_studio_token,
        basic_auth_user=settings.basic_auth_user or Credentials().basic_auth_user,
        basic_auth_password=settings.basic_auth_password,
        webhook_secret=settings.webhook_secret,
    )


def _projects(stores: Stores, name: str | None) -> list[Project]:
    """The project asked for, or all; as the artefact folder has them where Redis does not answer."""
    try:
        return [stores.projects.get(one) for one in ([name] if name else stores.projects.names())]
    except UnavailableError:
        found = [stores.projects.kept(one) for one in ([name] if name else stores.projects.kept_names())]
        return [project for project in found if project is not None]
