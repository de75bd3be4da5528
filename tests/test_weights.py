"""Files of weights: what is read, what is refused, and how they are fitted to a network."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from pal_backend.errors import InputError, NotFoundError
from pal_backend.weights import fit, read_weights


class Evil:
    """Would leave a file behind if it were unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.trace}",)


def network() -> nn.Sequential:
    """A small network with batch statistics."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def state(prefix: str = "") -> dict[str, Tensor]:
    """Weights that are all 0.5, under a prefix."""
    return {
        prefix + name: torch.full_like(value, 0.5) if value.is_floating_point() else value
        for name, value in network().state_dict().items()
    }


@pytest.mark.parametrize("wrapper", ["", "state_dict", "model"])
def test_files_of_torch_are_read(tmp_path: Path, wrapper: str) -> None:
    """A state dict alone, or where training scripts put it, beside what is no tensor."""
    found: object = {wrapper: state(), "epoch": 7, "optimizer": {"lr": 0.1}} if wrapper else state()
    torch.save(found, tmp_path / "w.pth")
    read = read_weights(tmp_path / "w.pth")
    assert read.keys() == state().keys()
    assert torch.equal(read["0.weight"], state()["0.weight"])


def test_safetensors_are_read(tmp_path: Path) -> None:
    """The same tensors come back."""
    save_file(state(), tmp_path / "w.safetensors")
    assert torch.equal(read_weights(tmp_path / "w.safetensors")["3.bias"], torch.full((2,), 0.5))


@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize("suffix", [".pth", ".pt"])
def test_a_pickle_is_refused_and_not_run(tmp_path: Path, suffix: str, protocol: int) -> None:
    """Code in a file of weights is told of and does not run, whether torch or pickle wrote it."""
    trace, path = tmp_path / "trace", tmp_path / f"w{suffix}"
    for write in (torch.save, lambda found, place: place.write_bytes(pickle.dumps(found, protocol))):
        write({"0.weight": Evil(trace)}, path)
        with pytest.raises(InputError, match=r"hold more than tensors|cannot be read"):
            read_weights(path)
    assert not trace.exists()


@pytest.mark.parametrize("name", ["w.pkl", "w.bin", "w.npz", "w", "w.py"])
def test_other_kinds_of_file_are_refused_by_name(tmp_path: Path, name: str) -> None:
    """Nothing is opened that is not called what we can read safely."""
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(InputError, match=r"expected one of \.safetensors, \.pth, \.pt"):
        read_weights(tmp_path / name)


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    """The size is looked at before anything is read."""
    save_file(state(), tmp_path / "w.safetensors")
    with pytest.raises(InputError, match="make the file smaller"):
        read_weights(tmp_path / "w.safetensors", limit=100)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_a_missing_damaged_or_empty_file_is_told_of(tmp_path: Path, name: str) -> None:
    """No file, a folder, a named pipe, rubbish and no tensors are each told by the file's name."""
    path = tmp_path / name
    with pytest.raises(NotFoundError, match=f"{name} cannot be found here"):
        read_weights(path)
    path.mkdir()
    with pytest.raises(InputError, match="not a regular file"):
        read_weights(path)
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(InputError, match="not a regular file"):
        read_weights(path)
    path.unlink()
    path.write_bytes(b"\xff" * 50)
    with pytest.raises(InputError, match=name):
        read_weights(path)
    torch.save([1, 2], path) if name.endswith("pth") else save_file({}, path)
    with pytest.raises(InputError, match="hold no tensors by name"):
        read_weights(path)


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    """A training that diverged is no start; its tensor is named."""
    save_file(state() | {"3.bias": torch.tensor([1.0, float("nan")])}, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"not finite in 3\.bias"):
        read_weights(tmp_path / "w.safetensors")


@pytest.mark.parametrize("prefix", ["", "module.", "module.encoder_q.", "network."])
def test_weights_fit_under_any_prefix(prefix: str) -> None:
    """What a training script wraps around a network does not matter, nor what it keeps beside it."""
    filled = network()
    beside = {"projector.0.weight": torch.zeros(3)} if prefix else {}
    fit(filled, state(prefix) | beside, (), "w")
    assert all(bool((value == 0.5).all()) for value in filled.parameters())


def test_old_files_without_counters_fit() -> None:
    """Batch normalisation of old files has no num_batches_tracked."""
    kept = {name: value for name, value in state().items() if not name.endswith("num_batches_tracked")}
    fit(network(), kept, (), "w")


def test_a_head_that_was_removed_may_be_in_the_file() -> None:
    """Only the parts that are lacking on purpose may be left over."""
    body = network()[:3]
    fit(body, state(), ("3",), "w")
    with pytest.raises(InputError, match=r"2 unknown: 3\.weight, 3\.bias"):
        fit(body, state(), (), "w")


def test_what_does_not_fit_is_named_and_changes_nothing() -> None:
    """Missing tensors and other shapes are counted, the first are named, and the network stays as it was."""
    filled = network()
    before = {name: value.clone() for name, value in filled.state_dict().items()}
    wrong = state() | {"0.weight": torch.zeros(4, 1, 3, 3)}
    del wrong["3.bias"]
    with pytest.raises(InputError) as problem:
        fit(filled, wrong, (), "weights w.pth for torchvision:resnet18")
    assert "weights w.pth for torchvision:resnet18 do not fit: 1 missing: 3.bias" in str(problem.value)
    assert "0.weight (found (4, 1, 3, 3), expected (4, 3, 3, 3))" in str(problem.value)
    assert all(torch.equal(value, before[name]) for name, value in filled.state_dict().items())
