"""How many processes a training takes; what they do is in tests/worker/test_distributed.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pal_backend.backbones import network_of
from pal_backend.core.choice import Choice
from pal_backend.core.learning.backbones import Tuning
from pal_backend.core.learning.pixels import pca_features
from pal_backend.core.learning.retraining import Material
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.neighbours import build_space
from pal_backend.core.recipes import RECIPES
from pal_backend.errors import InputError
from pal_backend.rank_processes import processes_for, retrain_on
from tests.core.learning.tiny import IDS, IMAGES

FULL = Choice("simclr", "small", "", "full")


def test_how_many_processes_train(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """As many as were asked for, or one for each CUDA device; one where nothing learns or the recipe allows no more."""
    assert processes_for(0, "cpu", FULL) == 1
    assert processes_for(3, "cpu", FULL) == 3
    assert processes_for(3, "cpu", Choice("simclr", "small", "", "frozen")) == 1
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    assert (processes_for(0, "auto", FULL), processes_for(2, "auto", FULL), processes_for(0, "cpu", FULL)) == (4, 2, 1)
    with pytest.raises(InputError, match="5 processes were asked for, found 4 CUDA devices"):
        processes_for(5, "cuda", FULL)
    single = {"simclr": replace(RECIPES["simclr"], ranks=False)}
    monkeypatch.setattr("pal_backend.core.recipes.RECIPES", single)
    assert processes_for(0, "auto", FULL) == 1
    assert "the recipe simclr trains on one process, not on 4" in caplog.text


def test_a_batch_too_small_to_share_is_trained_on_by_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is started for batches of seven samples."""
    monkeypatch.setattr("subprocess.Popen", None)
    material = Material(IMAGES, IMAGES, network_of(FULL), Tuning.FULL)
    settings = TrainingSettings(epochs=0, batch=7, device="cpu")
    space = build_space(IDS, pca_features(IMAGES, 10), k=5)
    trained = retrain_on(material, space, [], settings, choice=FULL, processes=2)
    assert trained.features.shape == (48, 128)
