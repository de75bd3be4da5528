"""Joint, two-stage and supervised: what is compared with what, what is kept, what is printed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import mobyv2al, mobyv2al_runs
from benchmarks.images import LabelledImages
from benchmarks.mobyv2al_runs import Job, graph_of, labelled_rows, run
from pal_backend.core.evaluation import held_out_rows

HELD = held_out_rows(np.ones(120, bool))


def colours() -> LabelledImages:
    """Forty noisy images of each of three colours."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 40)
    images = np.clip(200 * np.eye(3)[labels][:, None, None] + rng.integers(-60, 60, (120, 32, 32, 3)), 0, 255)
    return LabelledImages("colours", images.astype(np.uint8), labels)


def test_labels_that_are_known_nest_and_are_never_held_out() -> None:
    """Those of a small budget are among those of a large one, and differ between seeds."""
    pool = np.flatnonzero(~HELD)
    few, many, others = (set(labelled_rows(pool, *args).tolist()) for args in ((10, 0), (30, 0), (10, 1)))
    assert few < many < set(pool.tolist())
    assert few != others


def test_the_graph_holds_the_labels_given_and_nothing_else() -> None:
    """A component for each class, all kept apart, in the numbers of the classes that are there."""
    graph = graph_of(np.array([7, -1, 3, 7, -1, 9]))
    assert graph.components.tolist() == [1, -1, 0, 1, -1, 2]
    assert graph.cannot.tolist() == [[0, 1], [0, 2], [1, 2]]
    assert graph.prior.nnz == len(graph.pairs) == 0


@pytest.mark.parametrize("method", mobyv2al_runs.METHODS)
def test_no_label_beyond_the_budget_teaches(method: str) -> None:
    """With all other labels wrong a run gives the same features: the same last losses and, of those held out, other scores."""
    data = colours()
    job = Job("", method, (12,), 0, 4, 32)
    rows = labelled_rows(np.flatnonzero(~HELD), 12, 0)
    wrong = (data.labels + 1) % 3
    wrong[rows] = data.labels[rows]
    found = [
        run(LabelledImages("", data.images, labels), HELD, job, lambda words, share: None)
        for labels in (data.labels, wrong)
    ]
    assert found[0]["last"] == found[1]["last"]
    assert found[0]["heads"] != found[1]["heads"]


def test_finished_runs_are_found_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second call with the same file trains nothing and prints the same figures, for people and as JSON."""
    monkeypatch.setattr(mobyv2al, "load", lambda options: colours())
    arguments = ["--labels", "12", "24", "--seeds", "0-0", "--steps", "4", "--batch", "32", "--threads", "1"]
    arguments += ["--reuse", str(tmp_path / "runs.json")]
    mobyv2al.main([*arguments, "--json"])
    first = json.loads(capsys.readouterr().out)
    assert [(line["method"], line["labels"]) for line in first["summary"]] == [
        (method, count) for method in mobyv2al_runs.METHODS for count in (12, 24)
    ]
    assert all(0 <= line["head"]["least"] <= line["head"]["most"] <= 1 for line in first["summary"])
    assert len(first["runs"]) == 5
    monkeypatch.setattr(mobyv2al, "run", None)
    mobyv2al.main([*arguments, "--json"])
    assert json.loads(capsys.readouterr().out) == first
    mobyv2al.main(arguments)
    assert "two-stage" in capsys.readouterr().out
