"""PAL's study on four circles: what asking, closure and signed edges are worth.  python -m benchmarks.circles [--json]

Points on four concentric circles, embedded by the exact solver in its kernel form after every round of ten answers: the
five largest eigenvectors of ``G - lambda K^{-1}`` with ``k(x, x') = exp(-||x - x'|| / .2)`` and lambda = 1e-3. G starts as the
identity; what is known is +1 or -1, what is not is 0. Error: share of 600 other points that a linear least-squares probe
on the embedding gets wrong, when it is fitted to the true classes of all N training points (labels are read here, and by
the annotator, alone; the rounds of PAL have a probe of their own, fitted to the samples that answers placed).

active               one known sample of each class to begin with. A round: the class that fewest samples were compared
                     with; samples not placed and not compared with it, only those predicted to be of it when there are
                     more than ten; ten at random, without replacement. Every pair among placed samples is then known,
                     and so is every pair of one of that class and one it rejected.
passive              ten random pairs a round.
passive + closure    the same pairs; what they imply is known as well.
signed, 1/0          "active" on 300 points, and the same queries with what is known to differ written as 0 instead of -1.

Source: Cabannes, Bottou, LeCun and Balestriero 2023, "Active Self-Supervised Learning", ICCV, arXiv 2303.15256; the study
is made anew from its description.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from rich.table import Table
from scipy.sparse.csgraph import connected_components
from threadpoolctl import threadpool_limits

from benchmarks.questions_tables import console
from pal_backend.core.kernel_solver import KernelSolution, KernelSolver, laplacian_kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CLASSES = 4
NOISE = 0.1
WIDTH = 0.2
RIDGE = 1e-3
DIMENSION = 5
ROUND = 10
"""b, answers a round."""
TEST = 600
MARKS = (0, 100, 200, 300, 400)


def circles(count: int, rng: np.random.Generator) -> tuple[Floats, Ints]:
    """Points around circles of radius 1 to 4, float64 (count, 2), and their classes; as many of each class, in mixed order."""
    classes = rng.permutation(np.arange(count) % CLASSES)
    angle = rng.uniform(0.0, 2.0 * np.pi, count)
    points = (classes + 1.0)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return points + NOISE * rng.standard_normal((count, 2)), classes


@dataclass(frozen=True, eq=False)
class World:
    """One draw: the solver on N training points, and what scoring needs."""

    solver: KernelSolver
    classes: Ints
    kernel: Floats
    others: Floats
    other_classes: Ints

    @classmethod
    def of(cls, count: int, rng: np.random.Generator) -> World:
        """Draw training and test points."""
        points, classes = circles(count, rng)
        others, other_classes = circles(TEST, rng)
        kernel = laplacian_kernel(points, points, WIDTH)
        solver = KernelSolver(kernel, dimension=DIMENSION, ridge=RIDGE)
        return cls(solver, classes, kernel, laplacian_kernel(others, points, WIDTH), other_classes)

    def predicted(self, found: KernelSolution, known: NDArray[np.bool_], kernel: Floats) -> Ints:
        """Classes (n,) by a least-squares probe fitted to the ``known`` training points."""
        probe, *_ = np.linalg.lstsq(found.embed(self.kernel)[known], np.eye(CLASSES)[self.classes[known]], rcond=None)
        return np.asarray((found.embed(kernel) @ probe).argmax(axis=1))

    def error(self, graph: Floats) -> float:
        """Share of the test points that the probe on everything gets wrong."""
        everything = np.ones(len(self.classes), bool)
        predicted = self.predicted(self.solver.solve(graph), everything, self.others)
        return float((predicted != self.other_classes).mean())


class Active:
    """PAL's rounds; ``graph`` is T."""

    def __init__(self, world: World, rng: np.random.Generator) -> None:
        n = len(world.classes)
        self._world, self._rng = world, rng
        self.graph = np.eye(n)
        self._placed = np.zeros(n, bool)
        self._compared = np.zeros((n, CLASSES), bool)
        first = [int(rng.choice(np.flatnonzero(world.classes == c))) for c in range(CLASSES)]
        self._placed[first] = True
        self._compared[first, range(CLASSES)] = True
        self._close()

    def ask(self) -> int:
        """One round; the number of answers, fewer than ten when fewer samples are left."""
        world = self._world
        found = world.solver.solve(self.graph)
        anchor = int(self._compared.sum(axis=0).argmin())
        left = np.flatnonzero(~self._placed & ~self._compared[:, anchor])
        if not len(left):
            self._compared[:, anchor] = True
            return 0
        likely = left[world.predicted(found, self._placed, world.kernel)[left] == anchor]
        left = likely if len(likely) > ROUND else left
        asked = self._rng.choice(left, min(ROUND, len(left)), replace=False)
        self._compared[asked, anchor] = True
        same = world.classes[asked] == anchor
        self._placed[asked[same]] = True
        self._close()
        members = np.flatnonzero(self._placed & (world.classes == anchor))
        self.graph[np.ix_(members, asked[~same])] = -1.0
        self.graph[np.ix_(asked[~same], members)] = -1.0
        return len(asked)

    def _close(self) -> None:
        placed = np.flatnonzero(self._placed)
        same = self._world.classes[placed][:, None] == self._world.classes[placed][None, :]
        self.graph[np.ix_(placed, placed)] = np.where(same, 1.0, -1.0)


class Passive:
    """Random pairs, each once; with closure, or without."""

    def __init__(self, world: World, rng: np.random.Generator, closure: bool) -> None:
        self._world, self._closure = world, closure
        pairs = np.asarray(list(itertools.combinations(range(len(world.classes)), 2)))
        self._pairs, self._at = pairs[rng.permutation(len(pairs))], 0
        self._said = np.eye(len(world.classes))

    def ask(self) -> int:
        """Ten more pairs."""
        i, j = self._pairs[self._at : self._at + ROUND].T
        self._at += len(i)
        said = np.where(self._world.classes[i] == self._world.classes[j], 1.0, -1.0)
        self._said[i, j] = self._said[j, i] = said
        return len(i)

    @property
    def graph(self) -> Floats:
        """What is known: answers, or what they imply."""
        if not self._closure:
            return self._said
        count, component = connected_components(self._said > 0.0, directed=False)
        inside = np.eye(count)[component]
        apart = (inside.T @ (self._said < 0.0) @ inside) > 0.0
        return np.asarray(inside @ (np.eye(count) - apart) @ inside.T)


def curves(world: World, asking: Active | Passive, marks: Sequence[int]) -> tuple[list[float], list[float]]:
    """Errors at each number of answers in ``marks``, of the signed graph and with 0 for -1; where nothing is left to ask,
    they stay what they were.
    """
    signed, unsigned, answers, idle = [], [], 0, 0
    for mark in marks:
        while answers < mark and idle <= CLASSES:
            more = asking.ask()
            answers, idle = answers + more, 0 if more else idle + 1
        signed.append(world.error(asking.graph))
        unsigned.append(world.error(np.maximum(asking.graph, 0.0)))
    return signed, unsigned


def study(seed: int, marks: Sequence[int] = MARKS, count: int = 150, large: int = 300) -> dict[str, list[float]]:
    """One seed: the curve of every way, on worlds of ``count`` and ``large`` training points; 0 leaves a world out."""
    found = {}
    with threadpool_limits(limits=1):  # the matrices are small
        if count:
            small = World.of(count, np.random.default_rng((seed, 0)))
            found["active"] = curves(small, Active(small, np.random.default_rng((seed, 1))), marks)[0]
            for name, closure in (("passive", False), ("passive + closure", True)):
                asking = Passive(small, np.random.default_rng((seed, 2)), closure)
                found[name] = curves(small, asking, marks)[0]
        if large:
            world = World.of(large, np.random.default_rng((seed, 3)))
            signed, unsigned = curves(world, Active(world, np.random.default_rng((seed, 4))), marks)
            found |= {f"signed, {large} points": signed, f"1/0, {large} points": unsigned}
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """All seeds, their means, and the least and largest of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=6, help="seeds 0 to this, exclusive")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(arguments)
    runs = [study(seed) for seed in track(range(options.seeds), "seeds", console=console(to_stderr=True))]
    found = {name: np.asarray([run[name] for run in runs]) for name in runs[0]}
    if options.json:
        ways = {name: {"mean": e.mean(axis=0).tolist(), "seeds": e.tolist()} for name, e in found.items()}
        print(json.dumps({"answers": MARKS, "seeds": options.seeds, "error": ways}))
        return
    table = Table("error after answers", *map(str, MARKS))
    for name, errors in found.items():
        table.add_row(name, *(f"{e.mean():.3f} ({e.min():.3f}-{e.max():.3f})" for e in errors.T))
    console().print(table)


if __name__ == "__main__":
    main()
