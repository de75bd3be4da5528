"""The solver as second opinion: both opinions are measured on the same seeds."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import opinions
from benchmarks.data import Dataset
from tests.core.worlds import clusters


def test_both_opinions_are_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One ARI for each seed and budget, of both, in one object; on plain clusters both find everything."""
    space, labels = clusters(groups=3, each=30)
    small = Dataset("clusters", space.features, labels)
    monkeypatch.setattr(opinions, "SETS", {"clusters": lambda: small})
    opinions.main(["--sets", "clusters", "--errors", "0", "--seeds", "0,1", "--budgets", "20,60", "--json"])
    found = json.loads(capsys.readouterr().out)
    [run] = found["runs"]
    assert found["budgets"] == [20, 60]
    for name in opinions.OPINIONS:
        assert np.shape(run[name]["ari"]) == (2, 2)
        assert np.asarray(run[name]["ari"])[:, 1] == pytest.approx(1.0)
        assert len(run[name]["ms_per_question"]) == 2
