"""``pal strategies``: the ways of choosing questions that are installed."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from pal_backend.cli_options import AsJson

if TYPE_CHECKING:
    from pal_backend.core.asking.strategies import Description


def strategies(*, as_json: AsJson = False) -> None:
    """List the ways of choosing questions: ours, and those that installed packages register, with their papers.

    Example:  pal strategies --json
    """
    from pal_backend.core.asking.strategies import descriptions
    from pal_backend.store.projects import Project

    found = descriptions()
    if as_json:
        print(json.dumps({"default": Project.strategy, "strategies": [asdict(each) for each in found]}))
    else:
        _show(found, Project.strategy)


def _show(found: list[Description], default: str) -> None:
    """One line each: the name, what is asked, the paper, and who registered it if not we."""
    width = max(len(each.name) for each in found)
    for each in found:
        what = f"cannot be used: {each.problem}" if each.problem else each.summary or "(its docstring is empty)"
        marks = [each.source, each.package, "the default" if each.name == default else ""]
        notes = "; ".join(mark for mark in marks if mark)
        print(f"{each.name:{width}}  {what}" + (f" [{notes}]" if notes else ""))


COMMANDS = (strategies,)
