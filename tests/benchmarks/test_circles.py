"""PAL's study on circles: what the figures must show, and what is counted."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import circles


def test_asking_closure_and_chance_come_in_the_papers_order() -> None:
    """N = 150, six seeds, 300 answers: active errs at most .05, passive at least .20, passive with closure in between."""
    runs = [circles.study(seed, (300,), large=0) for seed in range(6)]
    active, passive, closed = (
        np.mean([run[way] for run in runs]) for way in ("active", "passive", "passive + closure")
    )
    assert active <= 0.05
    assert passive >= 0.20
    assert active < closed < passive


def test_signed_edges_are_better() -> None:
    """N = 300, six seeds, 400 answers: what is known to differ errs less as -1 than as 0."""
    runs = [circles.study(seed, (400,), count=0) for seed in range(6)]
    signed, unsigned = ([run[f"{way}, 300 points"][0] for run in runs] for way in ("signed", "1/0"))
    assert np.mean(signed) < np.mean(unsigned)


def test_nothing_wrong_gets_into_the_graph() -> None:
    """Whatever the way, entries are 1 for some that are the same, -1 for some that differ, and symmetric."""
    world = circles.World.of(60, np.random.default_rng(0))
    truth = np.where(world.classes[:, None] == world.classes[None, :], 1.0, -1.0)
    ways = [
        circles.Active(world, np.random.default_rng(1)),
        *(circles.Passive(world, np.random.default_rng(2), closure) for closure in (False, True)),
    ]
    for asking in ways:
        for _ in range(8):
            assert 0 < asking.ask() <= circles.ROUND
        graph = asking.graph
        assert (graph == graph.T).all()
        assert (graph[graph != 0.0] == truth[graph != 0.0]).all()
        assert (graph == -1.0).any() and (graph == 1.0).sum() > 60


def test_no_candidate_is_shown_twice_on_a_screen() -> None:
    """Every answer of a round is about another sample, and none is asked about again for the same class."""
    world = circles.World.of(60, np.random.default_rng(0))
    asking = circles.Active(world, np.random.default_rng(1))
    for _ in range(12):
        before = asking._compared.sum()
        assert asking._compared.sum() - before == 0
        answers = asking.ask()
        assert asking._compared.sum() - before == answers


def test_closure_is_what_answers_imply() -> None:
    """1-2 the same, 2-3 the same, 3-4 different: 1-3 the same, and 4 differs from 1 and 2 too."""
    world = circles.World.of(8, np.random.default_rng(0))
    asking = circles.Passive(world, np.random.default_rng(0), closure=True)
    for i, j, said in ((0, 1, 1.0), (1, 2, 1.0), (2, 3, -1.0)):
        asking._said[i, j] = asking._said[j, i] = said
    graph = asking.graph
    assert graph[0, 2] == 1.0 and graph[0, 3] == graph[1, 3] == -1.0
    assert graph[4, 5] == graph[0, 5] == 0.0


def test_the_command_prints_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json there is one object on standard output, with the mean and every seed of each way."""
    circles.main(["--seeds", "1", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["answers"] == list(circles.MARKS)
    assert all(len(way["mean"]) == len(circles.MARKS) and len(way["seeds"]) == 1 for way in found["error"].values())
