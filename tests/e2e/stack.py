"""The whole product around a real Label Studio: Redis, web and worker as processes of their own, each of which can be stopped alone."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from pal_backend import class_folders
from pal_backend.core.vocabulary import QuestionKind
from pal_backend.credentials import Credentials
from pal_backend.demo.annotator import Annotator
from pal_backend.demo.processes import Program, Supervisor
from pal_backend.joining import Joiner, Wanted
from pal_backend.label_studio import LabelStudio
from pal_backend.pool_index import load_samples
from pal_backend.queues import Queues
from pal_backend.reconcile import Reconciler
from pal_backend.redis_server import RedisServer
from pal_backend.settings import Settings, child_environment
from pal_backend.store.projects import Desk, Project
from pal_backend.store.stores import Stores
from tests.label_studio_server import LabelStudioServer, free_port

Found = TypeVar("Found")
SAMPLES = 240


@dataclass
class Stack:
    """A project of real digits on real processes."""

    label_studio: LabelStudioServer
    settings: Settings
    project: str
    supervisors: dict[str, Supervisor] = field(default_factory=dict)
    """One for each process, since one that is stopped on purpose must not count as lost."""

    def __post_init__(self) -> None:
        self.stores = Stores.open(self.settings)
        self.queues = Queues(self.settings.redis_url)
        self.credentials = Credentials.load_or_create(self.settings)
        self.client = LabelStudio(self.label_studio.url, self.credentials.label_studio_token)

    @property
    def pool(self) -> Path:
        """The folder of images, a class to a folder: only the annotator and the scoring look at the folders' names."""
        return self.settings.home / "pool"

    def start(self, name: str) -> None:
        """Start ``web`` or ``worker``."""
        command = {"web": ["-m", "pal_backend.cli", "serve"], "worker": ["-m", "worker"]}[name]
        environment = child_environment(self.settings, PYTHONUNBUFFERED="1", OMP_NUM_THREADS="1")
        self.supervisors[name] = Supervisor(self.settings.home / "logs")
        self.supervisors[name].start(Program(name, [sys.executable, *command], environment, 25))
        if name == "web":
            self.until(self._web_answers, "the web process answers")

    def stop(self, name: str) -> None:
        """Stop ``web`` or ``worker``."""
        self.supervisors.pop(name).stop()

    def join(self, kind: QuestionKind = QuestionKind.PAIR) -> Desk:
        """Join a desk, as `pal init` does."""
        project = self.stores.projects.find(self.project) or Project(name=self.project, pool=str(self.pool), desks=())
        wanted = Wanted("pairs" if kind is QuestionKind.PAIR else "screens", kind)
        desk = Joiner(self.stores, self.client, self.settings, self.credentials).join(project, wanted).desk
        self.queues.ingest(self.project)
        return desk

    def annotator(self, desk: Desk, client: httpx.Client) -> Annotator:
        """A simulated person with a session of Label Studio."""
        pool = load_samples(self.stores.artefacts, self.project)
        return Annotator(client, desk.project_id, self.labels(pool))

    def labels(self, pool: list) -> dict[str, Hashable]:  # type: ignore[type-arg]
        """The hidden labels."""
        return class_folders.of_samples(pool, class_folders.from_folders(p for s in pool for p in s.paths))

    def posted(self, desk: Desk) -> int:
        """Questions that stand in Label Studio and wait."""
        return sum(posted.task is not None for posted in self.stores.questions(self.project).open(desk.name))

    def folded(self) -> int:
        """Annotations in the current revision."""
        revision = self.stores.revisions(self.project).current()
        return -1 if revision is None else revision.answers

    def differences(self) -> list[object]:
        """How the graph's answers differ from Label Studio's annotations."""
        return list(Reconciler(self.stores, self.client, time.time).differences(self.stores.projects.get(self.project)))

    def until(self, condition: Callable[[], Found], what: str, seconds: float = 120) -> Found:
        """Wait for something that other processes bring about; their logs are shown if it does not come."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for supervisor in self.supervisors.values():
                supervisor.check()
            found = condition()
            if found:
                return found
            time.sleep(0.2)
        children = [child for supervisor in self.supervisors.values() for child in supervisor.children]
        logs = "\n".join(f"--- {child.program.name}\n{child.tail(40)}" for child in children)
        raise AssertionError(f"not within {seconds:.0f} s: {what}\n{logs}")

    def _web_answers(self) -> bool:
        try:
            return httpx.get(f"{self.settings.backend}/health", timeout=2).is_success
        except httpx.HTTPError:
            return False


@contextmanager
def running_stack(label_studio: LabelStudioServer, home: Path, project: str) -> Iterator[Stack]:
    """Everything started but not joined."""
    with RedisServer(home / "redis", free_port()) as redis:
        settings = Settings(
            home=home,
            redis_url=f"redis://127.0.0.1:{redis.port}/0",
            label_studio_url=label_studio.url,
            label_studio_token=label_studio.pat,
            port=free_port(),
            train_epochs=2,
            task_lock_seconds=label_studio.task_lock_seconds,
        )
        stack = Stack(label_studio, settings, project)
        try:
            write_pool(stack.pool)
            stack.start("web")
            stack.start("worker")
            yield stack
        finally:
            for name in list(stack.supervisors):
                stack.stop(name)


def write_pool(folder: Path) -> None:
    """240 of scikit-learn's digits as PNG files, in folders by class."""
    images, digits = load_digits(return_X_y=True)
    for number, (pixels, digit) in enumerate(zip(images[:SAMPLES], digits[:SAMPLES], strict=True)):
        path = folder / str(digit) / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        grey = Image.fromarray((255 - pixels.reshape(8, 8) * 255 / 16).astype(np.uint8))
        grey.resize((96, 96), Image.Resampling.BICUBIC).save(path)
