"""Label Studio is away: what needs it waits and tries again, everything else goes on."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from pal_backend import wire
from pal_backend.queues import Queues
from pal_backend.settings import Settings
from pal_backend.store.stores import Stores
from tests.conftest import free_port
from tests.worker.house import NAME, build_house
from tests.worker.processes import start_worker, until

pytestmark = pytest.mark.slow


def test_jobs_wait_for_label_studio_and_learning_goes_on(stores: Stores, settings: Settings, tmp_path: Path) -> None:
    """A refill that finds nobody is tried again later and says why, and so do the pages; answers that are there are learned from."""
    settings = replace(settings, label_studio_url=f"http://127.0.0.1:{free_port()}", label_studio_token="0" * 40)
    house = build_house(stores, settings, samples=120)
    queues = Queues(settings.redis_url)
    worker = start_worker(settings, tmp_path / "worker.log", ("learn", "desk"))
    try:
        queues.learn(NAME)
        until(lambda: len(house.questions()) == 10, "questions are journalled")
        refill = queues.refill(NAME)
        until(
            lambda: (
                (job := queues.job(refill)) is not None and job.state == "scheduled" and "Label Studio" in job.error
            ),
            "the refill waits, and says for whom",
        )

        queues.examine(NAME)
        until(lambda: stores.reports(NAME).last() is not None, "the doctor's report is there for the pages")
        report = stores.reports(NAME).last()
        assert report is not None
        assert {"label-studio": False, "redis": True}.items() <= {f["check"]: f["ok"] for f in report.findings}.items()

        for posted in house.questions()[:5]:
            house.send(wire.Submitted((house.submission(posted),)), at=time.time())
        until(
            lambda: (r := stores.revisions(NAME).current()) is not None and r.answers == 5,
            "the answers are learned from meanwhile",
        )
        # Questions are planned once the revision is out.
        until(lambda: len(house.questions()) == 10, "new questions wait in the journal to be posted")
    finally:
        worker.terminate()
        worker.wait(60)
