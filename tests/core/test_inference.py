"""Label spreading in closed form against a dense solve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pal_backend.core import inference
from pal_backend.core.inference import (
    BLOCK,
    LEAK,
    STEPS,
    TOLERANCE,
    TWINS,
    Answered,
    Walk,
    fill,
    influence,
    spread,
    without_itself,
)
from tests.core.worlds import clusters

SPACE, LABELS = clusters(groups=3, each=20, spread=0.4)
ROWS = [0, 3, 21, 25, 40, 47, 59]
TARGETS = np.eye(3)[LABELS[ROWS]]
WEIGHTS = SPACE.graph.toarray().astype(np.float64)
SYSTEM = np.diag(WEIGHTS.sum(axis=1)) - (1 - LEAK) * WEIGHTS
GREEN = np.linalg.inv(SYSTEM)
NEAR = 2e-3
"""Twins' ridge and the tolerance of the columns of Green's function together."""


def walk() -> Walk:
    """A walk that has solved nothing yet."""
    return Walk(SPACE.graph)


def dense(rows: list[int], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Clamped label spreading, solved directly: F_u = (D - a W)_uu^-1 a W_ul Y."""
    free = np.setdiff1d(np.arange(len(WEIGHTS)), rows)
    out = np.zeros((len(WEIGHTS), targets.shape[1]))
    out[rows] = targets
    out[free] = np.linalg.solve(SYSTEM[np.ix_(free, free)], -SYSTEM[np.ix_(free, rows)] @ targets)
    return out


def ridged(rows: list[int]) -> NDArray[np.float64]:
    """The inverse of G_LL with the twins' ridge, directly."""
    g = GREEN[np.ix_(rows, rows)].copy()
    g[np.diag_indices_from(g)] *= 1.0 + TWINS
    return np.asarray(np.linalg.inv(g))


def test_solve_matches_a_dense_solve(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the error that is to be left, however small; a right side of nothing gives nothing."""
    b = np.random.default_rng(0).standard_normal((60, 4)).astype(np.float32)
    b[:, 2] = 0.0
    exact = np.linalg.solve(SYSTEM, b)
    assert walk().solve(b) == pytest.approx(exact, abs=TOLERANCE * np.abs(exact).max())
    assert walk().solve(b)[:, 2].tolist() == [0.0] * 60
    assert walk().reach == pytest.approx(GREEN.sum(axis=1), rel=2e-3)
    d, reach = WEIGHTS.sum(axis=1), GREEN.sum(axis=1)
    assert d @ (walk().reach - reach) ** 2 <= TOLERANCE**2 * (d @ reach**2)
    monkeypatch.setattr(inference, "TOLERANCE", 1e-7)
    tight = walk().solve(b) - exact
    assert np.abs(tight).max() < 2e-5 * np.abs(b).max() * np.abs(GREEN).sum(axis=1).max()


def test_a_column_does_not_tell_its_company() -> None:
    """One column solved alone, or in any block, is the same bits."""
    block = walk().columns([4, 9, 30])
    assert (walk().columns([9])[:, 0] == block[:, 1]).all()
    assert (walk().columns([30, 4]) == block[:, [2, 0]]).all()
    assert block == pytest.approx(GREEN[:, [4, 9, 30]], abs=2e-3 * np.abs(GREEN).max())


def test_the_inverse_matches_a_dense_one_also_after_growing() -> None:
    """Beyond a block, in any order of the rows, and for some of the rows met only."""
    known, rows = Answered(walk()), np.random.default_rng(1).permutation(60)[: BLOCK + 20].tolist()
    for some in (rows[:5], rows[: BLOCK + 3], rows, rows[7:20][::-1]):
        q, expected = known.inverse(some), ridged(some)
        assert np.abs(q - expected).max() < NEAR * np.abs(expected).max()
    assert known.inverse([]).shape == (0, 0)


def test_the_inverse_does_not_tell_in_which_portions_it_grew() -> None:
    """The same rows one by one, at once, or in threes: the same bits."""
    rows = np.random.default_rng(2).permutation(60)[: BLOCK + 8].tolist()
    at_once = Answered(walk()).inverse(rows)
    for step in (1, 3, BLOCK):
        known = Answered(walk())
        for end in range(step, len(rows), step):
            known.inverse(rows[:end])
        assert (known.inverse(rows) == at_once).all()


def test_spread_matches_reference() -> None:
    """The kernel form equals clamped label spreading."""
    found = spread(walk(), np.asarray(ROWS), Answered(walk()).inverse(ROWS), TARGETS)
    assert found == pytest.approx(dense(ROWS, TARGETS), abs=NEAR)
    assert found.min() > -NEAR and found.sum(axis=1).max() < 1.0 + NEAR  # the rest is "none of them"


@pytest.mark.parametrize("room", [0, 4, 100])
def test_kept_columns_spread_what_a_solve_would(room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """To rounding, whether all columns, some or none are kept, in whatever order the rows are given."""
    monkeypatch.setattr(inference, "KEPT", 60 * room)
    known = Answered(walk())
    known.inverse(ROWS[4:])
    for order in (slice(None), slice(None, None, -1)):
        rows = ROWS[order]
        q = known.inverse(rows)
        solved = spread(walk(), np.asarray(rows), q, TARGETS[order])
        assert known.spread(rows, q, TARGETS[order]) == pytest.approx(solved, abs=1e-5)
    assert known.spread([], np.zeros((0, 0)), np.zeros((0, 3))).tolist() == np.zeros((60, 3)).tolist()


@given(st.lists(st.sampled_from(range(60)), min_size=2, max_size=12, unique=True))
@settings(max_examples=30, deadline=None)
def test_without_itself_matches_refitting_property(rows: list[int]) -> None:
    """Leave-one-out beliefs equal those of a fit that never had the row."""
    targets = np.eye(3)[LABELS[rows]]
    quick = without_itself(Answered(walk()).inverse(rows), targets)
    for i, row in enumerate(rows):
        rest = [r for r in rows if r != row]
        assert quick[i] == pytest.approx(dense(rest, np.delete(targets, i, axis=0))[row], abs=NEAR)


def test_filled_rows_are_as_if_not_answered() -> None:
    """Rows set free take what spreads to them, and nothing else changes."""
    free, q = np.asarray([1, 4]), Answered(walk()).inverse(ROWS)
    filled = fill(q, TARGETS, free)
    rest = [row for i, row in enumerate(ROWS) if i not in free]
    expected = dense(rest, np.delete(TARGETS, free, axis=0))
    assert filled[free] == pytest.approx(expected[[ROWS[1], ROWS[4]]], abs=NEAR)
    assert spread(walk(), np.asarray(ROWS), q, filled) == pytest.approx(expected, abs=NEAR)
    assert fill(q, TARGETS, free[:0]) == pytest.approx(TARGETS)


def stopped_walk(rows: list[int]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Stops at ROWS, and the chances to meet ``rows`` within a few steps, by dense matrices: sum_t (P_UU)^t."""
    stops = np.zeros(60, bool)
    stops[ROWS] = True
    step = (1 - LEAK) * WEIGHTS / WEIGHTS.sum(axis=1, keepdims=True)
    goes = step * ~stops[:, None]
    total = sum(np.linalg.matrix_power(goes, t) for t in range(STEPS + 1))
    return stops, total[:, rows] / total[rows, rows]


def test_chances_match_a_dense_truncated_walk() -> None:
    """Of unanswered and of answered rows; nobody walks on from an answered row."""
    rows = [5, 21, 33, 59]
    stops, expected = stopped_walk(rows)
    which, met, chances = walk().chances(np.asarray(rows), stops)
    found = np.zeros((60, 4))
    found[met, which] = chances
    assert found == pytest.approx(expected, abs=1e-5)
    assert found[rows, range(4)] == pytest.approx(np.ones(4))
    others = np.setdiff1d(ROWS, rows)
    assert not found[others].any()


def test_influence_is_the_sum_of_squared_chances() -> None:
    """Of all samples of so small a pool, in units of an ordinary one."""
    told = (stopped_walk(list(range(60)))[1] ** 2).sum(axis=0)
    found = influence(walk(), np.asarray(ROWS), np.zeros(60))
    assert found == pytest.approx(told / np.median(told), rel=1e-4)
