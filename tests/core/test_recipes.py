"""Ways to train, by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pal_backend.core.learning.views import PRESETS
from pal_backend.core.recipes import DEFAULT, RECIPES, recipe
from pal_backend.errors import InputError


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_can_be_asked_for_and_says_where_it_comes_from(name: str) -> None:
    """It is found by its own name, names a paper, and its views and shares are ones that can be used."""
    found = recipe(name)
    assert found.name == name
    assert "arXiv" in found.source or "20" in found.source
    assert found.about.endswith(".")
    assert found.augmentation in PRESETS
    assert 0.2 < found.shares.uniform < 1.0


def test_an_unknown_recipe_is_refused_with_the_list() -> None:
    """The message holds what was found and every name that would do."""
    with pytest.raises(InputError, match=r"no recipe 'simclear'.*" + ", ".join(RECIPES)):
        recipe("simclear")


def test_the_default_is_simclr() -> None:
    """A project that chooses nothing trains as before."""
    assert DEFAULT is RECIPES["simclr"]


def test_listing_recipes_needs_no_torch() -> None:
    """The web process and the command line list them."""
    code = "import sys, pal_backend.core.recipes; sys.exit(bool({'torch', 'scipy', 'sklearn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
