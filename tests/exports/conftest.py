"""A project to export."""

from __future__ import annotations

from pathlib import Path

import pytest

from pal_backend.store.stores import Stores
from tests.exports.house import House, build_house, said


@pytest.fixture
def house(stores: Stores, tmp_path: Path) -> House:
    """Sixty digits of three kinds, with 120 right answers of two people."""
    found = build_house(stores, tmp_path / "pool")
    found.give(said(found, 120))
    return found
