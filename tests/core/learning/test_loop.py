"""A training that is interrupted and taken up again."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import nn

from pal_backend.core.learning.backbones import SmallConvNet
from pal_backend.core.learning.graph import strongest
from pal_backend.core.learning.training import Trained, train
from pal_backend.core.neighbours import build_space
from tests.core.learning.tiny import IDS, IMAGES, QUICK, graph

ALWAYS = dataclasses.replace(QUICK, keep_seconds=0.0)
LONG = dataclasses.replace(ALWAYS, epochs=25)
SRC = Path(__file__).parents[3]


class WithDropout(nn.Module):
    """The small network, with a layer that draws at random and one that keeps running statistics."""

    features = 128

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.inner, self.norm, self.drop = SmallConvNet(1, generator), nn.BatchNorm1d(128), nn.Dropout(0.3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.drop(self.norm(self.inner(images)))
        return found


def with_dropout(channels: int, side: int, generator: torch.Generator) -> nn.Module:
    """A backbone for images of one channel."""
    return WithDropout(generator)


def nearest(features: NDArray[np.float32]) -> sparse.csr_array:
    """Neighbours in the features of the network being trained."""
    return strongest(build_space(IDS, features, k=3).graph, 3)


def equal(first: Trained, second: Trained) -> bool:
    """To the last bit, but for the time it took."""
    return (
        first.weights == second.weights
        and np.array_equal(first.features, second.features)
        and (first.history, first.precision, first.warm) == (second.history, second.precision, second.warm)
    )


@pytest.mark.parametrize("at", [0, 2, 3, -2])
def test_going_on_from_a_checkpoint_gives_the_result_of_an_unbroken_run(at: int) -> None:
    """Inside an epoch or between two: weights, features and the means of all epochs are equal to the last bit."""
    kept: list[bytes] = []
    whole = train(IMAGES, graph(), ALWAYS, keep=kept.append)
    assert len(kept) > 6
    assert equal(train(IMAGES, graph(), ALWAYS, checkpoint=kept[at]), whole)


def test_neighbours_taken_anew_dropout_and_running_statistics_go_on_too() -> None:
    """With all of them at once a resumed training is equal as well, wherever it broke off."""
    rule = dataclasses.replace(QUICK.recipe.neighbours, refresh=1)
    settings = dataclasses.replace(ALWAYS, recipe=dataclasses.replace(QUICK.recipe, neighbours=rule))
    kept: list[bytes] = []
    whole = train(IMAGES, graph(), settings, backbone=with_dropout, positives=nearest, keep=kept.append)
    for checkpoint in kept[::3]:
        torch.rand(3)  # the global state of the process is another one after a crash
        resumed = train(IMAGES, graph(), settings, backbone=with_dropout, positives=nearest, checkpoint=checkpoint)
        assert equal(resumed, whole)


def test_keeping_checkpoints_changes_nothing() -> None:
    """A training that keeps one after each step gives what one gives that keeps none."""
    assert equal(train(IMAGES, graph(), QUICK), train(IMAGES, graph(), ALWAYS, keep=lambda data: None))


def test_a_training_asked_to_stop_leaves_a_checkpoint_from_which_it_goes_on() -> None:
    """Stopped again and again, before the first step of an epoch and inside one, it ends where an unbroken one does."""
    kept: list[bytes] = []
    whole = train(IMAGES, graph(), QUICK, warm_start=None)
    checkpoint = None
    for steps in (0, 2, 1, 2, 1):
        asks = partial(next, iter([False] * steps), True)
        stopped = train(IMAGES, graph(), QUICK, should_stop=asks, checkpoint=checkpoint, keep=kept.append)
        assert stopped.stopped
        checkpoint = kept[-1]
    assert len(kept) == 5
    assert equal(train(IMAGES, graph(), QUICK, checkpoint=checkpoint), whole)


def test_a_killed_process_is_taken_up_where_it_was(tmp_path: Path) -> None:
    """SIGKILL in the middle of a training in a process of its own; what it kept leads to the result of an unbroken run."""
    file = tmp_path / "checkpoint"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(file)], cwd=SRC, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    try:
        for _ in range(6000):
            if file.exists():
                break
            assert child.poll() is None, "the child ended before it was killed"
            time.sleep(0.01)
    finally:
        child.kill()
    assert child.wait() == -signal.SIGKILL
    told: list[int] = []
    resumed = train(
        IMAGES, graph(), LONG, checkpoint=file.read_bytes(), progress=lambda state: told.append(state["epoch"])
    )
    assert told[0] > 1
    assert equal(resumed, train(IMAGES, graph(), LONG))


CHILD = """
import sys
from pathlib import Path
import torch
from pal_backend.core.learning.training import train
from tests.core.learning.test_loop import LONG
from tests.core.learning.tiny import IMAGES, graph

torch.set_num_threads(1)
place, count = Path(sys.argv[1]), 0

def keep(data):
    global count
    count += 1
    beside = place.with_suffix(".new")
    beside.write_bytes(data)
    if count >= 12:
        beside.rename(place)

train(IMAGES, graph(), LONG, keep=keep)
"""


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-7], lambda data: b"{}" + data])
def test_a_damaged_checkpoint_is_refused(damage: object) -> None:
    """Nothing of it is taken over."""
    kept: list[bytes] = []
    train(IMAGES, graph(), dataclasses.replace(ALWAYS, epochs=1), keep=kept.append)
    with pytest.raises(ValueError, match="checkpoint is damaged"):
        train(IMAGES, graph(), ALWAYS, checkpoint=damage(kept[0]))  # type: ignore[operator]


def test_a_checkpoint_of_another_training_is_refused() -> None:
    """Other images, other answers, another recipe or seed: it does not go on from it."""
    kept: list[bytes] = []
    train(IMAGES, graph(), ALWAYS, keep=kept.append)
    for images, of, settings in (
        (255 - IMAGES, graph(), ALWAYS),
        (IMAGES, graph(31), ALWAYS),
        (IMAGES, graph(), dataclasses.replace(ALWAYS, seed=1)),
        (IMAGES, graph(), dataclasses.replace(ALWAYS, recipe=dataclasses.replace(QUICK.recipe, temperature=0.3))),
    ):
        with pytest.raises(ValueError, match="belongs to another training"):
            train(images, of, settings, checkpoint=kept[0])
