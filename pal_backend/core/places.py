"""Where samples lie on a map, as it is kept and shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LARGEST = 65_535
"""Of a coordinate."""


@dataclass(frozen=True)
class Places:
    """M of the N samples of a version, on a plane.

    Args:
        rows: int32 (M,), rows of the version, ascending.
        xy: uint16 (M, 2), to the right and downwards; the longer side of the map takes the whole range.
        method: how they came there, for people.
    """

    rows: NDArray[np.int32]
    xy: NDArray[np.uint16]
    method: str
