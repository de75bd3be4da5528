"""``pal pause``, ``pal resume`` and ``pal set``: what a lead decides about the questions of a project."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from pal_backend.cli_options import AsJson
from pal_backend.cli_report import Name, moment
from pal_backend.errors import InputError

if TYPE_CHECKING:
    from pal_backend.controls import Controls
    from pal_backend.store.projects import Project


def pause(name: Name = "", *, as_json: AsJson = False) -> None:
    """Ask no new questions. Open ones can be answered, and are learned from; trainings go on.

    Example:  pal pause birds
    """
    controls, project = _of(name)
    _show(controls, controls.pause(project), as_json)


def resume(name: Name = "", *, as_json: AsJson = False) -> None:
    """Ask questions again.

    Example:  pal resume birds
    """
    controls, project = _of(name)
    _show(controls, controls.resume(project), as_json)


def set_(
    name: Name = "",
    *,
    strategy: Annotated[
        str | None, typer.Option(metavar="NAME", help="How questions are chosen; `pal strategies` lists the ways.")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="How the next training goes; `pal recipes` lists the ways. '' takes it back."
        ),
    ] = None,
    queue: Annotated[
        int | None,
        typer.Option(
            min=0, max=1000, help="Questions to keep open on a desk, at least; 0: as PAL_OPEN_QUESTIONS says."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Choose questions, or train, in another way from now on. What is open stays open.

    Example:  pal set birds --strategy uncertainty --queue 20
    """
    from pal_backend.controls import Wishes

    if strategy is None and recipe is None and queue is None:
        raise InputError("nothing to set; give --strategy, --recipe or --queue")
    controls, project = _of(name)
    if strategy is not None:
        from pal_backend.core.asking.strategies import strategy as named

        named(strategy)  # one that cannot be imported is told here, not to the worker
    _show(controls, controls.change(project, Wishes(strategy, recipe, queue), "pal set"), as_json)


def _of(name: str) -> tuple[Controls, str]:
    import time

    from pal_backend.choosing import Operator
    from pal_backend.cli_report import only_project
    from pal_backend.controls import Controls
    from pal_backend.credentials import Credentials
    from pal_backend.queues import Queues
    from pal_backend.settings import Settings
    from pal_backend.store.stores import Stores

    settings = Settings.from_env()
    stores = Stores.open(settings)
    operator = Operator.of(settings, Credentials.kept(settings))
    return Controls(stores, Queues(settings.redis_url), operator, time.time), only_project(stores, name)


def _show(controls: Controls, project: Project, as_json: bool) -> None:
    from pal_backend.status import asks_of

    learns, asks = asks_of(project, controls.stores, controls.operator)
    if as_json:
        found = {
            "project": project.name,
            "paused_at": asks.paused_at,
            "strategy": asks.strategy,
            "recipe": learns.choice.recipe,
            "recipe_by": learns.said_by["recipe"],
            "open_questions": asks.open_questions,
            "open_by": asks.open_by,
        }
        print(json.dumps(found))
        return
    state = "asks questions" if asks.paused_at is None else f"paused since {moment(asks.paused_at)}"
    print(
        f"{project.name}: {state}; by {asks.sentence}; at least {asks.open_questions} open on a desk ({asks.open_by}); "
        f"learns by {learns.choice.recipe} ({learns.said_by['recipe']})"
    )


set_.__name__ = "set"  # of the command
COMMANDS = (pause, resume, set_)
