"""Networks from images to features."""

from __future__ import annotations

import pytest
import torch

from pal_backend.core.learning.backbones import Backbone, Projector, SmallConvNet, checked, given, small
from pal_backend.errors import ConfigError


@pytest.mark.parametrize(("channels", "side"), [(1, 32), (3, 32), (1, 8), (3, 65)])
def test_images_of_any_size_give_features(channels: int, side: int) -> None:
    """Grey and colour images of every size that can be set give 128 finite numbers."""
    network: Backbone = SmallConvNet(channels, torch.Generator().manual_seed(0))
    features = network(torch.rand(2, channels, side, side))
    assert features.shape == (2, network.features)
    assert bool(features.isfinite().all())


def test_initial_weights_come_from_the_generator_alone() -> None:
    """The same seed gives the same weights, whatever was drawn elsewhere before."""
    first = [SmallConvNet(1, torch.Generator().manual_seed(3)), Projector(128, 64, torch.Generator().manual_seed(3))]
    torch.rand(17)
    second = [SmallConvNet(1, torch.Generator().manual_seed(3)), Projector(128, 64, torch.Generator().manual_seed(3))]
    for a, b in zip(first, second, strict=True):
        assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def test_features_do_not_depend_on_the_rest_of_the_batch() -> None:
    """An image's features are the same alone and in company: there are no statistics over batches."""
    network = SmallConvNet(3, torch.Generator().manual_seed(0))
    images = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(network(images)[:1], network(images[:1]), atol=1e-5, rtol=1e-4)


def test_what_is_made_is_tried_on_two_images() -> None:
    """A network that keeps its word passes, in the mode it came in; one that does not is told of by name."""
    make = checked(small, "small")
    network = make(3, 16, torch.Generator().manual_seed(0))
    assert isinstance(network, SmallConvNet)
    assert network.training
    with pytest.raises(ConfigError, match=r"the backbone mine is of type int; expected a torch\.nn\.Module"):
        checked(lambda *about: 1, "mine")(3, 16, torch.Generator())


def test_given_features_stay_as_they_are() -> None:
    """They stand in the place of images."""
    rows = torch.rand(4, 7)
    network = given(7, 7, torch.Generator())
    assert network.features == 7
    assert torch.equal(network(rows), rows)


def test_a_normalised_projector_begins_near_zero_and_spreads_what_a_plain_one_does_not() -> None:
    """Features with a large common part: embeddings differ from each other as much as from 0, and are small."""
    features = 5.0 + torch.randn(64, 32, generator=torch.Generator().manual_seed(0))

    def spread(normalised: bool) -> tuple[float, float]:
        projector = Projector(32, 16, torch.Generator().manual_seed(1), normalised=normalised)
        Z = projector.train()(features).detach()
        return float(Z.var(dim=0).sum() / Z.square().sum(dim=1).mean()), float(Z.square().mean().sqrt())

    (plain, _), (normalised, scale) = spread(False), spread(True)
    assert normalised > 0.4 > 0.1 > plain
    assert scale < 0.3
