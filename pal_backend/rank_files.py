"""What a training and the processes that share it out write for each other: files of one folder, JSON and safetensors.

The training gives ``order.json``, ``answers.jsonl``, ``arrays.safetensors`` and, where there are any, the weights to start
from and the checkpoint to go on from; it asks for an end by the file ``stop``. The first process adds lines to
``progress.jsonl``, replaces ``checkpoint.safetensors`` and leaves ``trained.json`` with weights and features. Whoever fails
leaves a ``problem``, and torchrun's agent leaves ``ended.json``.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, from_numpy

from pal_backend.core.choice import Choice
from pal_backend.core.learning.checkpoint import CheckpointError, prior_of, prior_tensors
from pal_backend.core.learning.graph import TrainingGraph
from pal_backend.core.learning.settings import TrainingSettings
from pal_backend.core.learning.training import Trained
from pal_backend.core.recipes import recipe
from pal_backend.core.vocabulary import Annotation
from pal_backend.errors import PalError, UnavailableError
from pal_backend.store.records import dump_lines, load_lines

Floats = NDArray[np.float32]
TOLD: Mapping[str, type[Exception]] = {kind.__name__: kind for kind in [*PalError.__subclasses__(), CheckpointError]}
"""What a process may fail of that is raised again where the training was asked for."""
GRAPH_ARRAYS = ("pairs", "signed", "components", "cannot")
GRAPH_NUMBERS = ("prior_weight", "precision", "view", "answer")


@dataclass(frozen=True, eq=False)
class Order:
    """A training, as each of its processes is given it.

    Args:
        choice: recipe, backbone, weights and tuning.
        settings: how to train, with the recipe of the choice.
        seen: images, uint8 (N, S, S, C), or features made elsewhere, float32 (N, D).
        graph: to train on.
        sample_ids: of the rows.
        features: float32 (N, D), of the version it starts from; with the answers they say where neighbours that are taken
            anew can be believed.
        annotations: with all answers.
        warm_start, checkpoint: files to go on from.
        threads: of each process.
    """

    choice: Choice
    settings: TrainingSettings
    seen: NDArray[np.uint8] | Floats
    graph: TrainingGraph
    sample_ids: Sequence[str]
    features: Floats
    annotations: Sequence[Annotation]
    warm_start: bytes | None
    checkpoint: bytes | None
    threads: int


class RankFolder:
    """The folder, from either side."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0
        self._seen = (0, 0)

    # ---- the training --------------------------------------------------------------------------------------------

    def give(self, order: Order) -> None:
        """Write what the processes need."""
        numbers = {f.name: getattr(order.settings, f.name) for f in fields(TrainingSettings) if f.name != "recipe"}
        about = {
            "choice": asdict(order.choice),
            "settings": numbers,
            "graph": {name: getattr(order.graph, name) for name in GRAPH_NUMBERS},
            "samples": list(order.sample_ids),
            "threads": order.threads,
        }
        self._write("order.json", json.dumps(about).encode())
        self._write("answers.jsonl", dump_lines(order.annotations))
        arrays = {"seen": order.seen, "features": order.features}
        arrays |= {f"graph.{name}": getattr(order.graph, name) for name in GRAPH_ARRAYS}
        tensors = {name: from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
        save_file(tensors | prior_tensors(order.graph.prior), self.path / "arrays.safetensors")
        for name, data in (("warm", order.warm_start), ("resume", order.checkpoint)):
            if data is not None:
                self._write(f"{name}.safetensors", data)

    def stop(self) -> None:
        """Ask for the end of it."""
        with suppress(FileNotFoundError):  # an agent that was told to end by somebody else has cleared up
            (self.path / "stop").touch()

    def told(self) -> list[dict[str, Any]]:
        """The reports that came since the last call."""
        data = (self._bytes("progress.jsonl") or b"")[self._read :]
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        return [json.loads(line) for line in whole.splitlines()]

    def new_checkpoint(self) -> bytes | None:
        """The last checkpoint, if it came since the last call."""
        try:
            found = (self.path / "checkpoint.safetensors").stat()
        except FileNotFoundError:
            return None
        if self._seen == (found.st_ino, found.st_mtime_ns):
            return None
        self._seen = (found.st_ino, found.st_mtime_ns)
        return self._bytes("checkpoint.safetensors")

    def finished(self) -> bool:
        """Whether the training has come to its end, asked for or not."""
        return (self.path / "trained.json").exists()

    def trained(self) -> Trained:
        """What came of it."""
        about = json.loads((self.path / "trained.json").read_bytes())
        features = load_file(self.path / "trained.safetensors")["features"].numpy().copy()
        weights = (self.path / "weights.safetensors").read_bytes()
        return Trained(weights=weights, features=features, history=tuple(about.pop("history")), **about)

    def log(self) -> str:
        """The last words of all of them."""
        return (self._bytes("log") or b"").decode(errors="replace")[-4000:]

    def problem(self, processes: int) -> Exception:
        """Why it failed: what a process said about it, else which one ended how."""
        said = [json.loads(path.read_bytes()) for path in sorted(self.path.glob("problem-*"), key=_written)]
        for problem in said:
            if problem["kind"] in TOLD:
                return TOLD[problem["kind"]](problem["message"])
        ends: list[dict[str, int]] = json.loads(self._bytes("ended.json") or b"[]")
        killed = [end for end in ends if end["code"] < 0]
        how = f"failed ({said[0]['message']:.300})" if said else "ended before the training did"
        if killed:
            name = signal.Signals(-killed[0]["code"]).name
            out = "; on SIGKILL the machine may have run out of memory" if name == "SIGKILL" else ""
            how = f"was ended by {name}{out}"
        first = (killed or ends or [{"rank": -1}])[0]["rank"]
        who = "one" if first < 0 else f"number {first}"
        return UnavailableError(
            f"of the {processes} processes of the training {who} {how}; expected all of them to stay until its end; try "
            "again: it goes on from the last checkpoint"
        )

    # ---- its processes -------------------------------------------------------------------------------------------

    def order(self) -> Order:
        """What to do."""
        about = json.loads((self.path / "order.json").read_bytes())
        choice = Choice(**about["choice"])
        arrays: dict[str, Tensor] = load_file(self.path / "arrays.safetensors")
        graph: dict[str, Any] = {name: arrays[f"graph.{name}"].numpy() for name in GRAPH_ARRAYS} | about["graph"]
        return Order(
            choice=choice,
            settings=TrainingSettings(recipe=recipe(choice.recipe), **about["settings"]),
            seen=arrays["seen"].numpy(),
            graph=TrainingGraph(prior=prior_of(arrays, len(about["samples"])), **graph),
            sample_ids=about["samples"],
            features=arrays["features"].numpy(),
            annotations=load_lines((self.path / "answers.jsonl").read_bytes(), "answers.jsonl"),
            warm_start=self._bytes("warm.safetensors"),
            checkpoint=self._bytes("resume.safetensors"),
            threads=about["threads"],
        )

    def asked_to_stop(self) -> bool:
        """Whether the end was asked for."""
        return (self.path / "stop").exists()

    def tell(self, state: Mapping[str, Any]) -> None:
        """Report."""
        with (self.path / "progress.jsonl").open("a") as file:
            file.write(json.dumps(state) + "\n")

    def keep(self, checkpoint: bytes) -> None:
        """Replace the checkpoint."""
        self._write("checkpoint.safetensors", checkpoint)

    def finish(self, trained: Trained) -> None:
        """Leave what came of it."""
        about = {name: value for name, value in vars(trained).items() if name not in {"weights", "features"}}
        self._write("weights.safetensors", trained.weights)
        save_file({"features": from_numpy(np.ascontiguousarray(trained.features))}, self.path / "trained.safetensors")
        self._write("trained.json", json.dumps(about).encode())

    def fail(self, problem: Exception) -> None:
        """Leave why this process could not go on."""
        kind = type(problem).__name__
        message = str(problem) if kind in TOLD else f"{kind}: {problem}"
        self._write(f"problem-{os.getpid()}", json.dumps({"kind": kind, "message": message}).encode())

    def _write(self, name: str, data: bytes) -> None:
        """Whole or not at all, for those who read meanwhile."""
        beside = self.path / f".{name}"
        beside.write_bytes(data)
        beside.replace(self.path / name)

    def _bytes(self, name: str) -> bytes | None:
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns
