"""What the benchmark of the estimated accuracy counts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import accuracy
from benchmarks.data import Dataset
from tests.core.worlds import clusters

SPACE, LABELS = clusters(groups=3, each=100)


def test_a_run_looks_where_it_is_told() -> None:
    """At every number of answers there is an estimate within its interval, the truth, and what the next hundred brought."""
    looks = list(accuracy.run(Dataset("c", SPACE.features, LABELS), 0.0, 0, answers=200, at=(50, 100, 200), batch=5))
    assert [look.answers for look in looks] == [50, 100, 200]
    for look in looks:
        assert look.low <= look.estimate <= look.high and 0.0 < look.accuracy <= 1.0
        assert look.checks == pytest.approx(look.answers / 20, abs=1.5)
    assert [look.gained is None for look in looks] == [False, False, True]
    assert looks == list(
        accuracy.run(Dataset("c", SPACE.features, LABELS), 0.0, 0, answers=200, at=(50, 100, 200), batch=5)
    )


def test_files_of_ones_own_as_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--json prints every look of every seed, with whether the interval held the truth."""
    np.save(tmp_path / "x.npy", SPACE.features)
    np.save(tmp_path / "y.npy", LABELS)
    files = ["--features", str(tmp_path / "x.npy"), "--labels", str(tmp_path / "y.npy")]
    accuracy.main([*files, "--errors", "0.1", "--seeds", "0-1", "--answers", "60", "--budgets", "60", "--json"])
    looks = json.loads(capsys.readouterr().out)["looks"]
    assert [(look["seed"], look["answers"], look["error_rate"]) for look in looks] == [(0, 60, 0.1), (1, 60, 0.1)]
    assert all(look["held"] == (look["low"] <= look["accuracy"] <= look["high"]) for look in looks)


def test_a_table_has_a_line_for_each_setting(capsys: pytest.CaptureFixture[str]) -> None:
    """Seeds are brought together; how often the truth was held is counted."""
    look = accuracy.Look("c", 0.05, 0, 100, 5, 0.9, 0.92, 0.85, 0.97, 0.01, 0.02)
    missed = accuracy.Look("c", 0.05, 1, 100, 5, 0.8, 0.92, 0.85, 0.97, 0.01, None)
    accuracy.show([look, missed])
    assert "1 of 2" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [["--sets", "nothing"], ["--features", "x.npy"]])
def test_senseless_options_are_refused(wrong: list[str]) -> None:
    """Before anything is run."""
    with pytest.raises(SystemExit):
        accuracy.main(wrong)
