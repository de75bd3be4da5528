"""Workers are killed without mercy; no answer is lost and none counts twice."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from pal_backend import wire
from pal_backend.core.vocabulary import Pair, Purpose, Question, QuestionKind
from pal_backend.demo.descendants import descendants
from pal_backend.queues import Queues
from pal_backend.settings import Settings
from pal_backend.store.questions import PostedQuestion, State
from pal_backend.store.stores import Stores
from tests.worker.house import NAME, House, build_house
from tests.worker.processes import kill_all, start_worker, until

pytestmark = pytest.mark.slow

EVENTS = 60


@pytest.fixture
def house(stores: Stores, settings: Settings) -> House:
    return build_house(stores, settings, samples=120)


def ask(house: House, first: str, second: str) -> PostedQuestion:
    """A question about any pair, as if it had been posted."""
    pair = Pair.of(first, second)
    question = Question(QuestionKind.PAIR, pair.first, (pair.second,), Purpose.PLACE, (0.5,))
    return PostedQuestion(question, "pairs", State.OPEN, task=None, created_at=0.0)


def test_no_answer_is_lost_when_workers_are_killed(house: House, settings: Settings, tmp_path: Path) -> None:
    """Sixty answers, the whole worker killed twice meanwhile: sixty annotations, each once, and a revision of all."""
    ids = sorted(house.labels)
    posted = [ask(house, ids[n], ids[n + 1]) for n in range(EVENTS)]
    answers, queues = house.stores.answers(NAME), Queues(settings.redis_url)
    for number, question in enumerate(posted):
        house.send(wire.Submitted((house.submission(question, number=number + 1),)), at=time.time())
    worker = start_worker(settings, tmp_path / "worker.log")
    try:
        queues.learn(NAME)
        for threshold in (0, EVENTS - 1):
            until(lambda least=threshold: answers.count() >= least, "the worker has begun")  # type: ignore[misc]
            until(lambda: house.stores.sittings(NAME).holder() is not None, "a sitting is held")
            kill_all(worker)
            worker = start_worker(settings, tmp_path / "worker.log")

        until(lambda: answers.count() == EVENTS, "all answers are folded in")
        until(
            lambda: (r := house.stores.revisions(NAME).current()) is not None and r.answers == EVENTS,
            "a revision holds them all",
        )
    finally:
        os.kill(worker.pid, signal.SIGTERM)
        worker.wait(60)
    assert {a.question for a in answers.all()} == {question.id for question in posted}


def test_a_worker_ends_soon_when_asked(house: House, settings: Settings, tmp_path: Path) -> None:
    """SIGTERM in the middle of a sitting ends worker and work-horse within seconds, children included."""
    worker = start_worker(settings, tmp_path / "worker.log")
    Queues(settings.redis_url).learn(NAME)
    until(lambda: house.stores.sittings(NAME).holder() is not None, "a sitting is held")
    family = descendants(worker.pid)

    worker.terminate()
    worker.wait(20)

    assert house.stores.sittings(NAME).holder() is None
    assert not [process for process in family if Path(f"/proc/{process.pid}").exists()]
