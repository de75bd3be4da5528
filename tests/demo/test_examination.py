"""The simulated annotator's work as a whole: answer, wait, train, score."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from rich.console import Console

from pal_backend.core.posterior import Posterior
from pal_backend.core.vocabulary import Annotation, AnnotationKey, QuestionKind
from pal_backend.demo import examination
from pal_backend.demo.examination import Examination
from pal_backend.demo.reporter import Reporter
from pal_backend.errors import UnavailableError
from pal_backend.queues import Queues
from pal_backend.settings import Settings
from pal_backend.store.projects import Desk, Project
from pal_backend.store.stores import Stores
from pal_backend.store.version_files import Version

IDS = ("a" * 16, "b" * 16, "c" * 16)
LABELS = dict(zip(IDS, (1, 2, 2), strict=True))


class House:
    """Label Studio, web and worker in one: each answer is learned from at once, a training comes when asked for."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.deaf = False
        self.loses = False
        self.given = 0.0
        self.lease = stores.sittings("demo").take("house", 600)

    def write_version(self, number: str, recipe: str) -> None:
        """Publish a model version."""
        version = Version(number, IDS, np.zeros((3, 2), np.float32), recipe, 0, "", {})
        self.stores.versions("demo").write(version, None, [])

    def answer_next(self) -> bool:
        """Every second time there is no question yet."""
        self.given += 0.5
        if self.given % 1:
            return False
        if self.loses:
            return True
        number = int(self.given)
        key = AnnotationKey("pairs", number)
        self.stores.answers("demo").put([Annotation(key, number, f"q{number}", "1", updated_at=1, answers=())])
        if not self.deaf:
            self.publish(number)
        return True

    def publish(self, answers: int) -> None:
        """Publish a perfect revision."""
        posterior = Posterior(
            sample_ids=IDS,
            groups=IDS[:2],
            probabilities=np.array([[0.9, 0.1], [0.1, 0.9], [0.2, 0.8]], np.float32),
            components=np.full(3, -1, np.int32),
            cannot=np.empty((0, 2), np.int32),
        )
        assert self.lease is not None
        self.stores.revisions("demo").publish(
            posterior, version="v0000", answers=answers, contradictions=[], lease=self.lease, now=1.0, latencies=[0.5]
        )


@pytest.fixture
def house(stores: Stores) -> House:
    """A project with version 0."""
    stores.projects.save(Project("demo", "/pool", (Desk("pairs", QuestionKind.PAIR, 1, 1, 1),)))
    house = House(stores)
    house.write_version("v0000", "given")
    stores.versions("demo").make_current("v0000", None)
    return house


def examine(
    house: House, settings: Settings, check: Callable[[], None] = lambda: None
) -> tuple[Examination, io.StringIO]:
    """An examination and what it says."""
    out = io.StringIO()
    reporter = Reporter(Console(file=out, width=200))
    project = house.stores.projects.get("demo")
    return Examination(project, house.stores, Queues(settings.redis_url), LABELS, reporter, check), out


def test_result_has_every_field(house: House, settings: Settings) -> None:
    """Answered, learned, a training refused: the JSON object says how well it went, and the curve was shown."""
    house.write_version("v0001", "simclr")
    house.stores.versions("demo").refuse("v0001", "no better")
    examination_, out = examine(house, settings)
    result = examination_.run(house, 51)
    assert result == {
        "answers": 51,
        "ari": 1.0,
        "nmi": 1.0,
        "accuracy": 1.0,
        "groups": 2,
        "questions_posted": 0,
        "model_versions": 2,
        "median_seconds_webhook_to_revision": 0.5,
    }
    assert "25 answers   ARI 1.000" in out.getvalue()
    assert "50 answers   ARI 1.000" in out.getvalue()
    assert "v0001 was refused: no better" in out.getvalue()


def test_a_training_is_asked_for_once(house: House, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """When none was trained by then one is queued, and the wait for it has an end."""
    monkeypatch.setattr(examination, "TRAIN_SECONDS", 0.2)
    with pytest.raises(UnavailableError, match=r"no training has ended after 0 s; see the logs"):
        examine(house, settings)[0].run(house, 1)
    assert [job.kind for job in Queues(settings.redis_url).jobs()] == ["train"]


def test_answers_that_are_not_learned_from_are_told(
    house: House, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a revision the wait ends with a sentence, not with a score of something else."""
    house.deaf = True
    monkeypatch.setattr(examination, "SETTLE_SECONDS", 0.2)
    with pytest.raises(UnavailableError, match="were not learned from"):
        examine(house, settings)[0].run(house, 1)


def test_a_lost_webhook_is_made_good(house: House, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """When an answer does not arrive a reconcile is asked for."""
    monkeypatch.setattr(examination, "RECONCILE_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(examination, "SETTLE_SECONDS", 0.2)
    house.loses = True
    with pytest.raises(UnavailableError, match="only 0 of 1 answers arrived"):
        examine(house, settings)[0].run(house, 1)
    assert [job.kind for job in Queues(settings.redis_url).jobs()] == ["reconcile"]


def test_a_dead_process_ends_it(house: House, settings: Settings) -> None:
    """While waiting for a question a process that ended is noticed."""

    def check() -> None:
        raise UnavailableError("worker ended")

    with pytest.raises(UnavailableError, match="worker ended"):
        examine(house, settings, check)[0].run(house, 1)
