"""Number format and layout."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from pal_backend.core.learning.precision import has_bfloat16, layout
from pal_backend.core.learning.training import Tuning, train
from tests.core.learning.tiny import IMAGES, QUICK, graph, separation


@pytest.mark.parametrize(
    ("found", "expected"), [({"avx512_bf16": True}, True), ({"amx_bf16": True}, True), ({"avx2": True}, False)]
)
def test_a_processor_is_asked_what_it_has(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, bool], expected: bool
) -> None:
    """Instructions for bfloat16 decide, not a stopwatch."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    assert has_bfloat16(torch.device("cpu")) is expected


def test_an_older_torch_that_cannot_tell_stays_with_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """And layouts follow the device."""
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not has_bfloat16(torch.device("cpu"))
    assert layout(torch.device("cpu")) is torch.contiguous_format
    assert layout(torch.device("cuda")) is torch.channels_last


def test_bfloat16_trains_as_well_as_float32() -> None:
    """Losses agree to a few per cent, and the kinds are kept apart; weights stay float32."""
    results = [
        train(IMAGES, graph(60), dataclasses.replace(QUICK, epochs=8, narrow=narrow)) for narrow in (False, True)
    ]
    np.testing.assert_allclose(results[0].losses, results[1].losses, rtol=0.05)
    assert not np.array_equal(results[0].features, results[1].features)
    untrained = separation(train(IMAGES, graph(), QUICK, tuning=Tuning.FROZEN).features)
    assert all(separation(result.features) > untrained for result in results)
