"""How soon the team's pages begin to come, and how large they are, with many samples.

    python -m benchmarks.pages                                  # 100,000 samples in 100 groups, 20,000 annotations
    python -m benchmarks.pages --samples 10000 --groups 20 --json

A project is written by the stores themselves into a folder and a Redis that last as long as the run: random beliefs, a
full history, a queue of open questions, annotators. `pal serve` runs as a process of its own and is asked over loopback
by a signed-in client. "New" is the first request of a page after a new revision was published, which reads the beliefs
anew; "again" are those after it. Time is told from sending the request to the first byte of the body.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from rich.table import Table

from benchmarks.questions_tables import console
from pal_backend.core.graph import SimilarityGraph
from pal_backend.core.paying import Effort, Outlook, Person
from pal_backend.core.places import LARGEST, Places
from pal_backend.core.posterior import Posterior
from pal_backend.core.projection import MOST as ON_MAP
from pal_backend.core.quality import Accuracy, Quality, StoppingVerdict
from pal_backend.core.ties import Ties
from pal_backend.core.vocabulary import (
    Annotation,
    AnnotationKey,
    Answer,
    Pair,
    Purpose,
    Question,
    QuestionKind,
    SampleId,
    Verdict,
)
from pal_backend.pool_index import pool_file, write_lines
from pal_backend.redis_server import RedisServer
from pal_backend.settings import Settings, child_environment
from pal_backend.store.history import MOST, Point
from pal_backend.store.projects import Desk, Project
from pal_backend.store.reasons import Conflict, Doubt, Review, files_of
from pal_backend.store.stores import Stores
from pal_backend.store.version_files import Version
from pal_backend.team import change_password

PROJECT = "large"
NEIGHBOURS, CONFLICTS = 14, 500
"""Of each sample, and those that wait; a revision keeps no more."""
MOST_MS, MOST_KB = 100.0, 200.0
"""What is asked for."""
KIND = {"pairs": QuestionKind.PAIR, "screens": QuestionKind.SCREEN}


class World:
    """The project, written once; :meth:`publish` makes the next revision."""

    def __init__(self, settings: Settings, samples: int, groups: int, annotations: int, seed: int) -> None:
        self._stores = Stores.open(settings)
        self._rng = np.random.default_rng(seed)
        self._annotations = annotations
        self.ids = tuple(hashlib.sha256(str(row).encode()).hexdigest()[:16] for row in range(samples))
        self.groups = self.ids[:groups]
        self._p = self._rng.dirichlet(np.full(groups, 0.02), samples).astype(np.float32)
        desks = tuple(Desk(name, kind, number, 1, 1) for number, (name, kind) in enumerate(KIND.items(), start=1))
        self._stores.projects.save(Project(PROJECT, str(settings.home), desks))
        self._write_pool()
        self._answer()
        self._ask()
        self._reasons = self._explain()

    def publish(self) -> None:
        """A revision with a little other beliefs."""
        p = self._p.copy()
        p[self._rng.integers(len(p), size=100)] = self._p[self._rng.integers(len(p), size=100)]
        alone, cannot = np.full(len(p), -1, np.int32), np.zeros((0, 2), np.int32)
        rule = StoppingVerdict("worth", False, 0.01, 0.005, "The next hundred answers should bring 1.0 points.")
        quality = Quality(Accuracy(0.93, 0.9, 0.96, 120), 0.01, (rule,))
        sittings = self._stores.sittings(PROJECT)
        lease = sittings.take("benchmark", 60)
        assert lease is not None
        self._stores.revisions(PROJECT).publish(
            Posterior(self.ids, self.groups, p, alone, cannot, quality=quality),
            version="v0000",
            answers=self._annotations,
            contradictions=[list(self.ids[2 * k : 2 * k + 2]) for k in range(50)],
            lease=lease,
            now=time.time(),
            latencies=[0.5],
            effort=_effort(),
            more=self._reasons,
        )
        sittings.release(lease)

    def _explain(self) -> dict[str, bytes]:
        """What a sitting publishes of these answers beside its beliefs: ties, and a full review."""
        answers = [answer for annotation in self._stores.answers(PROJECT).all() for answer in annotation.answers]
        graph = SimilarityGraph.of(answers)
        pairs = [answer.pair for answer in answers[:CONFLICTS]]
        doubts = [
            Doubt(self.groups[k], 0.3, 4.0, self.ids[k : k + 200], self.ids[500:512], (pairs[k],)) for k in range(8)
        ]
        review = Review(tuple(Conflict((pair,), "People differ.") for pair in pairs), len(pairs), tuple(doubts))
        # the sample with most answers, and the way that is longest to explain
        self.sample = Counter(sample for answer in answers for sample in answer.pair).most_common(1)[0][0]
        return files_of(Ties.of(graph, {sample: row for row, sample in enumerate(self.ids)}), review)

    def _write_pool(self) -> None:
        rows = ({"id": i, "paths": [f"{i}.png"], "width": 64, "height": 64, "missing": False} for i in self.ids)
        write_lines(self._stores.artefacts, pool_file(PROJECT, "samples.jsonl"), rows)
        features = self._rng.standard_normal((len(self.ids), 16)).astype(np.float32)
        versions = self._stores.versions(PROJECT)
        versions.write(Version("v0000", self.ids, features, "given", 0, "random", {}), None, [])
        versions.make_current("v0000", None)
        shown = min(ON_MAP, len(self.ids))
        rows = np.sort(self._rng.choice(len(self.ids), shown, replace=False)).astype(np.int32)
        xy = self._rng.integers(LARGEST, size=(shown, 2), endpoint=True, dtype=np.uint16)
        self._stores.maps(PROJECT).put("v0000", Places(rows, xy, "random"), len(self.ids))
        near = self._rng.integers(len(self.ids), size=(len(self.ids), NEIGHBOURS))
        starts = np.arange(0, near.size + 1, NEIGHBOURS)
        self._stores.reasons(PROJECT).keep_neighbours("v0000", starts, near.ravel(), np.full(near.size, 0.5))

    def _answer(self) -> None:
        pairs = self._rng.integers(len(self.ids), size=(self._annotations, 2))
        # every other one about a founder: so one component holds most answered samples, the longest to look through
        pairs[::2, 1] = self._rng.integers(len(self.groups), size=len(pairs[::2]))
        self._stores.answers(PROJECT).put(
            _annotation(number, self.ids[a], self.ids[b]) for number, (a, b) in enumerate(pairs, start=1) if a != b
        )
        history = self._stores.history(PROJECT)
        for count in np.linspace(50, self._annotations, MOST - 1).astype(int).tolist():
            share = count / self._annotations
            quality = Quality(Accuracy(0.4 + 0.5 * share, 0.3 + 0.5 * share, 0.5 + 0.5 * share, 100), 0.01)
            history.note(Point(count, count, len(self.groups), "v0000", time.time()).judged(quality))

    def _ask(self) -> None:
        questions = self._stores.questions(PROJECT)
        for number in range(30):
            for desk, kind in KIND.items():
                anchor, *rest = (self.ids[row] for row in self._rng.choice(len(self.ids), 9, replace=False))
                candidates = tuple(rest[: 1 if kind is QuestionKind.PAIR else 8])
                sure = tuple(0.5 for _ in candidates)
                question = Question(kind, anchor, candidates, Purpose.PLACE, sure, 0.5, gain=1.0)
                questions.journal(question, desk, time.time())
                questions.posted(question.id, number + 1, time.time())


def _annotation(number: int, first: SampleId, second: SampleId) -> Annotation:
    key = AnnotationKey("pairs", number)
    answers = (Answer(key, Pair.of(first, second), Verdict.SAME, "1", number),)
    return Annotation(key, number, "q", "1", number, answers)


def _effort() -> Effort:
    people = tuple(Person(str(number), 1000, 0.03, {QuestionKind.PAIR: 3.1}) for number in range(1, 11))
    return Effort({kind: Outlook(4.0, timed=1000, ahead=8, gain=1.0) for kind in QuestionKind}, people)


@contextmanager
def serving(settings: Settings) -> Iterator[httpx.Client]:
    """`pal serve`, and a client that has signed in."""
    password = change_password(settings, "viewer")
    environment = child_environment(settings, OMP_NUM_THREADS="1")
    process = subprocess.Popen([sys.executable, "-m", "pal_backend.cli", "serve"], env=environment)
    try:
        with httpx.Client(base_url=settings.public, trust_env=False, timeout=60, follow_redirects=True) as client:
            while True:
                try:
                    client.get("/health")
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            client.post("/login", data={"password": password})
            yield client
    finally:
        process.terminate()
        process.wait(20)


def asked(client: httpx.Client, path: str) -> tuple[float, float]:
    """Milliseconds to the first byte of a page, and its kilobytes."""
    begun = time.perf_counter()
    with client.stream("GET", path) as response:
        chunks = response.iter_raw()
        first = next(chunks)
        ms = 1000.0 * (time.perf_counter() - begun)
        size = len(first) + sum(map(len, chunks))
        response.raise_for_status()
    return ms, size / 1000.0


def measure(client: httpx.Client, world: World, repeat: int) -> list[dict[str, Any]]:
    """Every page: new, again, and its size.

    Args:
        client: signed in.
        world: what is shown.
        repeat: requests of each page.
    """
    here, group = f"/projects/{PROJECT}", world.groups[0]
    pages = {
        "projects": "/projects",
        "overview": here,
        "groups": f"{here}/groups",
        "group, most typical": f"{here}/groups/{group}",
        "group, most doubtful": f"{here}/groups/{group}?order=doubtful",
        "group, last added": f"{here}/groups/{group}?order=joined",
        "questions": f"{here}/questions",
        "map": f"{here}/map",
        "map, its places": f"{here}/map/v0000/places",
        "map, its groups": f"{here}/map/v0000/groups",
        "map, a sample": f"{here}/map/v0000/samples/17",
        "a sample": f"{here}/samples/{world.sample}",
        "review": f"{here}/review",
    }
    first, size = asked(client, here)
    found: list[dict[str, Any]] = []
    for name, path in pages.items():
        new = []
        for _ in range(max(2, repeat // 4)):
            world.publish()
            new.append(asked(client, path)[0])
        times, sizes = zip(*(asked(client, path) for _ in range(repeat)), strict=True)
        found.append(
            {"page": name, "new_ms": statistics.median(new), "new_worst_ms": max(new)}
            | {"again_ms": statistics.median(times), "again_worst_ms": max(times), "kilobytes": max(sizes)}
        )
    return [{"page": "overview, the very first request", "new_ms": first, "kilobytes": size}, *found]


def run(samples: int, groups: int, annotations: int, repeat: int) -> list[dict[str, Any]]:
    """A world of its own, served for as long as it takes."""
    with tempfile.TemporaryDirectory() as folder, RedisServer(Path(folder, "redis"), free_port()) as redis:
        url = f"redis://127.0.0.1:{redis.port}/0"
        settings = Settings(home=Path(folder, "pal"), redis_url=url, port=free_port(), log_level="WARNING")
        world = World(settings, samples, groups, annotations, seed=0)
        world.publish()
        with serving(settings) as client:
            return measure(client, world, repeat)


def free_port() -> int:
    """A port of loopback on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--groups", type=int, default=100)
    parser.add_argument("--annotations", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    options = parser.parse_args(arguments)
    found = run(options.samples, options.groups, options.annotations, options.repeat)
    if options.json:
        print(json.dumps({"samples": options.samples, "groups": options.groups, "pages": found}))
        return
    table = Table("page", "ms new", "worst", "ms again", "worst", "kB")
    for one in found:
        figures = (one.get(name) for name in ("new_ms", "new_worst_ms", "again_ms", "again_worst_ms", "kilobytes"))
        table.add_row(one["page"], *("" if figure is None else f"{figure:.0f}" for figure in figures))
    console().print(table)


if __name__ == "__main__":
    main()
