"""Strategies by name. A strategy is any callable ``(state, rng) -> scored candidates``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from pal_backend.core.asking.random_pairs import random_pairs
from pal_backend.core.asking.repspread import repspread
from pal_backend.core.asking.state import Candidates, State
from pal_backend.errors import InputError

Strategy = Callable[[State, np.random.Generator], Candidates]
"""Scores possible questions; it must be a function of the state and the generator, with no memory of its own."""

STRATEGIES: Mapping[str, Strategy] = MappingProxyType({"random": random_pairs, "repspread": repspread})


def strategy(name: str) -> Strategy:
    """The strategy of that name.

    Raises:
        InputError: there is none.
    """
    if name not in STRATEGIES:
        raise InputError(f"strategy {name!r} is not known; use one of {', '.join(sorted(STRATEGIES))}")
    return STRATEGIES[name]
