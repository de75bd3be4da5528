"""``pal status`` and ``pal doctor``: the commands that only look."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pal_backend import cli_completion
from pal_backend.cli_options import AsJson, ProjectName
from pal_backend.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from pal_backend.choosing import Chosen
    from pal_backend.core.paying import Person
    from pal_backend.core.quality import Quality
    from pal_backend.job_status import JobStatus
    from pal_backend.status import Asks, DeskStatus, Status
    from pal_backend.store.stores import Stores

SHOWN = 5
"""Files set aside and failed jobs that the table shows; --json gives all."""
UNWELL = 1
PAUSED = "no new questions are asked; open ones can be answered"

Name = ProjectName


def moment(at: float) -> str:
    """A time for people, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def only_project(stores: Stores, name: str) -> str:
    """The name given, else that of the only project.

    Raises:
        NotFoundError: there is no project yet, or none of that name.
        InputError: there are several to choose from.
    """
    if name:
        return stores.projects.get(name).name
    names = stores.projects.names()
    if not names:
        raise NotFoundError(
            "there is no project yet; make one with `pal init NAME --images FOLDER`, or start `pal demo`"
        )
    if len(names) > 1:
        raise InputError(f"there are several projects: {', '.join(names)}; say which")
    return names[0]


def status(name: Name = "", *, as_json: AsJson = False) -> None:
    """Show where a project stands.

    Example:  pal status --json
    """
    from pal_backend.choosing import Operator
    from pal_backend.credentials import Credentials
    from pal_backend.queues import Queues
    from pal_backend.settings import Settings
    from pal_backend.status import status_of
    from pal_backend.store.stores import Stores

    settings = Settings.from_env()
    stores, queues = Stores.open(settings), Queues(settings.redis_url)
    project = only_project(stores, name)
    operator = Operator.of(settings, Credentials.kept(settings))
    found = status_of(stores.projects.get(project), stores, queues, operator)
    jobs = [job for job in queues.jobs() if job.project == project]
    if as_json:
        print(json.dumps({**asdict(found), "jobs": [asdict(job) for job in jobs]}, default=str))
    else:
        _show_status(found, jobs)


def doctor(
    name: Annotated[
        str,
        typer.Argument(
            metavar="[PROJECT]", help="Project; all of them when left out.", autocompletion=cli_completion.projects
        ),
    ] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong, and the setting that mends just that; exit code 1 if anything is.

    Example:  pal doctor
    """
    from pal_backend import doctor as doctoring
    from pal_backend.settings import Settings

    findings = doctoring.examine(Settings.from_env(), name or None)
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings]))
    else:
        _show_findings(findings)
    if any(finding.ok is False for finding in findings):
        sys.exit(UNWELL)


def _show_status(found: Status, jobs: list[JobStatus]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"project {found.project}", show_header=False)
    for label, value in _status_rows(found, jobs):
        table.add_row(label, Text(value))
    Console().print(table)


def _status_rows(found: Status, jobs: list[JobStatus]) -> list[tuple[str, str]]:
    refused = [f"{version} refused: {reason}" for version, reason in found.versions_refused.items()]
    desks = [
        f"{desk.name}: {desk.open_questions} open {desk.kind} questions, Label Studio project {desk.label_studio_project}"
        + (", retired" if desk.retired else "")
        + (", guesses shown" if desk.prelabel else "")
        + _seconds(desk)
        for desk in found.desks
    ]
    latency = found.median_seconds_webhook_to_revision
    waiting = ", ".join(f"{count} in {queue}" for queue, count in found.jobs_waiting.items() if count)
    failed = [f"{job.kind} failed: {job.error}" for job in jobs if job.state == "failed"]
    rows = [
        ("answers", f"{found.annotations} annotations" + (", more are on their way" if found.events_waiting else "")),
        ("groups", str(found.groups)),
        *_quality(found.quality),
        ("revision", "none yet" if found.revision is None else str(found.revision)),
        ("webhook to revision", "not known yet" if latency is None else f"{latency:.2f} s (median)"),
        ("model version", "\n".join([found.version or "none yet", *refused])),
        *([("learns with", _learns(found.learns))] if found.learns else []),
        *(_asks(found.asks) if found.asks else []),
        ("training", found.training or "none asked for lately"),
        ("desks", "\n".join(desks) or "none; make one with `pal init`"),
        *([("pays now", found.advice.sentence)] if found.advice else []),
        ("annotators", "\n".join(map(_annotator, found.annotators)) or "none yet"),
        ("workers", f"{found.workers}" if found.workers else "none; start one with `python -m worker`"),
        ("jobs", "\n".join([waiting or "none wait", *failed[:SHOWN]])),
        ("contradictions", str(found.contradictions)),
        ("held", found.held or "nothing"),
        ("pool", _pool(found)),
        ("set aside", _quarantine(found)),
    ]
    return [*rows, ("learning", found.learning)] if found.learning else rows


def _seconds(desk: DeskStatus) -> str:
    """What an answer at a desk takes, and how that is known."""
    if desk.seconds_per_answer is None:
        return ""
    known = f"{desk.timed_answers} questions timed" if desk.timed_answers else "assumed, none is timed yet"
    return f", {desk.seconds_per_answer:.1f} s an answer ({known})"


def _quality(quality: Quality | None) -> list[tuple[str, str]]:
    """Accuracy and what is to come; and what each stopping rule says, those that are met marked."""
    if quality is None:
        return []
    rules = [f"{'✓' if rule.met else '·'} {rule.sentence}" for rule in quality.stopping]
    met = sum(rule.met for rule in quality.stopping)
    return [
        ("accuracy", quality.sentence),
        ("enough?", "\n".join([f"{met} of {len(rules)} rules say that one may stop", *rules])),
    ]


def _learns(found: Chosen) -> str:
    """Recipe, backbone with weights, and tuning, each with who chose it."""
    choice, said_by = found.choice, found.said_by
    weights = f" with {choice.weights}" if choice.weights else ""
    parts = {"recipe": choice.recipe, "backbone": choice.backbone + weights, "tuning": choice.tuning}
    return "\n".join(f"{name} {what} ({said_by[name]})" for name, what in parts.items())


def _asks(found: Asks) -> list[tuple[str, str]]:
    """How questions are chosen, how many are kept open, and whether that is paused."""
    paused = [] if found.paused_at is None else [("paused", f"{PAUSED}, since {moment(found.paused_at)}; `pal resume`")]
    kept = f"{found.open_questions} on a desk, or three for each active annotator when that is more ({found.open_by})"
    return [*paused, ("asks by", found.sentence), ("kept open", kept)]


def _annotator(person: Person) -> str:
    """Name, answers, estimated errors and median seconds, in a line."""
    parts = [f"{person.answers} answer{'' if person.answers == 1 else 's'}"]
    if person.error_rate is not None:
        parts.append(f"about {person.error_rate:.0%} wrong")
    parts += [f"{seconds:.1f} s a {kind}" for kind, seconds in person.median_seconds.items()]
    return f"{person.name or 'not known'}: {', '.join(parts)}"


def _pool(found: Status) -> str:
    """How many samples, and which of them people are spared."""
    parts = [f"{found.samples:,} samples"]
    if found.near_duplicates:
        parts.append(f"{found.near_duplicates:,} near duplicates of another, asked about last")
    if found.withdrawn:
        parts.append(f"{found.withdrawn:,} withdrawn, asked about no more")
    return "; ".join(parts)


def _quarantine(found: Status) -> str:
    if not found.quarantined:
        return "no files"
    files = [f"{path}: {reason}" for path, reason in found.quarantine[:SHOWN]]
    more = found.quarantined - len(files)
    return "\n".join([*files, *([f"and {more} more; --json lists them"] if more else [])])


def _show_findings(findings: list[Any]) -> None:
    from rich.console import Console
    from rich.text import Text

    signs = {True: ("✓", "green"), False: ("✗", "red"), None: ("?", "yellow")}
    console = Console()
    for finding in findings:
        sign, style = signs[finding.ok]
        about = f"{finding.about}: " if finding.about else ""
        console.print(Text(f"{sign} {about}{finding.sentence}", style=style), soft_wrap=True)
        if finding.mend:
            console.print(Text(f"  → {finding.mend}"), soft_wrap=True)


COMMANDS = (status, doctor)
