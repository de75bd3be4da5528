"""Names of all strategies, for whoever must not import what they are made of."""

from __future__ import annotations

from pal_backend.core import plugged
from pal_backend.errors import InputError

GROUP = "pal_backend.strategies"
"""Entry points of this group are strategies."""
OURS = ("gain", "k-centre", "pal-anchor", "pt4al", "pt4al-easiest", "random", "uncertainty")
"""Those of :data:`pal_backend.core.asking.strategies.STRATEGIES`."""


def known() -> list[str]:
    """Names of all strategies, sorted; nothing is imported for it."""
    return sorted({*OURS, *plugged.names(GROUP)})


def check(name: str) -> str:
    """``name``, if a strategy has it.

    Raises:
        InputError: none has.
    """
    if name not in known():
        raise InputError(
            f"strategy {name!r:.60} is not known; expected one of: {', '.join(known())}; `pal strategies` tells about each"
        )
    return name
