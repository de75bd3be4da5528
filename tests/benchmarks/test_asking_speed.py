"""How long an answer keeps a sitting busy: what is counted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import asking_speed
from tests.core.worlds import clusters


def test_one_sitting_is_measured(tmp_path: Path) -> None:
    """Every figure of the table is there, times add up, and the peak is no less than what was there before."""
    space, labels = clusters(groups=4, each=25)
    np.save(tmp_path / "x.npy", space.features)
    np.save(tmp_path / "y.npy", labels)
    found = asking_speed.measure(tmp_path / "x.npy", tmp_path / "y.npy", 20, 0.05, None)
    assert found["samples"] == 100 and found["answers"] == 20
    assert set(asking_speed.ROWS) <= set(found)
    for clock in asking_speed.CLOCKS:
        steps = sum(found[f"{clock}_{name}_ms"] for name in asking_speed.STEPS)
        assert found[f"{clock}_mean_ms"] == pytest.approx(steps)
        assert found[f"{clock}_mean_ms"] > 0 and found[f"{clock}_p95_ms"] <= found[f"{clock}_worst_ms"]
        assert found[f"resume_{clock}_s"] > 0
    assert 0 < found["before_mb"] <= found["peak_mb"]
    assert json.loads(json.dumps(found)) == found


def test_worst_and_late_are_of_whole_answers() -> None:
    """Steps are added up before anything is taken of them."""
    spent = np.ones((300, 3, 2))
    spent[5, :, 1] = 10.0, 20.0, 30.0
    found = asking_speed.times(spent)
    assert found["wall_worst_ms"] == 60.0 and found["wall_late_mean_ms"] == found["cpu_worst_ms"] == 3.0
    assert found["wall_update_ms"] == pytest.approx((299 + 20) / 300)


def test_larger_pools_are_shifted_copies() -> None:
    """The first 5,000 are the images themselves, the next the same classes in the same order; more than four are not made."""
    features, labels = asking_speed.pool(7000)
    assert features.shape == (7000, 50) and features.dtype == np.float32
    assert np.array_equal(labels[5000:], labels[:2000])
    moved = np.linalg.norm(features[5000:] - features[:2000], axis=1)
    others = np.linalg.norm(features[5000:] - features[2000:4000], axis=1)
    assert moved.min() > 0.0 and np.median(moved) < np.median(others)
    with pytest.raises(ValueError, match="20000"):
        asking_speed.pool(20_001)
