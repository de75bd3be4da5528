"""The web side under test: the real app on a real Redis, with a project whose pool is a few tiny pictures."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from pal_backend.bootstrap import build_app, build_service
from pal_backend.core.posterior import Posterior
from pal_backend.core.quality import Quality
from pal_backend.core.vocabulary import Question, QuestionKind
from pal_backend.credentials import WEBHOOK_HEADER, Credentials
from pal_backend.pool_index import pool_file, write_lines
from pal_backend.service import Service
from pal_backend.settings import Settings
from pal_backend.store.projects import Desk, Project
from pal_backend.store.questions import PostedQuestion
from pal_backend.store.stores import Stores
from pal_backend.store.version_files import Version

PROJECT = "rec"
NOW = 1_700_000_000.0


def png(shade: int) -> bytes:
    """A 2x2 picture, another one for each shade."""
    buffer = io.BytesIO()
    Image.new("L", (2, 2), shade).save(buffer, "PNG")
    return buffer.getvalue()


def sample_id(content: bytes) -> str:
    """What a sample with this content is called."""
    return hashlib.sha256(content).hexdigest()[:16]


SAMPLES = tuple(sample_id(png(shade)) for shade in range(12))


@dataclass
class WebSide:
    """A project ``rec`` with the desks ``pairs`` (Label Studio project 2) and ``screens`` (3)."""

    settings: Settings
    stores: Stores
    pool: Path
    credentials: Credentials = field(init=False)
    app: FastAPI = field(init=False)
    service: Service = field(init=False)

    def __post_init__(self) -> None:
        self.credentials = Credentials.load_or_create(self.settings)
        self.app = build_app(self.settings)
        self.service = build_service(self.settings)
        self.save()

    def save(self, *, pairs: int = 2, prelabel: bool = True) -> Project:
        """Register the project; ``pairs`` is the Label Studio project of the desk of that name."""
        desks = (
            Desk("pairs", QuestionKind.PAIR, pairs, 1, 1, prelabel=prelabel),
            Desk("screens", QuestionKind.SCREEN, 3, 2, 2, prelabel=prelabel),
        )
        project = Project(PROJECT, str(self.pool), desks)
        self.stores.projects.save(project)
        return project

    @property
    def client(self) -> TestClient:
        """Calls the app; an error in it is answered like in a server, not raised."""
        return TestClient(self.app, raise_server_exceptions=False)

    @property
    def basic(self) -> tuple[str, str]:
        """User and password."""
        return self.credentials.basic_auth_user, self.credentials.basic_auth_password

    @property
    def secret(self) -> dict[str, str]:
        """The webhook's header."""
        return {WEBHOOK_HEADER: self.credentials.webhook_secret}

    def fill_pool(self) -> None:
        """Write the pictures and the list of them."""
        self.pool.mkdir(exist_ok=True)
        rows = []
        for shade, sample in enumerate(SAMPLES):
            (self.pool / f"{shade}.png").write_bytes(png(shade))
            rows.append({"id": sample, "paths": [f"{shade}.png"], "width": 2, "height": 2, "missing": False})
        write_lines(self.stores.artefacts, pool_file(PROJECT, "samples.jsonl"), rows)

    def version(self, name: str = "v0000") -> None:
        """Publish a model version."""
        features = np.zeros((len(SAMPLES), 2), np.float32)
        versions = self.stores.versions(PROJECT)
        versions.write(Version(name, SAMPLES, features, "given", 0, "", {}), None, [])
        versions.make_current(name, versions.current())

    def revision(self, groups: Sequence[int], quality: Quality | None = None, **more: Any) -> None:
        """Publish a posterior under which sample i is surely in group ``groups[i]``; the version comes first.

        ``more`` goes into the revision: contradictions, effort...
        """
        names = tuple(SAMPLES[list(groups).index(k)] for k in range(max(groups) + 1))
        certain = np.eye(len(names), dtype=np.float32)[list(groups)]
        alone, cannot = np.full(len(SAMPLES), -1, np.int32), np.zeros((0, 2), np.int32)
        posterior = Posterior(SAMPLES, names, certain, alone, cannot, quality=quality)
        lease = self.stores.sittings(PROJECT).take("test", 30)
        assert lease is not None
        revisions = self.stores.revisions(PROJECT)
        revisions.publish(
            posterior,
            **{"version": "v0000", "answers": 0, "contradictions": [], "latencies": [1.0], **more},
            lease=lease,
            now=NOW,
        )
        self.stores.sittings(PROJECT).release(lease)

    def post_question(self, question: Question, task: int, *, desk: str = "pairs", **more: Any) -> PostedQuestion:
        """Journal a question as if it were posted; ``more`` may hold its present score and probabilities."""
        questions = self.stores.questions(PROJECT)
        questions.journal(question, desk, NOW)
        posted = questions.posted(question.id, task, NOW)
        if more:
            scored = replace(posted, **more)
            questions.rescore({question.id: (scored.score, scored.probabilities)})
        return posted

    def stream(self) -> list[tuple[str, Any]]:
        """Desk and event of everything in the stream."""
        return [(stored.desk, stored.event) for stored in self.stores.events(PROJECT).read("0-0", 100_000)]
