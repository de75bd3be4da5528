"""How long the exact solver takes at N = 100,000, p = 512, K = 64.  python -m benchmarks.solver [--json]

Set-up once (Gram matrix, whitening, the neighbours' part of H), then for each answered screen (an anchor and eight
candidates: eight answers on nine samples) the update of the components it touches and a new W, and re-embedding all
samples apart. Beside each a bare numpy form of the same work: products of whole float32 arrays, the sums of all
components read anew, all eigenpairs. It is given the matrix of the coefficients, which ours works out from the answered
graph within its time; the graph itself is the learner's work and counted for neither. Both must give the same ZZ^T. Runs
are interleaved; times are medians. Features, neighbours and classes are drawn; about half of the 2,000 answers before the
clock starts join samples to 100 classes, the rest keep them apart.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table
from scipy import sparse
from threadpoolctl import threadpool_limits

from benchmarks.asking_speed import high_water_mb
from benchmarks.questions_tables import console
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.solver import RIDGE, Links, Solution, Solver
from pal_backend.core.vocabulary import AnnotationKey, Answer, Pair, Verdict

Floats = NDArray[np.float64]
Single = NDArray[np.float32]

CLASSES = 100
NEIGHBOURS = 10
SCREEN = 8
"""Candidates, and so answers, of a screen."""
BEFORE = 250
"""Screens answered before the clock starts."""
SHOWN = 2000
"""Samples whose ZZ^T is compared."""
STEPS = ("set-up", "update", "re-embedding")


@dataclass(frozen=True, eq=False)
class World:
    """Features float32 (N, p), neighbours float32 csr (N, N), classes int64 (N,), and a graph for every screen answered."""

    features: Single
    prior: sparse.csr_array
    graphs: list[SimilarityGraph]
    index: dict[str, int]


def drawn(samples: int, width: int, screens: int) -> World:
    """A world of ``samples`` rows with graphs after :data:`BEFORE` screens and after each of ``screens`` more."""
    rng = np.random.default_rng(0)
    classes = rng.integers(CLASSES, size=samples)
    features = rng.standard_normal((CLASSES, width), np.float32)[classes]
    features += 2.0 * rng.standard_normal((samples, width), np.float32)
    by_class = np.argsort(classes, kind="stable")
    place = np.empty(samples, np.int64)
    place[by_class] = np.arange(samples)
    steps = rng.integers(1, 50, (samples, NEIGHBOURS))
    near = by_class[(place[:, None] + steps) % samples]
    weights = np.full(near.size, 0.5 / NEIGHBOURS, np.float32)
    one_way = sparse.csr_array((weights, (np.repeat(np.arange(samples), NEIGHBOURS), near.ravel())), (samples, samples))
    names = [f"{row:016x}" for row in range(samples)]
    answers = [answer for number in range(BEFORE) for answer in screen(number, names, classes, rng)]
    graphs = [SimilarityGraph.of(answers)]
    for number in range(BEFORE, BEFORE + screens):
        answers += screen(number, names, classes, rng)
        graphs.append(SimilarityGraph.of(answers))
    index = {name: row for row, name in enumerate(names)}
    return World(features, sparse.csr_array(one_way + one_way.T), graphs, index)


def screen(number: int, names: list[str], classes: NDArray[np.int64], rng: np.random.Generator) -> list[Answer]:
    """True answers on one screen: the first sample of a class, four others of it, and four of any."""
    members = np.flatnonzero(classes == number % CLASSES)
    others = np.concatenate([rng.choice(members[1:], SCREEN // 2), rng.integers(len(names), size=SCREEN - SCREEN // 2)])
    return [
        Answer(
            AnnotationKey("screens", number),
            Pair.of(names[members[0]], names[other]),
            Verdict.SAME if classes[other] == classes[members[0]] else Verdict.DIFFERENT,
            "a",
            updated_at=number,
        )
        for other in np.setdiff1d(others, members[:1])
    ]


@dataclass(frozen=True, eq=False)
class Bare:
    """The same in bare numpy: centred features, whitening, and M without answers."""

    features: Single
    whiten: Floats
    constant: Floats
    dimension: int

    @classmethod
    def of(cls, world: World, dimension: int) -> Bare:
        """Set-up: two products of whole arrays."""
        x = world.features - world.features.mean(axis=0)
        s, v = np.linalg.eigh((x.T @ x).astype(np.float64))
        whiten = v / np.sqrt(s)
        constant = whiten.T @ (x.T @ (world.prior @ x)) @ whiten - np.diag(RIDGE / s)
        return cls(x, whiten, constant, dimension)

    def solve(self, rows: NDArray[np.int64], starts: NDArray[np.int64], c: sparse.csr_array) -> Floats:
        """W (p, K), from the rows of all components one after another, where each starts, and their coefficients."""
        sums = np.add.reduceat(self.features[rows].astype(np.float64), starts, axis=0) @ self.whiten
        values, vectors = np.linalg.eigh(self.constant + sums.T @ (c @ sums))
        top = slice(-1, -self.dimension - 1, -1)
        return np.asarray(self.whiten @ (vectors[:, top] * np.sqrt(np.maximum(values[top], 0.0))))


def coefficients(links: Links) -> tuple[NDArray[np.int64], NDArray[np.int64], sparse.csr_array]:
    """What :meth:`Bare.solve` is given."""
    at = {root: n for n, root in enumerate(links.members)}
    sizes = np.asarray([len(rows) for rows in links.members.values()])
    found = [(at[a], at[b], value) for a in links.members for b, value in links.coefficients(a)]
    first, second, values = (np.asarray(column) for column in zip(*found, strict=True))
    values = values / np.sqrt(sizes[first] * sizes[second])
    rows = np.concatenate([np.asarray(rows) for rows in links.members.values()])
    return rows, np.cumsum(sizes) - sizes, sparse.csr_array((values, (first, second)), shape=(len(at), len(at)))


def timed(times: list[float], work: Callable[..., Any], *given: Any) -> Any:
    """What ``work`` makes of what it is given; its seconds are noted."""
    begun = time.perf_counter()
    made = work(*given)
    times.append(time.perf_counter() - begun)
    return made


Times = dict[str, list[float]]


def fresh_high_water_mb() -> float:
    """Resident memory now, from which the high-water mark starts anew."""
    Path("/proc/self/clear_refs").write_text("5")
    return high_water_mb()


def set_up(world: World, dimension: int, runs: int, ours: Times, bare: Times) -> tuple[Solver, Bare, dict[str, float]]:
    """Both forms as the last of several runs made them, and the memory that each needed at most."""
    memory = {}
    for number in range(runs):
        before = fresh_high_water_mb()
        solver = timed(ours["set-up"], lambda: Solver(world.features, world.prior, dimension=dimension))
        if number == 0:
            memory = {"inputs_mb": before, "ours_mb": high_water_mb() - before}
        before = fresh_high_water_mb()
        plain = timed(bare["set-up"], Bare.of, world, dimension)
        if number == 0:
            memory["bare_mb"] = high_water_mb() - before
    return solver, plain, memory


def measure(world: World, dimension: int, set_ups: int) -> dict[str, Any]:
    """Seconds of every step of both forms, memory, and how far their ZZ^T are from each other."""
    ours: Times = {step: [] for step in STEPS}
    bare: Times = {step: [] for step in STEPS}
    solver, plain, memory = set_up(world, dimension, set_ups, ours, bare)
    links, touched, at_once = Links.of(world.graphs[0], world.index), [], []
    timed(at_once, solver.update, links)
    for graph in world.graphs[1:]:
        solution = timed(ours["update"], answered, solver, graph, world)
        links, before = Links.of(graph, world.index), links
        touched.append(len(before.changed(links)))
        weights = timed(bare["update"], plain.solve, *coefficients(links))
        z = timed(ours["re-embedding"], solution.embed, world.features)
        other = timed(bare["re-embedding"], np.matmul, plain.features, weights.astype(np.float32))
    inner, expected = z[:SHOWN] @ z[:SHOWN].T, other[:SHOWN] @ other[:SHOWN].T
    said = {"samples": len(world.features), "p": world.features.shape[1], "K": dimension}
    said |= {"components": len(links.members), "components_a_screen": statistics.median(touched)}
    said |= {"first_update_s": at_once[0], "difference": float(np.abs(inner - expected).max() / np.abs(expected).max())}
    return said | memory | {"steps": {step: figures(ours[step], bare[step]) for step in STEPS}}


def answered(solver: Solver, graph: SimilarityGraph, world: World) -> Solution:
    """One answered screen: from the graph to a new W."""
    solver.update(Links.of(graph, world.index))
    return solver.solve()


def figures(ours: list[float], bare: list[float]) -> dict[str, float]:
    """Medians in seconds, the worst of ours, and the median of the ratios run by run."""
    ratio = statistics.median(a / b for a, b in zip(ours, bare, strict=True))
    return {
        "ours_s": statistics.median(ours),
        "worst_s": max(ours),
        "bare_s": statistics.median(bare),
        "ratio": ratio,
        "runs": len(ours),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=512, help="p, columns of the features")
    parser.add_argument("--dimension", type=int, default=64, help="K, columns of the embedding")
    parser.add_argument("--screens", type=int, default=11)
    parser.add_argument("--set-ups", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(arguments)
    terminal = console(to_stderr=True)
    with threadpool_limits(limits=options.threads), terminal.status("drawing and measuring"):
        world = drawn(options.samples, options.width, options.screens)
        found = {"threads": options.threads} | measure(world, options.dimension, options.set_ups)
    if options.json:
        print(json.dumps(found))
        return
    table = Table("seconds", "ours", "worst", "bare numpy", "ratio, run by run", "runs")
    for step, one in found["steps"].items():
        table.add_row(
            step, *(f"{one[name]:.3f}" for name in ("ours_s", "worst_s", "bare_s", "ratio")), str(one["runs"])
        )
    console().print(table)
    for name, value in found.items():
        if name != "steps":
            console().print(f"{name:20} {value:,.6g}")


if __name__ == "__main__":
    main()
