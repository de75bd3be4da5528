"""``pal recipes``: the ways to train, each with the way of asking that fits."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from pal_backend.cli_options import AsJson

if TYPE_CHECKING:
    from pal_backend.core.recipes import Recipe


def recipes(*, as_json: AsJson = False) -> None:
    """List the recipes: loss, prior, batch and asking, with their papers and what differs from them.

    Example:  pal recipes --json
    """
    from pal_backend.core.recipes import DEFAULT, RECIPES

    if as_json:
        print(json.dumps({"default": DEFAULT.name, "recipes": [_object(each) for each in RECIPES.values()]}))
        return
    for each in RECIPES.values():
        _show(each, is_default=each is DEFAULT)


def _object(of: Recipe) -> dict[str, object]:
    """Every field, and the table's words under "table"."""
    from pal_backend.core.recipes import cells

    return {**asdict(of), "table": cells(of)}


def _show(of: Recipe, *, is_default: bool) -> None:
    """The name and what it is for, and under it the rest, a line each."""
    from pal_backend.core.recipes import cells

    print(f"{of.name}{' [the default]' if is_default else ''}: {of.about}")
    print("  " + " · ".join(f"{name}: {words}" for name, words in cells(of).items()))
    print(f"  after {of.source}" + (f"; here {of.differs}" if of.differs else ""))


COMMANDS = (recipes,)
