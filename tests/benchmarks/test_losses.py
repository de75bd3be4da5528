"""Losses beside lightly's: what is compared, and how."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks import losses

pytest.importorskip("lightly", reason="lightly is installed by `make test`")


def test_both_sides_work_on_the_same_task() -> None:
    """On one tensor our SimCLR is their NT-Xent, in value and in gradient."""
    Z = torch.randn(24, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    found = [losses.loss_named(name)(Z) for name in ("simclr", "NT-Xent")]
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(*(torch.autograd.grad(loss, Z)[0] for loss in found))


def test_ratios_are_taken_within_a_round() -> None:
    """A slow round that slows both down leaves the ratio alone; the median and quartiles are over the rounds."""
    spent = {"VICReg": np.array([1.0, 2.0, 10.0]), "scl": np.array([0.5, 1.5, 5.0])}
    found = losses.compare(spent, {"scl": "VICReg"})
    assert found["VICReg"] == {"ms": 2000.0}
    assert found["scl"] == {"ms": 1500.0, "ratio": 0.5, "ratio_low": 0.5, "ratio_high": 0.625}


def test_runs_alternate_in_changing_order() -> None:
    """Each round runs everything once, after one round that does not count, and nothing always follows the same."""
    order: list[str] = []
    spent = losses.alternate({name: lambda name=name: order.append(name) for name in "abc"}, 9, "")
    rounds = [tuple(order[start : start + 3]) for start in range(0, 30, 3)]
    assert all(sorted(each) == [*"abc"] for each in rounds)
    assert len(set(rounds)) > 3
    assert [len(seconds) for seconds in spent.values()] == [9, 9, 9]


def test_memory_of_a_run_is_told_by_a_process_of_its_own() -> None:
    """One run with 256 samples adds more than its gradient, .25 MB, and less than a hundred."""
    assert 0.25 < losses.peak_mb("simclr", 256, 1) < 100


def test_the_table_has_a_row_for_each_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """All losses stand in it, ours with a ratio, and every figure is positive."""
    monkeypatch.setattr(losses, "peak_mb", lambda name, samples, threads: 1.0)
    found = losses.measure([256], {256: 1}, 0, 1)
    figures = found["sizes"]["256"]["losses"]
    assert set(figures) == set(losses.NAMES)
    assert all(value > 0 for row in figures.values() for value in row.values())
    assert losses.table(found).row_count == len(losses.NAMES)
