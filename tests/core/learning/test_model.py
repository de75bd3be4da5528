"""What a training trains."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load, save

from pal_backend.core.learning.backbones import SmallConvNet, Tuning
from pal_backend.core.learning.model import Model, pack

IMAGES = torch.randint(0, 256, (6, 12, 12, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def model(tuning: Tuning = Tuning.FULL, seed: int = 0, width: int = 16) -> Model:
    """A small one for grey images."""
    generator = torch.Generator().manual_seed(seed)
    return Model(SmallConvNet(1, generator), tuning, width, generator)


@pytest.mark.parametrize("tuning", [Tuning.FULL, Tuning.HEAD])
def test_weights_written_are_weights_restored(tuning: Tuning) -> None:
    """Network, head and projector of another model take them over, to the bit."""
    first, second = model(tuning), model(tuning, seed=1)
    weights, _ = pack(first, IMAGES)
    assert second.restore(weights)
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


def test_a_head_begins_as_the_identity_and_alone_learns() -> None:
    """Features are those of the network at first; the network's weights ask for no gradient and stay in evaluation mode."""
    frozen, full = model(Tuning.HEAD), model()
    seen = torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(frozen.features(seen), full.features(seen))
    names = {name.partition(".")[0] for name, value in frozen.named_parameters() if value.requires_grad}
    assert names == {"head", "projector"}
    assert not frozen.train().network.training
    assert full.train().network.training


def test_weights_that_do_not_fit_change_nothing() -> None:
    """Damaged, of another network, or with a head where there is none."""
    target = model(seed=1)
    before = {name: value.clone() for name, value in target.state_dict().items()}
    tensors = load(pack(model(), IMAGES)[0])
    smaller = {**tensors, "network.body.0.weight": torch.zeros(1)}
    for weights in (b"", save(smaller), pack(model(Tuning.HEAD), IMAGES)[0]):
        assert not target.restore(weights)
    assert all(torch.equal(before[name], value) for name, value in target.state_dict().items())


def test_a_projector_of_another_width_is_left_as_it_is() -> None:
    """The network goes on all the same: the projector is thrown away after training."""
    target = model(seed=1, width=8)
    projector = target.projector.layers[2].weight.clone()
    assert target.restore(pack(model(), IMAGES)[0])
    assert torch.equal(target.projector.layers[2].weight, projector)
