"""`pal sync`: what Redis lost comes back from Label Studio and from the artefact folder."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from redis import Redis

from pal_backend.core.vocabulary import Annotation, AnnotationKey, QuestionKind
from pal_backend.errors import NotFoundError
from pal_backend.queues import Queues
from pal_backend.reconcile import Decision, Reconciler, Report
from pal_backend.recovery import restore, sync
from pal_backend.settings import Settings
from pal_backend.store.projects import Desk, Project
from pal_backend.store.stores import Stores
from pal_backend.store.version_files import Version


def annotation(desk: str, number: int) -> Annotation:
    """An annotation without answers."""
    return Annotation(AnnotationKey(desk, number), task=number, question="q", annotator="1", updated_at=1, answers=())


@pytest.fixture
def project(stores: Stores) -> Project:
    """A project with a retired desk and a live one, and a version made from answers on both."""
    desks = (
        Desk("pairs", QuestionKind.PAIR, 1, 1, 1, retired=True),
        Desk("pairs-2", QuestionKind.PAIR, 1, 1, 1),
    )
    project = Project("demo", "/pool", desks)
    stores.projects.save(project)
    features = np.zeros((1, 2), np.float32)
    version = Version("v0000", ("a" * 16,), features, "given", made_from_answers=2, note="", metrics={})
    versions = stores.versions("demo")
    versions.write(version, None, [annotation("pairs", 1), annotation("pairs-2", 1)])
    versions.make_current("v0000", None)
    return project


@dataclass
class Comparison:
    """A reconciler that notes what it was asked."""

    asked: list[tuple[Project, Decision]]
    heard: int = 0

    def clock(self) -> float:
        """Some time."""
        return 1.0

    def hear_setups(self, project: Project) -> None:
        """Note that it was asked."""
        self.heard += 1

    def reconcile(self, project: Project, decision: Decision = Decision.WAIT) -> Report:
        """Note the question."""
        self.asked.append((project, decision))
        return Report(read=7)


def test_answers_of_retired_desks_come_back(stores: Stores, redis: Redis, project: Project) -> None:
    """Redis is lost: a retired desk's answers stand in the version's folder, a live desk's come from Label Studio."""
    redis.flushdb()
    assert restore("demo", stores) == 1
    assert list(stores.answers("demo").keys()) == [AnnotationKey("pairs", 1)]
    assert redis.smembers("pal:projects") == {"demo"}


def test_restoring_twice_changes_nothing(stores: Stores, project: Project) -> None:
    """Nothing is doubled, and what was withdrawn stays so."""
    assert restore("demo", stores) == 1
    assert restore("demo", stores) == 0
    stores.answers("demo").withdraw([AnnotationKey("pairs", 1)])
    assert restore("demo", stores) == 0
    assert stores.answers("demo").count() == 0


def test_sync_compares_and_wakes_the_workers(stores: Stores, settings: Settings, project: Project) -> None:
    """The decision is passed on, extra parameters are heard again, and ingest, learn and refill are asked for."""
    queues, comparison = Queues(settings.redis_url), Comparison([])
    done = sync("demo", stores, comparison, queues, Decision.KEEP)
    assert comparison.asked == [(project, Decision.KEEP)]
    assert comparison.heard == 1
    assert (done.restored, done.to_json()["read"]) == (1, 7)
    assert {job.kind for job in queues.jobs()} == {"ingest", "learn", "refill"}


def test_label_studio_is_made_to_say_again_what_desks_ask_for(stores: Stores, project: Project) -> None:
    """The ML backends of live desks are listed, before which Label Studio calls their /setup."""

    class Listed:
        projects: ClassVar[list[int]] = []

        def backends(self, number: int) -> list[object]:
            self.projects.append(number)
            return []

    Reconciler(stores, Listed(), lambda: 0.0).hear_setups(project)
    assert Listed.projects == [1]


def test_an_unknown_project_cannot_be_synced(stores: Stores) -> None:
    """Neither Redis nor the artefact folder knows it."""
    with pytest.raises(NotFoundError, match="no project demo"):
        restore("demo", stores)
