"""Every loss says what it is: formula, shapes, source and an example that holds."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

from pal_backend.core.learning import losses

MODULES = [
    importlib.import_module(f"{losses.__name__}.{found.name}") for found in pkgutil.iter_modules(losses.__path__)
]
LOSSES = [
    function
    for module in MODULES
    for name, function in inspect.getmembers(module, inspect.isfunction)
    if function.__module__ == module.__name__ and str(inspect.signature(function).return_annotation).endswith("Terms")
]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_a_loss_is_described(loss: object) -> None:
    """Formula, shapes, source and example stand in the docstring."""
    for part in (".. math::", "shape (R, K)", "Returns:", "Source:", ">>>"):
        assert part in (loss.__doc__ or ""), part


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_examples_hold(module: object) -> None:
    """Each file has examples, and they give what they say."""
    found = doctest.testmod(module)  # type: ignore[arg-type]
    assert found.attempted > 0 and found.failed == 0


def test_a_loss_answers_with_its_loss_first() -> None:
    """Every named tuple of parts begins with the scalar to go down on."""
    assert len(LOSSES) >= 5
    for loss in LOSSES:
        terms = getattr(inspect.getmodule(loss), str(inspect.signature(loss).return_annotation))
        assert terms._fields[0] == "loss"
