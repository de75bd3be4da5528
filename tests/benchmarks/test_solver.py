"""The solver beside bare numpy: both do the same, and what is counted."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import solver


def test_bare_numpy_does_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """Both forms give one ZZ^T within float32, every step has as many runs as were asked for, and there is one object."""
    small = ["--samples", "3000", "--width", "24", "--dimension", "6", "--screens", "3", "--set-ups", "2", "--json"]
    solver.main(small)
    found = json.loads(capsys.readouterr().out)
    assert found["difference"] < 1e-4
    assert (found["samples"], found["p"], found["K"]) == (3000, 24, 6)
    assert {step: one["runs"] for step, one in found["steps"].items()} == {"set-up": 2, "update": 3, "re-embedding": 3}
    assert all(0.0 < one["ours_s"] <= one["worst_s"] for one in found["steps"].values())
    assert 0 < found["components_a_screen"] <= 18


def test_a_screen_is_about_nine_samples() -> None:
    """One anchor, up to eight others, true verdicts of both kinds."""
    classes = np.random.default_rng(0).integers(solver.CLASSES, size=5000)
    names = [str(row) for row in range(5000)]
    answers = solver.screen(3, names, classes, np.random.default_rng(1))
    samples = {sample for answer in answers for sample in answer.pair}
    assert len(answers) in (7, 8) and len(samples) == len(answers) + 1
    assert {str(answer.verdict) for answer in answers} == {"same", "different"}
    for answer in answers:
        first, second = (classes[int(sample)] for sample in answer.pair)
        assert (answer.verdict == "same") == (first == second)


def test_ratios_are_taken_run_by_run() -> None:
    """A slow moment that both forms met does not count for either."""
    found = solver.figures([1.0, 10.0, 1.0], [2.0, 20.0, 2.0])
    assert (found["ratio"], found["ours_s"], found["worst_s"]) == (0.5, 1.0, 10.0)
