"""The one gate between a strategy and the house: what a strategy gives is looked at here, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.asking.relations import open_pair_keys, pair_keys
from pal_backend.core.asking.state import Candidates, State
from pal_backend.errors import ConfigError

Strategy = Callable[[State, np.random.Generator], Candidates]
"""Scores possible questions; it must be a function of the state and the generator, with no memory of its own."""


def checked(name: str, given: Any, state: State) -> Candidates:
    """What a strategy gave, if it can be used: no pair twice, and none that is in an open question.

    Args:
        name: the strategy, for the message.
        given: whatever it returned.
        state: what it was given.

    Raises:
        ConfigError: these are not M different-row pairs within the space with finite scores of 0 or more.
    """
    if not isinstance(given, Candidates):
        raise _nonsense(name, f"{type(given).__name__}", "Candidates(left, right, scores)")
    left, right = (_column(name, field, getattr(given, field), np.integer, np.int64) for field in ("left", "right"))
    scores = _column(name, "scores", given.scores, np.floating, np.float64)
    if not len(left) == len(right) == len(scores):
        raise _nonsense(name, f"{len(left)} left, {len(right)} right, {len(scores)} scores", "as many of each")
    n = len(state.space.sample_ids)
    for field, rows in (("left", left), ("right", right)):
        _all(name, (rows >= 0) & (rows < n), f"{field} = {{}}", rows, f"rows from 0 to {n - 1}")
    _all(name, left != right, "left = right = {}", left, "two different samples")
    _all(name, np.isfinite(scores) & (scores >= 0.0), "score {}", scores, "finite scores of 0 or more")
    return _once(Candidates(left, right, scores), state)


def _column(name: str, field: str, value: Any, kind: type, dtype: type) -> NDArray[Any]:
    if not isinstance(value, np.ndarray) or value.ndim != 1 or not (np.issubdtype(value.dtype, kind) or not len(value)):
        found = f"shape {value.shape}, {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
        raise _nonsense(name, f"{field} of {found}", f"an array of shape (M,), {np.dtype(dtype).name}")
    return value.astype(dtype, copy=False)


def _all(name: str, fine: NDArray[np.bool_], words: str, values: NDArray[Any], expected: str) -> None:
    if not fine.all():
        first = int(fine.argmin())
        raise _nonsense(name, f"{words.format(values[first])} at {first} ({int((~fine).sum())} such)", expected)


def _nonsense(name: str, found: str, expected: str) -> ConfigError:
    return ConfigError(
        f"strategy {name!r} returned {found}; expected {expected}; mend it, or choose another with --strategy"
    )


def _once(candidates: Candidates, state: State) -> Candidates:
    """Without pairs that are open or have a sample that was withdrawn, and of a pair given twice, or both ways round, the one that scores most."""
    keys = pair_keys(candidates.left, candidates.right, len(state.space.sample_ids))
    best = np.lexsort((candidates.left, -candidates.scores))
    first = np.zeros(len(keys), bool)
    first[best[np.unique(keys[best], return_index=True)[1]]] = True
    some = first & ~np.isin(keys, open_pair_keys(state))
    if state.withdrawn:
        gone = list(state.withdrawn)
        some &= ~np.isin(candidates.left, gone) & ~np.isin(candidates.right, gone)
    return Candidates(candidates.left[some], candidates.right[some], candidates.scores[some])
