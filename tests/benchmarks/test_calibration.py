"""The table of calibration: both kinds of pairs, with their figures."""

from __future__ import annotations

import json

import pytest

from benchmarks.calibration import main


def test_a_short_run_prints_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    """Asked and near pairs, each with its figures."""
    main(["--sets", "digits", "--errors", "0.05", "--seeds", "0", "--answers", "60", "--json"])
    lines = json.loads(capsys.readouterr().out)["calibration"]
    assert [line["pairs"] for line in lines] == ["asked", "near"]
    assert lines[0]["n"] == 60
    assert all(0.0 <= line["ece"] <= 1.0 and 0.5 < line["auc"] <= 1.0 for line in lines)
