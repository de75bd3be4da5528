"""``pal demo`` and ``pal serve``: the commands that keep processes running."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


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
    """Run the web process: Label Studio's ML backend protocol.

    Example:  PORT=9090 pal serve
    """
    from pal_backend import bootstrap
    from pal_backend.settings import Settings

    bootstrap.serve(Settings.from_env())


COMMANDS = (demo, serve)
