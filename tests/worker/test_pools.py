"""The jobs around pools: what a sitting follows, and when workers look by themselves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pal_backend.core.vocabulary import Medium
from pal_backend.credentials import Credentials
from pal_backend.pool_index import load_samples, pool_file, write_lines
from pal_backend.queues import Queues
from pal_backend.settings import Settings
from pal_backend.store.projects import Project
from pal_backend.store.stores import Stores
from tests.worker.house import NAME, House, build_house
from tests.worker.test_sitting import sit
from worker import bootstrap, jobs
from worker.bootstrap import Workshop


@pytest.fixture
def house(stores: Stores, settings: Settings) -> House:
    """A small project with real digits."""
    return build_house(stores, settings)


@pytest.fixture
def shop(house: House, settings: Settings) -> Workshop:
    """What its jobs work with."""
    return Workshop(replace(settings, idle_seconds=0), Credentials(), house.stores, Queues(settings.redis_url))


def test_questions_on_withdrawn_samples_are_closed_and_not_asked_anew(shop: Workshop, house: House) -> None:
    """As soon as a sitting sees that the pool has them no more; questions on the others stay open."""
    sit(shop)
    asked = house.questions()
    gone = {posted.question.candidates[0] for posted in asked[:6]}
    artefacts = shop.stores.artefacts
    write_lines(artefacts, pool_file(NAME, "withdrawn.jsonl"), ({"sample": sample} for sample in sorted(gone)))
    sit(shop)
    now = house.questions()
    assert len(now) == 10
    assert not gone.intersection(sample for posted in now for sample in posted.question.samples)
    kept = {posted.id for posted in asked if not gone.intersection(posted.question.samples)}
    assert kept <= {posted.id for posted in now}


def test_workers_look_into_pools_when_it_is_due(shop: Workshop) -> None:
    """Not at every round of chores."""
    jobs.look_after(shop, reconcile_too=False)
    assert "ingest" not in {job.kind for job in shop.queues.jobs()}
    jobs.look_after(shop, reconcile_too=False, pools_too=True)
    assert "ingest" in {job.kind for job in shop.queues.jobs()}


def test_a_text_pool_is_taken_in_by_the_job(
    shop: Workshop, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a manifest to version 0; run again it finds nothing new."""
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": f"the text number {n} of {n % 3}"}) + "\n" for n in range(20)))
    shop.stores.projects.save(Project("news", str(file), (), medium=Medium.TEXT))
    monkeypatch.setattr(bootstrap, "build", lambda: shop)
    monkeypatch.setattr("pal_backend.queues.report_progress", lambda state: None)
    assert jobs.ingest("news") == {"samples": 20, "new": 20, "version": "v0000"}
    assert jobs.ingest("news") == {"samples": 20, "new": 0, "version": None}
    assert len(load_samples(shop.stores.artefacts, "news")) == 20
