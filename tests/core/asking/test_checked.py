"""The gate: what a strategy gives is usable, or refused in words that say where it went wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pal_backend.core.asking.checked import checked
from pal_backend.core.asking.state import Candidates
from pal_backend.errors import ConfigError
from tests.core.asking.drawn import questions, state_of

STATE = state_of([], [])


def made(left: Any = (0, 1), right: Any = (2, 3), scores: Any = (0.5, 1.0)) -> Candidates:
    """Two candidates, some fields replaced."""
    return Candidates(
        *(np.asarray(field) if isinstance(field, tuple) else field for field in (left, right, scores))  # type: ignore[arg-type]
    )


def test_good_candidates_pass_unchanged() -> None:
    """What is in order comes out as it went in; smaller number types are widened, none at all is fine."""
    found = checked("mine", made(left=np.asarray([0, 1], np.int32), scores=np.asarray([0.5, 0.0], np.float32)), STATE)
    assert (found.left.tolist(), found.right.tolist(), found.scores.tolist()) == ([0, 1], [2, 3], [0.5, 0.0])
    assert (found.left.dtype, found.right.dtype, found.scores.dtype) == (np.int64, np.int64, np.float64)
    assert len(checked("mine", made((), (), ()), STATE).left) == 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "returned NoneType; expected Candidates"),
        ([(0, 1, 1.0)], "returned list; expected Candidates"),
        (made(left=[0, 1]), "left of list; expected an array of shape"),
        (made(left=np.asarray([[0], [1]])), r"left of shape \(2, 1\), int64"),
        (made(right=(2.0, 3.0)), r"right of shape \(2,\), float64; expected an array of shape \(M,\), int64"),
        (made(scores=("a", "b")), "scores of shape"),
        (made(left=(0,)), "1 left, 2 right, 2 scores"),
        (made(left=(0, 21)), r"left = 21 at 1 \(1 such\); expected rows from 0 to 20"),
        (made(right=(-1, -2)), r"right = -1 at 0 \(2 such\)"),
        (made(right=(2, 1)), "left = right = 1 at 1"),
        (made(scores=(0.5, np.nan)), "score nan at 1"),
        (made(scores=(np.inf, 0.5)), "score inf at 0"),
        (made(scores=(-0.1, 0.5)), r"score -0.1 at 0 \(1 such\); expected finite scores of 0 or more"),
    ],
)
def test_nonsense_is_refused(given: Any, words: str) -> None:
    """The error names the strategy, what was found, what was expected, and a way out."""
    with pytest.raises(ConfigError, match=words) as refused:
        checked("mine", given, STATE)
    assert "strategy 'mine' returned" in str(refused.value) and "choose another with --strategy" in str(refused.value)


def test_a_pair_given_twice_is_taken_once() -> None:
    """Whichever way round, the higher score stands, and the order of the others is kept."""
    found = checked("mine", made((4, 1, 2, 1), (5, 2, 1, 2), (0.1, 0.2, 0.3, 0.2)), STATE)
    assert (found.left.tolist(), found.right.tolist(), found.scores.tolist()) == ([4, 2], [5, 1], [0.1, 0.3])


def test_pairs_in_open_questions_are_dropped() -> None:
    """No pair is asked twice while open, whichever side the strategy puts first."""
    state = state_of([], questions([[2, 0], [3, 4, 5]]))
    found = checked("mine", made((0, 2, 5, 0), (2, 0, 3, 5), (0.1, 0.2, 0.3, 0.4)), state)
    assert (found.left.tolist(), found.right.tolist(), found.scores.tolist()) == ([0], [5], [0.4])
