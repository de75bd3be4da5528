"""``pal demo`` and ``pal serve``, which keep processes running, and ``pal password``, which lets people in."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pal_backend.cli_options import AsJson


def demo(
    *,
    answers: Annotated[
        int,
        typer.Option(min=0, help="Let a simulated annotator answer so many questions, then print one line of JSON."),
    ] = 0,
    images: Annotated[
        Path | None,
        typer.Option(
            help="Folder of your own images; with --answers one sub-folder a class. Default: handwritten digits."
        ),
    ] = None,
    home: Annotated[Path, typer.Option(envvar="PAL_HOME", help="Folder that keeps everything.")] = Path(".pal"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the web process.")] = 9090,
    label_studio_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of Label Studio.")] = 8080,
    redis_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of Redis.")] = 6399,
    label_studio: Annotated[
        str, typer.Option(metavar="COMMAND", help="Label Studio's command. Default: .venv-label-studio, else the path.")
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print where everything is as one line of JSON once questions stand.")
    ] = False,
) -> None:
    """Run the whole loop on this machine: Redis, Label Studio, web and worker, until Ctrl-C.

    The next run goes on where it stopped. Example:  pal demo --answers 300
    """
    from rich.console import Console

    from pal_backend.demo import loop
    from pal_backend.demo.home import Options
    from pal_backend.demo.reporter import Reporter
    from pal_backend.settings import Settings

    options = Options(home, answers, images, port, label_studio_port, redis_port, label_studio)
    announce = (lambda places: print(json.dumps(places), flush=True)) if as_json else None
    result = loop.run(options, Settings.from_env(), Reporter(Console(stderr=True)), announce)
    if result is not None:
        print(json.dumps(result), flush=True)


def serve() -> None:
    """Run the web process: Label Studio's ML backend protocol, and the team's pages.

    Example:  PORT=9090 pal serve
    """
    import sys

    from pal_backend import bootstrap
    from pal_backend.settings import Settings
    from pal_backend.team import way_in

    settings = Settings.from_env()
    print(way_in(settings), file=sys.stderr)
    bootstrap.serve(settings)


class Who(StrEnum):
    """Whose password."""

    LEAD = "lead"
    VIEWER = "viewer"


def password(
    who: Annotated[Who, typer.Argument(help="lead (sees and acts) or viewer (sees).")] = Who.LEAD,
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Make none: nobody comes in by this role.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a new password for the team's pages and print it, this once; the old one and its sessions end at once.

    Example:  pal password viewer
    """
    from pal_backend.settings import Settings
    from pal_backend.team import change_password

    made = change_password(Settings.from_env(), str(who), remove=remove)
    if as_json:
        print(json.dumps({"role": str(who), "password": made}))
    else:
        print(made if made is not None else f"no {who} comes in any more")


COMMANDS = (demo, serve, password)
