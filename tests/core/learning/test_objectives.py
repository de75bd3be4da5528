"""The losses by name."""

from __future__ import annotations

import pytest
import torch

from pal_backend.core.learning.losses.simclr import simclr
from pal_backend.core.learning.losses.spectral import scl, vicreg2
from pal_backend.core.learning.losses.vicreg import vicreg
from pal_backend.core.learning.objectives import OBJECTIVES, GraphBatch, objective
from pal_backend.core.recipes import RECIPES
from pal_backend.errors import InputError

Z = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
ROWS = torch.arange(8)
W = torch.tensor([1.0, 1.0, -1.0, -1.0, 0.5, 0.5, 1.0, 1.0])
U = torch.arange(5)
BATCH = GraphBatch(ROWS, ROWS ^ 1, W, U)


def test_every_recipe_has_its_loss() -> None:
    """And every loss is used by a recipe."""
    assert {recipe.objective for recipe in RECIPES.values()} == set(OBJECTIVES)


def test_losses_get_what_the_recipe_says() -> None:
    """Edges, the uniform part and the constants of the recipe arrive at the function of that name."""
    gps = RECIPES["gps-simclr"]
    expected = {
        "simclr": simclr(Z, ROWS, ROWS ^ 1, W, temperature=gps.temperature, repulsion=gps.repulsion),
        "vicreg": vicreg(Z, ROWS, ROWS ^ 1, W, uniform=U, repulsion=gps.repulsion).loss,
        "vicreg2": vicreg2(Z, ROWS, ROWS ^ 1, W, uniform=U).loss,
        "scl": scl(Z, ROWS, ROWS ^ 1, W, uniform=U).loss,
    }
    for name, loss in expected.items():
        terms = objective(name)(Z, BATCH, gps)
        assert terms.loss == loss
        assert next(iter(terms._asdict())) == "loss"
        assert all(part.shape == () for part in terms._asdict().values())


def test_an_unknown_loss_is_refused_with_the_list() -> None:
    """The message holds what was found and what would do."""
    with pytest.raises(
        InputError, match=r"no loss 'ntxent'; expected one of: simclr, xclr, vicreg, vicreg2, scl, barlow, byol, moby"
    ):
        objective("ntxent")
