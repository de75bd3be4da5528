"""Files of weights, read without running anything in them, and fitted to a network whatever prefix their maker gave them.

Imports torch late: naming a file must not cost seconds.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pal_backend.core.choice import WEIGHT_FILES
from pal_backend.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from torch import Tensor, nn

MAX_BYTES = 4_000_000_000
"""Larger files are not read; a ViT-L of 32 bits has 1.2 GB."""
WRAPPERS = ("state_dict", "model")
"""Fields under which training scripts put the weights beside their optimiser."""
_SHOWN = 3
_COUNTER = "num_batches_tracked"
"""Old files lack it, and nothing in use depends on it."""


def open_checked(path: Path, what: str, suffixes: Sequence[str], limit: int = MAX_BYTES) -> Path:
    """``path``, if it is a regular file of one of these kinds that is not too large.

    Raises:
        NotFoundError: there is no such file.
        InputError: it is of another kind, or too large.
    """
    if path.suffix not in suffixes:
        raise InputError(
            f"{what} {path} end in {path.suffix!r}; expected one of {', '.join(suffixes)}; convert the file, since "
            "other kinds may run code when they are opened"
        )
    try:
        found = os.stat(path)  # noqa: PTH116  both answers come from one look
    except OSError as problem:
        raise NotFoundError(
            f"{what} {path} cannot be found here ({problem.strerror}); expected the file on every machine that trains; copy it"
        ) from None
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{what} {path} are not a regular file; expected one; name the file itself")
    if found.st_size > limit:
        raise InputError(
            f"{what} {path} have {found.st_size / 1e9:.3g} GB; at most {limit / 1e9:.3g} GB are read; make the file smaller"
        )
    return path


def read_weights(path: Path, limit: int = MAX_BYTES) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` file, or of a ``.pth`` or ``.pt`` that holds nothing but tensors.

    A state dict under ``state_dict`` or ``model`` is taken out of its wrapping; what is no tensor there is left out.

    Raises:
        NotFoundError: there is no such file.
        InputError: it is of another kind, too large, damaged, or holds more than weights; nothing in it was run.
    """
    open_checked(path, "weights", WEIGHT_FILES, limit)
    found = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    broken = [name for name, value in found.items() if value.is_floating_point() and not bool(value.isfinite().all())]
    if broken:
        raise InputError(
            f"weights {path} hold numbers that are not finite in {_first(broken)}; expected finite ones; take another file"
        )
    if not found:
        raise InputError(f"weights {path} hold no tensors by name; expected a state dict; save network.state_dict()")
    return found


def fit(network: nn.Module, found: Mapping[str, Tensor], removed: Sequence[str], about: str) -> None:
    """Load tensors into a network if they fit it; otherwise change nothing.

    Their names may carry a prefix, as of the training script's own module (``module.encoder_q.conv1.weight``): the one
    under which most of the network's tensors are found counts. Without a prefix, no tensor may be left over but those of
    the parts that were removed.

    Args:
        network: to be filled.
        found: the file's tensors.
        removed: names of the parts that the network lacks on purpose, such as ``fc``.
        about: file and network, for the error.

    Raises:
        InputError: tensors are missing, of another shape, or left over; the message names the first of each.
    """
    expected = {name: value for name, value in network.state_dict().items() if not name.endswith(_COUNTER)}
    prefix = _prefix(expected, found)
    inside = {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}
    known = network.state_dict().keys()
    beside = tuple(f"{part}." for part in removed)
    left = [n for n in inside if n not in known and not n.startswith(beside) and not n.endswith(_COUNTER)]
    missing = [name for name in expected if name not in inside]
    other = [
        f"{name} (found {tuple(inside[name].shape)}, expected {tuple(value.shape)})"
        for name, value in expected.items()
        if name in inside and inside[name].shape != value.shape
    ]
    problems = [
        f"{len(names)} {words}: {_first(names)}"
        for names, words in ((missing, "missing"), (other, "of another shape"), ([] if prefix else left, "unknown"))
        if names
    ]
    if problems:
        raise InputError(
            f"{about} do not fit: {'; '.join(problems)}; expected the {len(expected)} tensors of that network; "
            "name the network that the file was made for (docs/backbones.md)"
        )
    network.load_state_dict({name: inside[name] for name in known if name in inside}, strict=False)


def _prefix(expected: Iterable[str], found: Mapping[str, Tensor]) -> str:
    """Under which prefix most names are found; the shortest of several."""
    names = list(expected)
    last = names[-1] if names else ""
    prefixes = {"", *(name.removesuffix(last) for name in found if name.endswith(f".{last}"))}
    return min(prefixes, key=lambda prefix: (-sum(prefix + name in found for name in names), len(prefix), prefix))


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as problem:
        raise InputError(
            f"weights {path} are no safetensors file ({problem!s:.200}); expected one; copy it again"
        ) from None


def _read_torch(path: Path) -> dict[str, Tensor]:
    import pickle

    import torch

    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(
            f"weights {path} hold more than tensors, which may run code when it is loaded; expected a state dict alone; "
            "save network.state_dict(), best as safetensors"
        ) from None
    except Exception as problem:  # a damaged file fails in any way
        raise InputError(
            f"weights {path} cannot be read ({type(problem).__name__}: {problem!s:.200}); expected a file of torch.save; "
            "copy it again"
        ) from None
    for wrapper in WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    if not isinstance(found, Mapping):
        found = {}
    return {name: value for name, value in found.items() if isinstance(name, str) and isinstance(value, torch.Tensor)}


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
