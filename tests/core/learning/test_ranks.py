"""Several ranks compute what one does: batches, statistics, gradients, losses, checkpoints."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pal_backend.core.learning.backbones import Tuning, small
from pal_backend.core.learning.loop import Run
from pal_backend.core.learning.norms import statistics_of, take_over
from pal_backend.core.learning.ranks import ALONE, Ranks, check_alike, part_of
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.learning.training import Trained, train
from pal_backend.core.recipes import RECIPES
from pal_backend.errors import InputError, UnavailableError
from tests.core.learning.tiny import IMAGES, QUICK, graph
from tests.core.learning.together import together

WIDE = dataclasses.replace(QUICK, narrow=False)


def gradients(settings: TrainingSettings, ranks: Ranks = ALONE) -> tuple[dict[str, Tensor], float]:
    """Of each weight in the first step, and the loss there."""
    run = Run.start(
        IMAGES, graph(30, settings.recipe), settings, torch.device("cpu"),
        backbone=small, tuning=Tuning.FULL, positives=None, warm_start=None, ranks=ranks,
    )  # fmt: skip
    asked = iter([False])
    run.epoch(lambda: next(asked, True), lambda: None)
    found = {name: weight.grad.clone() for name, weight in run.model.named_parameters() if weight.grad is not None}
    return found, run.place.sums["loss"]


@pytest.mark.parametrize("name", ["simclr", "vicreg", "spectral", "scl"])
@pytest.mark.parametrize("size", [2, 3])
def test_gradients_of_ranks_are_those_of_one_process(name: str, size: int) -> None:
    """Through gathered embeddings and common statistics, for every loss, the same to 1e-5 of their length on each rank."""
    recipe = dataclasses.replace(RECIPES[name], augmentation="weak")
    settings = dataclasses.replace(QUICK, recipe=recipe, batch=30, narrow=False)
    alone, loss = gradients(settings)
    several = together(size, lambda ranks: gradients(settings, ranks))
    for found, its_loss in several:
        assert its_loss == pytest.approx(loss, rel=1e-5)
        assert found.keys() == alone.keys()
        off = torch.stack([(found[weight] - alone[weight]).norm() for weight in alone])
        length = torch.stack([alone[weight].norm() for weight in alone])
        assert float(off.norm() / length.norm()) < 1e-5
    assert all(torch.equal(several[0][0][weight], several[-1][0][weight]) for weight in alone)


@pytest.mark.parametrize("shape", [(10,), (10, 4, 4)])
def test_statistics_are_those_of_the_uniform_rows_of_all_ranks(shape: tuple[int, ...]) -> None:
    """Outputs, running statistics and gradients of a batch normalisation over 9 of 14 rows, shared by three ranks."""
    x = torch.randn(14, *shape, generator=torch.Generator().manual_seed(0))
    weights = torch.randn(14, *shape, generator=torch.Generator().manual_seed(1))

    def normed(ranks: Ranks) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        network = nn.Sequential(nn.BatchNorm1d(10) if len(shape) == 1 else nn.BatchNorm2d(10))
        take_over(network)
        part = part_of(14, 9, 1, ranks)
        own = x[part.rows].clone().requires_grad_()
        with statistics_of(network, part.uniform, ranks):
            y = network(own)
        (y * weights[part.rows]).sum().backward()
        assert own.grad is not None
        return part.rows, y.detach(), own.grad, network.state_dict()["0.running_var"]

    _, y, gradient, variance = normed(ALONE)
    for rows, own, its_gradient, its_variance in together(3, normed):
        torch.testing.assert_close(own, y[rows])
        torch.testing.assert_close(its_gradient, gradient[rows], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(its_variance, variance)


@pytest.fixture(scope="module")
def pair() -> list[Trained]:
    """A training of three epochs on two ranks."""
    return together(2, lambda ranks: train(IMAGES, graph(), WIDE, ranks=ranks))


def test_the_loss_curve_is_that_of_one_process(pair: list[Trained]) -> None:
    """Within a thousandth in float32 after three epochs; features and weights are the same on both ranks, to the last bit."""
    alone = train(IMAGES, graph(), WIDE)
    np.testing.assert_allclose(pair[0].losses, alone.losses, rtol=1e-3)
    assert [means["positives"] for means in pair[0].history] == [means["positives"] for means in alone.history]
    assert pair[0].weights == pair[1].weights
    assert (pair[0].features == pair[1].features).all()
    assert np.corrcoef(pair[0].features.ravel(), alone.features.ravel())[0, 1] > 0.99


def test_ranks_stop_together_and_go_on_where_they_were(pair: list[Trained]) -> None:
    """One of them is asked to stop, all do; what the first has kept leads all to the bits of an unbroken training."""
    kept: list[bytes] = []

    def stopped(ranks: Ranks) -> Trained:
        asked = iter([False] * 5)
        should_stop: Callable[[], bool] = (lambda: next(asked, True)) if ranks.rank == 0 else (lambda: False)
        return train(
            IMAGES, graph(), WIDE, ranks=ranks, should_stop=should_stop, keep=kept.append if ranks.rank == 0 else None
        )

    assert [trained.stopped for trained in together(2, stopped)] == [True, True]
    resumed = together(2, lambda ranks: train(IMAGES, graph(), WIDE, ranks=ranks, checkpoint=kept[-1]))
    assert resumed[0].weights == pair[0].weights
    assert resumed[1].sittings == 2
    assert len(train(IMAGES, graph(), WIDE, checkpoint=kept[-1]).losses) == 3  # on one process as well


def test_neighbours_taken_anew_are_the_same_on_all_ranks() -> None:
    """Their features are put together, so that each rank asks with the same bits."""
    asked: list[np.ndarray] = []
    fresh = graph()
    recipe = dataclasses.replace(QUICK.recipe, neighbours=dataclasses.replace(QUICK.recipe.neighbours, refresh=1))
    settings = dataclasses.replace(QUICK, recipe=recipe, epochs=2)

    def positives(features: np.ndarray) -> object:
        asked.append(features)
        return fresh.prior

    together(2, lambda ranks: train(IMAGES, fresh, settings, positives=positives, ranks=ranks))  # type: ignore[arg-type]
    assert [features.shape for features in asked] == [(48, 128)] * 2
    assert (asked[0] == asked[1]).all()


def test_what_ranks_cannot_do_is_said() -> None:
    """A recipe for one process, batches smaller than the ranks are many, and ranks that begin with something else."""
    single = dataclasses.replace(QUICK, recipe=dataclasses.replace(QUICK.recipe, name="queues", ranks=False))
    with pytest.raises(InputError, match="the recipe queues trains on one process, found 2"):
        together(2, lambda ranks: train(IMAGES, graph(), single, ranks=ranks))
    with pytest.raises(InputError, match="cannot be shared by 9 processes"):
        together(9, lambda ranks: part_of(12, 8, 2, ranks))
    with pytest.raises(UnavailableError, match="did not begin with the same"):
        together(2, lambda ranks: check_alike("ab" * 32 if ranks.rank else "cd" * 32, ranks))
