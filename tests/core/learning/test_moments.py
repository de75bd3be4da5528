"""Second moments: values and gradients against plain products."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pal_backend.core.learning.moments import gram, uniform_rows


@pytest.mark.parametrize("shape", [(7, 3), (3, 7), (1, 1)])
def test_gram_matches_reference_product_and_its_gradient(shape: tuple[int, int]) -> None:
    """Value and gradient are those of X^T X written as a product, for a slope that is not symmetric."""
    X = torch.tensor(np.random.default_rng(0).normal(size=shape), requires_grad=True)
    slope = torch.tensor(np.random.default_rng(1).normal(size=(shape[1], shape[1])))
    assert torch.equal(gram(X), X.T @ X)
    ours, plain = (torch.autograd.grad((slope * product).sum(), X)[0] for product in (gram(X), X.T @ X))
    torch.testing.assert_close(ours, plain)


def test_uniform_rows_by_mask_by_number_and_all() -> None:
    """A mask and row numbers give the same rows, None the embeddings themselves."""
    Z = torch.arange(8.0).reshape(4, 2)
    assert uniform_rows(Z, None) is Z
    assert torch.equal(uniform_rows(Z, torch.tensor([True, False, True, False])), Z[::2])
    assert torch.equal(uniform_rows(Z, torch.tensor([0, 2])), Z[::2])
