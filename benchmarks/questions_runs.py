"""Runs of one way of asking on one set with one seed, many at once in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.ablations import ABLATIONS
from benchmarks.data import Dataset, Labels
from benchmarks.peers.minmax import MinMax
from benchmarks.peers.peer import Peer
from benchmarks.peers.random_pairs import RandomPairs
from benchmarks.peers.repspread import RepSpread
from pal_backend.core import evaluation
from pal_backend.simulation import REACH, REACH_STEP, Point, simulate

OURS = "ours"
PEERS = ("repspread", "minmax", "random")
POLL = 0.2
"""Seconds between two looks at how far the runs are."""

Run = dict[str, Any]
"""One finished run, as it stands in the JSON: what was run (:meth:`Job.key`), curve, reach and times."""


@dataclass(frozen=True)
class Job:
    """One run. ``strategy`` is "ours", "ours:NAME" for a strategy of ours by name, or a peer.

    ``without`` names an ingredient of ours that is switched off. Peers always ask pairs, one at a time.
    """

    data: str
    error_rate: float
    strategy: str
    seed: int
    answers: int
    budgets: tuple[int, ...]
    questions: str = "pairs"
    candidates: int = 8
    open_questions: int = 1
    without: str = ""

    def key(self) -> Run:
        """What tells this run from others."""
        key = asdict(self) | {"budgets": list(self.budgets)}
        return key | ({} if self.ours else {"questions": "pairs", "candidates": 1, "open_questions": 1})

    @property
    def ours(self) -> bool:
        """Whether the project's own code asks."""
        return self.strategy.partition(":")[0] == OURS


def run_job(job: Job, data: Dataset, progress: Callable[[int, int], None] | None = None) -> Run:
    """Run one job in this process, on one thread."""
    with threadpool_limits(limits=1):
        result = _run_ours(job, data, progress) if job.ours else _run_peer(job, data, progress)
    return job.key() | result


def _run_ours(job: Job, data: Dataset, progress: Callable[[int, int], None] | None) -> dict[str, Any]:
    more: dict[str, Any] = dict(ABLATIONS[job.without]) if job.without else {}
    _, named, strategy = job.strategy.partition(":")
    if named:
        more["strategy"] = strategy
    result = simulate(
        data.features,
        data.labels,
        answers=job.answers,
        error_rate=job.error_rate,
        questions=job.questions,
        candidates=job.candidates,
        seed=job.seed,
        budgets=job.budgets,
        open_questions=job.open_questions,
        progress=progress,
        **more,
    )
    found = result.to_json()
    return {name: found[name] for name in ("curve", "reach", "ms_per_question", "seconds")}


def _peer(name: str, data: Dataset, rng: np.random.Generator) -> Peer:
    if name == "repspread":
        return RepSpread(data.features, rng)
    if name == "minmax":
        return MinMax(data.features, rng)
    return RandomPairs(data.features, rng, len(np.unique(data.labels)))


def _run_peer(job: Job, data: Dataset, progress: Callable[[int, int], None] | None) -> dict[str, Any]:
    """The same annotator, the same scoring and the same looks as :func:`~pal_backend.simulation.simulate`."""
    started, busy = time.perf_counter(), 0.0
    annotator = np.random.default_rng((job.seed, 1))
    peer = _peer(job.strategy, data, np.random.default_rng((job.seed, 2)))
    seen = np.zeros(len(data.labels), bool)
    due = {*job.budgets, job.answers}
    curve: list[Point] = []
    reach: dict[str, int | None] = {str(value): None for value in REACH}
    count = 0
    while count < job.answers:
        begun = time.perf_counter()
        pair = peer.ask()
        if pair is None:
            break
        truth = bool(data.labels[pair[0]] == data.labels[pair[1]])
        peer.tell(truth != bool(annotator.random() < job.error_rate))
        busy += time.perf_counter() - begun
        seen[list(pair)] = True
        count += 1
        if count in due or count % REACH_STEP == 0:
            groups = peer.groups()
            curve += [_point(data, groups, seen, count)] if count in due else []
            quality = evaluation.ari(data.labels, groups)
            for value in REACH:
                if reach[str(value)] is None and quality >= value:
                    reach[str(value)] = count
        if progress is not None:
            progress(count, job.answers)
    if not curve or curve[-1].answers != count:
        curve.append(_point(data, peer.groups(), seen, count))
    spent = {"ms_per_question": 1000.0 * busy / max(count, 1), "seconds": time.perf_counter() - started}
    return {"curve": [asdict(point) for point in curve], "reach": reach} | spent


def _point(data: Dataset, groups: Labels, seen: NDArray[np.bool_], count: int) -> Point:
    return Point(
        answers=count,
        screens=count,
        ari=evaluation.ari(data.labels, groups),
        ari_unseen=evaluation.ari_unseen(data.labels, groups, seen),
        nmi=evaluation.nmi(data.labels, groups),
        accuracy=evaluation.majority_accuracy(data.labels, groups),
        groups=len(np.unique(groups)),
    )


def run_all(
    jobs: Sequence[Job],
    sets: Mapping[str, Dataset],
    *,
    workers: int,
    progress: Callable[[int, str], None],
    finished: Callable[[Run], None],
) -> None:
    """Run all jobs, the long ones first; ``progress`` gets answers newly given and a job's words, now and then.

    Raises:
        PalError: a run failed; the others are then not begun.
    """
    ordered = sorted(jobs, key=lambda job: (-len(sets[job.data].labels) * job.answers, not job.ours))
    if workers == 1:
        for job in ordered:
            finished(run_job(job, sets[job.data], _every(job, progress)))
        return
    context = multiprocessing.get_context("spawn")  # threads of numerical libraries do not survive a fork
    with context.Manager() as manager, ProcessPoolExecutor(workers, mp_context=context) as pool:
        told = manager.Queue()
        waiting: set[Future[Run]] = {pool.submit(_in_worker, job, sets[job.data], told) for job in ordered}
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=POLL, return_when=FIRST_COMPLETED)
                while not told.empty():
                    progress(*told.get())
                for future in done:
                    finished(future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _in_worker(job: Job, data: Dataset, told: Any) -> Run:
    return run_job(job, data, _every(job, lambda more, words: told.put((more, words))))


def _every(job: Job, progress: Callable[[int, str], None]) -> Callable[[int, int], None]:
    """Passes on every fiftieth part of a job's answers, and what is missing at its end by the job's own count."""
    state = {"told": 0}
    words = f"{job.data}, {100 * job.error_rate:g} % wrong, {job.strategy}, seed {job.seed}"

    def tell(done: int, of: int) -> None:
        if done >= of or done - state["told"] >= max(1, of // 50):
            progress(min(done, of) - state["told"], words)
            state["told"] = min(done, of)

    return tell


def cores() -> int:
    """Processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def matching(runs: Iterable[Run], job: Job) -> Run | None:
    """A run made before under exactly the same settings."""
    key = job.key()
    return next((run for run in runs if all(run.get(name) == value for name, value in key.items())), None)
