"""The losses on a graph beside lightly's, on the same tensors: forward and backward, peak memory, and a whole step.

    python -m benchmarks.losses [--json] [--threads 1] [--skip-step]

B samples with two views each are 2B rows of dimension 128. lightly gets the two halves of the tensor; ours gets the
tensor and, as its graph, the 2B entries that join the two views of each sample; preparing these entries counts as our
time. A run is forward and backward down to the embeddings. Runs of all losses alternate, in a new order every
time, so that none always follows the same one; a ratio is taken within a round, and its median and quartiles over all rounds are shown. Times are processor time
of the process, so that others on the machine count less. Memory is that of a process of its own, which makes one run after a small one:
the highest resident size above that before the run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn

from pal_backend.core.learning.losses.barlow import barlow
from pal_backend.core.learning.losses.simclr import simclr
from pal_backend.core.learning.losses.spectral import scl, vicreg2
from pal_backend.core.learning.losses.vicreg import vicreg

DIMENSION = 128
TEMPERATURE = 0.2
ROUNDS = {256: 61, 1024: 21, 4096: 7}
"""Rounds of each number of samples."""
STEP_BATCH = 256
STEP_ROUNDS = 7
PEERS = {"simclr": "NT-Xent", "vicreg": "VICReg", "vicreg2": "VICReg", "scl": "VICReg", "barlow": "Barlow Twins"}
"""Each of our losses, and the one of lightly's it stands beside."""
NAMES = (*dict.fromkeys(PEERS.values()), *PEERS)

Loss = Callable[[Tensor], Tensor]
Run = Callable[[], None]


def ours(name: str) -> Loss:
    """A loss of ours as a function of the rows of both views, (2B, K), first views before second ones."""
    found: dict[str, Loss] = {
        "simclr": lambda Z: simclr(Z, *view_entries(Z), temperature=TEMPERATURE),
        "vicreg": lambda Z: vicreg(Z, *view_entries(Z)).loss,
        "vicreg2": lambda Z: vicreg2(Z, *view_entries(Z)).loss,
        "scl": lambda Z: scl(Z, *view_entries(Z)).loss,
        "barlow": lambda Z: barlow(Z, *view_entries(Z)).loss,
    }
    return found[name]


def theirs(name: str) -> Loss:
    """A loss of lightly's, likewise; imported here since the import takes seconds."""
    from lightly.loss import BarlowTwinsLoss, NTXentLoss, VICRegLoss

    loss = {"NT-Xent": NTXentLoss(TEMPERATURE), "VICReg": VICRegLoss(), "Barlow Twins": BarlowTwinsLoss()}[name]
    return lambda Z: loss(*Z.chunk(2))


def loss_named(name: str) -> Loss:
    """Ours or theirs."""
    return ours(name) if name in PEERS else theirs(name)


def view_entries(Z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The graph that joins each row to the other view of its sample."""
    i = torch.arange(len(Z))
    return i, (i + len(Z) // 2) % len(Z), torch.ones(len(Z))


def run_of(loss: Loss, samples: int) -> Run:
    """Forward and backward on embeddings that are the same for every loss."""
    Z = torch.randn(2 * samples, DIMENSION, generator=torch.Generator().manual_seed(0)).requires_grad_()

    def run() -> None:
        Z.grad = None
        loss(Z).backward()  # type: ignore[no-untyped-call]

    return run


def step_of(loss: Loss) -> Run:
    """A step of SGD of ResNet-18 with SimCLR's head on both views of a batch of images, 32 x 32."""
    from torchvision.models import resnet18

    torch.manual_seed(0)  # torchvision draws its weights from the global generator
    network = resnet18()
    network.fc = nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, DIMENSION))
    images = torch.randn(2 * STEP_BATCH, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        loss(network(images)).backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    return step


def alternate(runs: Mapping[str, Run], rounds: int, about: str) -> dict[str, np.ndarray]:
    """Seconds of processor time of each run in each round; one round before is not counted."""
    spent: dict[str, list[float]] = {name: [] for name in runs}
    order = np.random.default_rng(0)
    for run in runs.values():
        run()
    for _ in track(range(rounds), about, console=Console(stderr=True), transient=True):
        for name in order.permutation(list(runs)).tolist():
            started = time.process_time()
            runs[name]()
            spent[name].append(time.process_time() - started)
    return {name: np.array(seconds) for name, seconds in spent.items()}


def compare(spent: Mapping[str, np.ndarray], peers: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Median milliseconds of each run; of ours also the ratio to its peer: median and quartiles over the rounds."""
    found = {name: {"ms": 1000 * float(np.median(seconds))} for name, seconds in spent.items()}
    for ours, peer in peers.items():
        low, middle, high = np.quantile(spent[ours] / spent[peer], [0.25, 0.5, 0.75])
        found[ours] |= {"ratio": float(middle), "ratio_low": float(low), "ratio_high": float(high)}
    return found


def peak_mb(name: str, samples: int, threads: int) -> float:
    """Megabytes that one run of a loss adds, measured in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.losses", "--memory", name, str(samples), "--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    return float(done.stdout)


def own_peak_mb(name: str, samples: int) -> float:
    """Megabytes that one run adds to this process, above what it holds with the embeddings and after a small run."""
    loss = loss_named(name)
    run_of(loss, 8)()
    run = run_of(loss, samples)
    Path("/proc/self/clear_refs").write_text("5")  # the highest so far is forgotten
    before = resident_mb("VmRSS")
    run()
    return resident_mb("VmHWM") - before


def resident_mb(field: str) -> float:
    """VmRSS, or the highest so far, VmHWM."""
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith(field)).split()[1]) / 1024


def measure(sizes: Sequence[int], rounds: Mapping[int, int], step_rounds: int, threads: int) -> dict[str, Any]:
    """All that the table shows; without the whole step if it has no rounds."""
    chosen = {name: loss_named(name) for name in NAMES}
    found: dict[str, Any] = {"dimension": DIMENSION, "threads": threads, "torch": torch.__version__, "sizes": {}}
    for samples in sizes:
        runs = {name: run_of(loss, samples) for name, loss in chosen.items()}
        figures = compare(alternate(runs, rounds[samples], f"{samples} samples"), PEERS)
        for name in track(figures, "memory", console=Console(stderr=True), transient=True):
            figures[name]["peak_mb"] = peak_mb(name, samples, threads)
        found["sizes"][str(samples)] = {"rounds": rounds[samples], "losses": figures}
    if step_rounds:
        runs = {name: step_of(chosen[name]) for name in ("NT-Xent", "simclr")}
        figures = compare(alternate(runs, step_rounds, "steps of ResNet-18"), {"simclr": "NT-Xent"})
        found["step"] = {"batch": STEP_BATCH, "rounds": step_rounds, "losses": figures}
    return found


def table(found: Mapping[str, Any]) -> Table:
    """A row for each loss and size."""
    shown = Table("", "ms", "beside", "ratio", "quartiles", "peak MB")
    parts = [*found["sizes"].items(), *([("step", found["step"])] if "step" in found else [])]
    for size, part in parts:
        for name, figures in part["losses"].items():
            ratio = [f"{figures[key]:.3f}" if key in figures else "" for key in ("ratio", "ratio_low", "ratio_high")]
            memory = f"{figures['peak_mb']:.0f}" if "peak_mb" in figures else ""
            peer = PEERS.get(name, "")
            quartiles = "–".join(ratio[1:]) if ratio[1] else ""
            shown.add_row(f"{size}: {name}", f"{figures['ms']:.2f}", peer, ratio[0], quartiles, memory)
    return shown


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(ROUNDS), choices=list(ROUNDS), help="samples")
    parser.add_argument("--skip-step", action="store_true", help="without the step of ResNet-18")
    parser.add_argument("--memory", nargs=2, metavar=("LOSS", "SAMPLES"), help="only the megabytes of one run")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    if chosen.memory:
        print(own_peak_mb(chosen.memory[0], int(chosen.memory[1])))
        return
    found = measure(chosen.sizes, ROUNDS, 0 if chosen.skip_step else STEP_ROUNDS, chosen.threads)
    if chosen.json:
        print(json.dumps(found))
    else:
        Console().print(table(found))


if __name__ == "__main__":
    main()
