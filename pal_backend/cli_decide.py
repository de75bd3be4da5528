"""``pal merge``, ``pal split``, ``pal settle``, ``pal decisions``, ``pal review`` and ``pal why``: what a lead looks at and decides."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pal_backend.cli_options import AsJson
from pal_backend.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pal_backend.core.decisions import Decision
    from pal_backend.values_review import PairView
    from pal_backend.views_review import ReviewViews

SHOWN = 20
InProject = Annotated[
    str, typer.Option("--project", "-p", help="Project; may be left out when there is only one.", metavar="NAME")
]
Samples = Annotated[list[str], typer.Argument(metavar="SAMPLE...", help="Ids of samples, as `pal export` lists them.")]


class Saying(StrEnum):
    """What becomes of a pair."""

    SAME = "same"
    DIFFERENT = "different"
    ASK = "ask"


def merge(
    groups: Annotated[list[str], typer.Argument(metavar="GROUP...", help="Two groups or more, by name or id.")],
    *,
    project: InProject = "",
    as_json: AsJson = False,
) -> None:
    """Decide that groups are one, whatever was answered; `pal decisions --undo` takes it back.

    Example:  pal merge sevens "crossed sevens"
    """
    views, name = _open(project)
    _show(views.deciding.merge(name, [_group(views, name, group) for group in groups]), as_json)


def split(
    group: Annotated[str, typer.Argument(metavar="GROUP", help="By name or id.")],
    samples: Samples,
    *,
    together: Annotated[
        bool, typer.Option("--together/--apart", help="They are a group of their own, or where they belong is open.")
    ] = True,
    project: InProject = "",
    as_json: AsJson = False,
) -> None:
    """Take samples out of a group; `pal decisions --undo` takes it back.

    Example:  pal split sevens 0123456789abcdef --apart
    """
    views, name = _open(project)
    _show(views.deciding.split(name, _group(views, name, group), samples, together=together), as_json)


def settle(
    first: Annotated[str, typer.Argument(metavar="SAMPLE", help="Id of a sample.")],
    second: Annotated[str, typer.Argument(metavar="SAMPLE", help="Id of another one.")],
    verdict: Annotated[Saying, typer.Argument(help="Decide it, or ask it again in Label Studio, first of all.")],
    *,
    project: InProject = "",
    as_json: AsJson = False,
) -> None:
    """Decide whether two samples are the same, or ask it again; `pal decisions --undo` takes a decision back.

    Example:  pal settle 0123456789abcdef fedcba9876543210 different
    """
    from pal_backend.core.vocabulary import Verdict

    views, name = _open(project)
    if verdict is not Saying.ASK:
        return _show(views.deciding.settle(name, first, second, Verdict(verdict)), as_json)
    question = views.deciding.ask(name, first, second)
    print(json.dumps({"question": question.id}) if as_json else f"question {question.id} is asked next in Label Studio")
    return None


def decisions(
    *,
    undo: Annotated[int | None, typer.Option(metavar="NUMBER", help="Take this decision back.")] = None,
    project: InProject = "",
    as_json: AsJson = False,
) -> None:
    """List what was decided by hand, the newest first, or take one of it back.

    Example:  pal decisions --undo 1770000000000000
    """
    views, name = _open(project)
    if undo is not None:
        return _show(views.deciding.undo(name, undo), as_json)
    found = views.stores.decisions(name).all()
    if as_json:
        print(json.dumps([_fields(decision) for decision in found]))
        return None
    for decision in found[:SHOWN]:
        print(_line(decision))
    if not found:
        print("nothing was decided by hand")
    elif len(found) > SHOWN:
        print(f"and {len(found) - SHOWN} earlier ones; --json lists them")
    return None


def review(*, project: InProject = "", as_json: AsJson = False) -> None:
    """List contradictions, and groups that may be two, for a person to decide.

    Example:  pal review --json
    """
    views, name = _open(project)
    found = views.review(name, 1)
    if as_json:
        print(json.dumps(asdict(found)))
        return
    print(f"{found.total} contradictions wait")
    for conflict in found.conflicts:
        print(f"· {conflict.title}")
        for pair in conflict.pairs:
            print(f"    {_said(pair)}")
    for doubt in found.doubts:
        print(f"· {doubt.name or doubt.doubt.group} may be two groups ({doubt.doubt.two:.0%}), joined by")
        for pair in doubt.bridges:
            print(f"    {_said(pair)}")


def why(
    sample: Annotated[str, typer.Argument(metavar="SAMPLE", help="Id of a sample.")],
    *,
    project: InProject = "",
    as_json: AsJson = False,
) -> None:
    """Say why a sample is in its group: the answers that lead to its founder, all answers on it, its neighbours.

    Example:  pal why 0123456789abcdef
    """
    views, name = _open(project)
    found = views.sample(name, sample)
    if as_json:
        print(json.dumps(asdict(found)))
        return
    print(f"{found.here.name or found.here.group or 'no group'}, {found.here.probability:.1%}")
    for group, called, probability in found.others:
        print(f"  else {called or group}, {probability:.1%}")
    for title, pairs in (("from here to the group's founder", found.chain), ("answers on it", found.answers)):
        print(f"{title}:" if pairs else f"{title}: none")
        for pair in pairs:
            print(f"    {_said(pair)}")
    print(
        "nearest: "
        + (", ".join(f"{near.sample} ({near.name or near.group})" for near in found.neighbours) or "not known")
    )


def _open(project: str) -> tuple[ReviewViews, str]:
    import time

    from pal_backend.cli_report import only_project
    from pal_backend.queues import Queues
    from pal_backend.settings import Settings
    from pal_backend.store.stores import Stores
    from pal_backend.views_review import ReviewViews

    settings = Settings.from_env()
    stores = Stores.open(settings)
    views = ReviewViews(stores, Queues(settings.redis_url), settings.label_studio_url, time.time)
    return views, only_project(stores, project)


def _group(views: ReviewViews, project: str, named: str) -> str:
    """The id of a group that is named by its name or its id."""
    grouping = views.stores.revisions(project).grouping()
    called: Mapping[str, str] = views.stores.names(project).of(grouping)
    found = [group for group, name in called.items() if name == named]
    if len(found) > 1:
        raise InputError(f"{len(found)} groups are called {named!r:.60}: {', '.join(found)}; give the id")
    return found[0] if found else named


def _show(decision: Decision, as_json: bool) -> None:
    print(json.dumps(_fields(decision)) if as_json else _line(decision))


def _fields(decision: Decision) -> dict[str, Any]:
    return {**asdict(decision), "at": decision.at}


def _line(decision: Decision) -> str:
    from datetime import UTC, datetime

    made = datetime.fromtimestamp(decision.at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    undone = "" if decision.undone_at is None else ", undone"
    return f"{decision.number}  {made}  {decision.act} {' '.join(decision.about[:4])}{undone}"


def _said(pair: PairView) -> str:
    voices = ", ".join(f"{voice.who or 'a lead'}: {voice.verdict}" for voice in pair.voices)
    return f"{pair.first.sample} {pair.second.sample} {pair.says} ({voices})"


COMMANDS = (merge, split, settle, decisions, review, why)
