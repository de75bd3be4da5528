"""The pages about recipes: one for each or for its family, and the table of the first is that of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pal_backend.core.asking.strategies import STRATEGIES
from pal_backend.core.learning.pretext import TASKS
from pal_backend.core.recipes import RECIPES, cells

FOLDER = Path(__file__).parents[2] / "docs/recipes"
TABLE = re.findall(
    r"^\| \[`([a-z0-9-]+)`\]\(([a-z0-9-]+\.md)\) \| (.*) \|$", (FOLDER / "README.md").read_text(), re.MULTILINE
)


def test_the_table_is_that_of_the_code() -> None:
    """Every recipe in its order, with loss, prior, batch and asking as `pal recipes` prints them."""
    assert [(name, words) for name, _, words in TABLE] == [
        (name, " | ".join(cells(of).values())) for name, of in RECIPES.items()
    ]


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_has_a_page(name: str) -> None:
    """It names the recipe in its title, says when to choose it and when not, the paper, what differs, and how to ask."""
    pages = {row[0]: row[1] for row in TABLE}
    text = (FOLDER / pages[name]).read_text()
    assert f"`{name}`" in text.splitlines()[0]
    for part in ("**Choose ", "**Do not choose ", "| paper |", "| what differs |", "arXiv"):
        assert part in text, part
    asks = re.search(r"^\| asks best by \| (.*) \|$", text, re.MULTILINE)
    assert asks is not None
    assert f"`{RECIPES[name].asking}`" in asks[1]


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_asks_by_what_is_there(name: str) -> None:
    """Strategy and pretext task exist, and the recipe says what differs from its paper."""
    found = RECIPES[name]
    assert found.asking in STRATEGIES
    assert found.pretext in {"", *TASKS}
    assert found.differs
    assert not found.differs.endswith(".")
