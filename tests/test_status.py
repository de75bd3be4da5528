"""What `pal status` says of how questions are chosen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pal_backend.choosing import Operator
from pal_backend.core.asking.strategies import STRATEGIES
from pal_backend.core.recipes import ORDERED, pretext_of
from pal_backend.queues import Queues
from pal_backend.settings import Settings
from pal_backend.status import status_of
from pal_backend.store.stores import Stores
from tests.worker.house import NAME, build_house


def asks(stores: Stores, settings: Settings) -> str:
    """The sentence of the only project."""
    found = status_of(stores.projects.get(NAME), stores, Queues(settings.redis_url), Operator()).asks
    assert found is not None
    return found.sentence


def test_it_says_whether_the_losses_of_the_pretext_task_are_there(stores: Stores, settings: Settings) -> None:
    """Nothing of them where nobody asks; what stands in where the version has none; else which they are."""
    build_house(stores, settings)
    assert asks(stores, settings) == "gain"
    stores.projects.save(replace(stores.projects.get(NAME), strategy="pt4al"))
    assert "no losses of the pretext task rotation, what a PCA of the features leaves out stands in" in asks(
        stores, settings
    )
    versions = stores.versions(NAME)
    before = versions.load("v0000")
    losses = np.arange(len(before.sample_ids), dtype=np.float32)
    versions.write(replace(before, id="v0001", difficulty=losses, metrics={"pretext": "rotation"}), None, [])
    versions.make_current("v0001", "v0000")
    assert asks(stores, settings) == "pt4al, with the losses of the pretext task rotation at hand"
    stores.projects.save(replace(stores.projects.get(NAME), recipe="pt4al-views"))
    assert "no losses of the pretext task view-alignment" in asks(stores, settings)


@pytest.mark.parametrize(
    ("recipe", "strategy", "expected"),
    [
        ("simclr", "gain", ""),
        ("simclr", "pt4al", "rotation"),
        ("gps-vicreg", "pt4al-easiest", "rotation"),
        ("pt4al-patches", "pt4al-easiest", "masked-patches"),
        ("pt4al", "gain", "rotation"),
    ],
)
def test_recipe_or_strategy_ask_for_a_pretext_task(recipe: str, strategy: str, expected: str) -> None:
    """The recipe says which; a strategy that needs one is content with rotation."""
    assert pretext_of(recipe, strategy) == expected
    assert set(STRATEGIES) >= ORDERED
