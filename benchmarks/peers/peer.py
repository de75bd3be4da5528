"""What a benchmark asks of a competitor."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


class Peer(Protocol):
    """Chooses pairs of N samples, is told the answers, and groups all samples. It never sees a label."""

    def ask(self) -> tuple[int, int] | None:
        """Two different rows to compare next; None if nothing is left to ask."""

    def tell(self, same: bool) -> None:
        """The answer to the pair asked last."""

    def groups(self) -> Ints:
        """The group of every sample as of now, int64 (N,)."""
