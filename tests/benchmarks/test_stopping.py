"""How long a stop takes: what is timed, and that a training which was never stopped is told."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import stopping
from pal_backend.demo.descendants import Process

SLOW_S = 0.05


def training(*, obeys: bool) -> Callable[..., Any]:
    """One that comes back a while after it was asked to stop, or at once with all its epochs."""

    def retrain_on(*_: object, progress: Any, should_stop: Any, keep: Any, processes: int, **others: object) -> Any:
        assert processes == 2
        progress({"epoch": 1})
        while obeys and not should_stop():
            time.sleep(0.001)
        time.sleep(SLOW_S)
        keep(b"")
        return SimpleNamespace(stopped=obeys, history=({}, {}))

    return retrain_on


def test_the_clock_runs_from_the_request_until_no_process_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It includes what the training still does, and waits for processes that outlive it."""
    left = [True, False, False, False]
    monkeypatch.setattr(stopping, "retrain_on", training(obeys=True))
    monkeypatch.setattr(stopping, "descendants", lambda pid: [Process(1, 1)] * 3)
    monkeypatch.setattr(stopping, "alive", lambda process: left.pop(0))
    stopping.main(["--repetitions", "1", "--json"])
    (found,) = json.loads(capsys.readouterr().out)["runs"]
    assert SLOW_S <= found["back"] < found["back"] + stopping.POLL_S <= found["gone"] < 5


def test_a_training_that_ended_by_itself_is_no_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was too short to be stopped."""
    monkeypatch.setattr(stopping, "retrain_on", training(obeys=False))
    monkeypatch.setattr(stopping, "descendants", lambda pid: [Process(1, 1)] * 3)
    monkeypatch.setattr(stopping, "alive", lambda process: False)
    with pytest.raises(RuntimeError, match="nothing was stopped"):
        stopping.main(["--repetitions", "1"])
