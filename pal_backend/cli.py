"""``pal``: the command line. Each command parses, makes one call and prints; what is heavy is imported by the call.

Results go to stdout, progress and errors to stderr. A :class:`PalError` is one line and its own exit code.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable
from typing import Annotated

import typer

from pal_backend import (
    cli_controls,
    cli_decide,
    cli_demo,
    cli_project,
    cli_recipes,
    cli_report,
    cli_simulate,
    cli_strategies,
    cli_train,
)
from pal_backend.cli_journeys import panel, place
from pal_backend.cli_options import AsJson
from pal_backend.errors import PalError

EXIT_CODES = (
    "Exit codes: 0 done · 1 a fault of ours, or `pal doctor` found something · 2 input that cannot be used · "
    "3 a credential is missing or wrong · 4 not there · 5 it exists already, or somebody else holds it · 6 Redis, Label Studio or a worker cannot be reached · "
    "7 a setting cannot be used · 130 interrupted"
)
INTERRUPTED = 130

app = typer.Typer(
    name="pal",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def common(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show a traceback when something fails, and log more.")
    ] = False,
) -> None:
    """Group a pile of images by answering “same or different?” in Label Studio.

    Start with:  pal demo

    `pal COMMAND --help` shows an example of each. Results go to stdout, progress
    and errors to stderr; with --json a result is one line of JSON.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    if debug:  # ours alone: the libraries below log every file and connection
        logging.getLogger("pal_backend").setLevel(logging.DEBUG)


MODULES = (
    cli_controls,
    cli_decide,
    cli_demo,
    cli_project,
    cli_recipes,
    cli_report,
    cli_simulate,
    cli_strategies,
    cli_train,
)


def version(*, as_json: AsJson = False) -> None:
    """Print the version.

    Example:  pal version
    """
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        found = installed("pal-label-studio")
    except PackageNotFoundError:
        found = ""
    if as_json:
        print(json.dumps({"version": found or None}))
    else:
        print(found or "not installed; running from a folder")


def _names() -> dict[str, Callable[..., None]]:
    """Every command by its name, in the order in which help shows them."""
    commands = (command for module in MODULES for command in module.COMMANDS)
    found = {command.__name__.rstrip("_").replace("_", "-"): command for command in commands}
    found["version"] = version
    return {name: found[name] for name in sorted(found, key=place)}


for name, command in _names().items():
    app.command(name, epilog=EXIT_CODES, rich_help_panel=panel(name))(command)


def main() -> None:
    """Entry of the ``pal`` command."""
    debug = "--debug" in sys.argv[1:]
    try:
        app()
    except PalError as problem:
        _fail(str(problem), problem.exit_code, debug)
    except KeyboardInterrupt:
        _fail("interrupted", INTERRUPTED, debug=False)
    except Exception as problem:
        _fail(f"{type(problem).__name__}: {problem} (a fault of ours; `pal --debug …` shows where)", 1, debug)


def _fail(message: str, code: int, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    print(f"pal: {message}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
