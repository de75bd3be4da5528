"""Batch normalisation over the uniform part."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from pal_backend.core.learning.norms import statistics_of, take_over


def network() -> nn.Sequential:
    """Two kinds of batch normalisation, one inside another module."""
    torch_net = nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), nn.Flatten(), nn.BatchNorm1d(16))
    generator = torch.Generator().manual_seed(0)
    for parameter in torch_net.parameters():
        nn.init.normal_(parameter, generator=generator)
    return torch_net


def images(count: int = 10) -> torch.Tensor:
    """Random images, (count, 3, 4, 4)."""
    return torch.randn(count, 3, 4, 4, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("training", [True, False])
def test_over_all_rows_it_matches_torch(training: bool) -> None:
    """Outputs, gradients and running statistics are those of torch's own, with statistics of the batch or the kept ones."""
    reference, ours = network(), network()
    take_over(ours)
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in ours.modules())
    for net in (reference, ours):
        net.train(training)
    for _ in range(2):
        a, b = reference(images()), ours(images())
        torch.testing.assert_close(a, b)
        a.square().sum().backward()
        b.square().sum().backward()
    torch.testing.assert_close(reference.state_dict(), ours.state_dict())
    for p, q in zip(reference.parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad)


def test_rows_outside_the_uniform_part_change_no_statistics() -> None:
    """The uniform rows come out as if they were alone, with the same running statistics, and the others on their scale."""
    alone, ours = network().train(), network().train()
    take_over(ours)
    x = images()
    expected = alone(x[:6])
    with statistics_of(ours, torch.arange(6)):
        got = ours(x)
        other = ours(torch.cat([x[:6], 100 * x[6:]]))
    torch.testing.assert_close(got[:6], expected)
    torch.testing.assert_close(other[:6], expected)
    again = copy.deepcopy(alone)
    again(x[:6])
    torch.testing.assert_close(ours.state_dict(), again.state_dict())


def test_gradients_flow_through_the_statistics() -> None:
    """The gradient of a part of a batch agrees with finite differences."""
    norm = nn.Sequential(nn.BatchNorm1d(3)).double()
    take_over(norm)
    x = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2), requires_grad=True)
    with statistics_of(norm, torch.tensor([0, 2, 5])):
        assert torch.autograd.gradcheck(lambda y: norm(y) * torch.arange(7.0).view(-1, 1), (x,))


def test_weights_go_from_one_to_the_other() -> None:
    """Names and shapes stay, so that a trained network can be read by the plain one."""
    plain, ours = network(), network()
    take_over(ours)
    plain.load_state_dict(ours.state_dict())
