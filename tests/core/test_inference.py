"""Label spreading in closed form against a dense solve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pal_backend.core.inference import Basis, Walk
from tests.core.worlds import clusters

LEAK = 0.05
SPACE, LABELS = clusters(groups=3, each=20, spread=0.4)
ROWS = [0, 3, 21, 25, 40, 47, 59]


def dense(rows: list[int], targets: np.ndarray) -> np.ndarray:
    """Clamped label spreading, solved directly: F_u = (D - a W)_uu^-1 a W_ul Y."""
    weights = SPACE.graph.toarray().astype(np.float64)
    free = np.setdiff1d(np.arange(len(weights)), rows)
    system = np.diag(weights.sum(axis=1)) - (1 - LEAK) * weights
    out = np.zeros((len(weights), targets.shape[1]))
    out[rows] = targets
    out[free] = np.linalg.solve(system[np.ix_(free, free)], -system[np.ix_(free, rows)] @ targets)
    return out


def basis(rows: list[int]) -> Basis:
    """A basis with these rows."""
    made = Basis(Walk(SPACE.graph, LEAK))
    made.add(rows)
    return made


def test_spread_matches_reference() -> None:
    """The kernel form equals clamped label spreading."""
    targets = np.eye(3)[LABELS[ROWS]]
    assert basis(ROWS).spread(targets) == pytest.approx(dense(ROWS, targets), abs=1e-4)


def test_rows_are_sub_probabilities() -> None:
    """Beliefs are not negative and sum to at most one: the rest is "none of them"."""
    spread = basis(ROWS).spread(np.eye(3)[LABELS[ROWS]])
    assert spread.min() > -1e-4
    assert spread.sum(axis=1).max() < 1 + 1e-4


def test_without_itself_matches_refitting() -> None:
    """Leave-one-out beliefs equal those of a basis that never had the row."""
    targets = np.eye(3)[LABELS[ROWS]]
    quick = basis(ROWS).without_itself(targets)
    for i, row in enumerate(ROWS):
        rest = [r for r in ROWS if r != row]
        assert quick[i] == pytest.approx(dense(rest, np.delete(targets, i, axis=0))[row], abs=1e-4)


def test_columns_alone_and_in_blocks_agree() -> None:
    """One column solved alone equals the same column solved in a block."""
    walk = Walk(SPACE.graph, LEAK)
    block = walk.columns([4, 9, 30])
    assert walk.columns([9])[:, 0] == pytest.approx(block[:, 1], abs=1e-6)


@given(st.lists(st.sampled_from(range(60)), min_size=2, max_size=12, unique=True), st.data())
@settings(max_examples=40, deadline=None)
def test_removal_is_as_if_never_added_property(rows: list[int], data: st.DataObject) -> None:
    """Rows taken out in any order leave what the others alone would have given."""
    gone = data.draw(st.lists(st.sampled_from(rows), max_size=len(rows) - 1, unique=True))
    made = basis(rows)
    for row in gone:
        made.remove(row)
    rest = [row for row in rows if row not in gone]
    assert made.rows == rest
    targets = np.eye(3)[LABELS[rest]]
    assert made.spread(targets) == pytest.approx(dense(rest, targets), abs=2e-4)
    made.add(gone)
    everything = rest + gone
    assert made.spread(np.eye(3)[LABELS[everything]]) == pytest.approx(
        dense(everything, np.eye(3)[LABELS[everything]]), abs=2e-4
    )


def test_a_basis_grows_beyond_its_first_block() -> None:
    """More rows than one block are held and spread alike."""
    space, labels = clusters(groups=4, each=40)
    made = Basis(Walk(space.graph, LEAK))
    rows = list(range(0, 160, 2))
    made.add(rows)
    spread = made.spread(np.eye(4)[labels[rows]])
    assert spread[rows] == pytest.approx(np.eye(4)[labels[rows]], abs=1e-3)


def test_filled_rows_are_as_if_not_answered() -> None:
    """Rows set free take what spreads to them, and nothing else changes."""
    targets, free = np.eye(3)[LABELS[ROWS]], np.asarray([1, 4])
    rest = [row for i, row in enumerate(ROWS) if i not in free]
    filled = basis(ROWS).fill(targets, free)
    expected = dense(rest, np.delete(targets, free, axis=0))
    assert filled[free] == pytest.approx(expected[[ROWS[1], ROWS[4]]], abs=1e-4)
    assert basis(ROWS).spread(filled) == pytest.approx(expected, abs=1e-4)
    assert basis(ROWS).fill(targets, free[:0]) == pytest.approx(targets)
