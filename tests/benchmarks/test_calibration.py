"""Calibration is measured as the formulas say."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.calibration import expected_error, main


def test_expected_error_of_hand_values() -> None:
    """Two bins: three pairs at .9 of which one is not the same, one at .1 that is not: (3 * |.9 - 2/3| + .1) / 4."""
    p = np.asarray([0.95, 0.9, 0.85 + 0.05, 0.1])
    same = np.asarray([True, True, False, False])
    by_hand = (abs(p[:3].sum() - 2.0) + 0.1) / 4.0
    assert expected_error(p, same) == pytest.approx(by_hand)


def test_a_short_run_prints_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    """Asked and near pairs, each with its figures."""
    main(["--sets", "digits", "--errors", "0.05", "--seeds", "0", "--answers", "60", "--json"])
    lines = json.loads(capsys.readouterr().out)["calibration"]
    assert [line["pairs"] for line in lines] == ["asked", "near"]
    assert lines[0]["n"] == 60
    assert all(0.0 <= line["ece"] <= 1.0 and 0.5 < line["auc"] <= 1.0 for line in lines)
