"""The map: what its page says, and the numbers that are drawn on it."""

from __future__ import annotations

import re

import numpy as np
import pytest

from pal_backend.core.places import Places
from pal_backend.credentials import Credentials
from pal_backend.queues import Queues
from pal_backend.store.version_files import Version
from tests.test_pages import OVERVIEW, entered
from tests.test_pages import web as web  # noqa: PLC0414  a fixture
from tests.web_side import PROJECT, SAMPLES, WebSide
from worker import bootstrap, jobs
from worker.bootstrap import Workshop

MAP = f"{OVERVIEW}/map"
ROWS = [0, 2, 5, 7, 11]
XY = np.array([[0, 0], [1, 2], [65535, 4], [300, 400], [9, 9]], np.uint16)


@pytest.fixture
def mapped(web: WebSide) -> WebSide:
    """The web side with a map of five of its twelve samples: groups of seven and five, three and two of them on it."""
    web.stores.maps(PROJECT).put("v0000", Places(np.array(ROWS, np.int32), XY, "t-SNE"), len(SAMPLES))
    return web


@pytest.mark.parametrize("place", ["", "/v0000/places", "/v0000/groups", "/v0000/samples/0"])
def test_nobody_sees_it_without_signing_in(mapped: WebSide, place: str) -> None:
    """Numbers tell of a project as pages do."""
    answer = mapped.client.get(MAP + place, follow_redirects=False)
    assert answer.status_code == 303 and not answer.content


def test_before_there_is_one_the_page_says_so(web: WebSide) -> None:
    """And who makes it."""
    assert "A worker of the queue <code>train</code> makes the map" in entered(web, "viewer").get(MAP).text


def test_the_page_says_what_is_on_it(mapped: WebSide) -> None:
    """How many of how many, by which method, and the groups as links, each with its colour."""
    page = entered(mapped, "viewer").get(MAP).text
    assert "5 of 12 samples, drawn at random, by t-SNE of the features of v0000" in page
    assert re.findall(rf'href="{OVERVIEW}/groups/(\w+)"', page) == [SAMPLES[0], SAMPLES[7]]
    assert len(set(re.findall(r'data-hue="(\d)"', page))) == 2


def test_places_are_kept_for_ever(mapped: WebSide) -> None:
    """Two little-endian numbers for each sample."""
    answer = entered(mapped, "viewer").get(f"{MAP}/v0000/places")
    assert np.array_equal(np.frombuffer(answer.content, "<u2").reshape(-1, 2), XY)
    assert "immutable" in answer.headers["cache-control"]


def test_groups_are_kept_as_long_as_their_revision(mapped: WebSide) -> None:
    """The larger group is 0, all are certain; asked for under another revision's number the answer is not kept."""
    client = entered(mapped, "viewer")
    number = mapped.stores.revisions(PROJECT).number()
    answer = client.get(f"{MAP}/v0000/groups?revision={number}")
    assert np.frombuffer(answer.content[:10], "<u2").tolist() == [0, 0, 0, 1, 1]
    assert list(answer.content[10:]) == [255] * 5
    assert "immutable" in answer.headers["cache-control"]
    assert client.get(f"{MAP}/v0000/groups?revision={number + 1}").headers["cache-control"] == "no-store"
    mapped.revision([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    assert np.frombuffer(client.get(f"{MAP}/v0000/groups").content[:10], "<u2").tolist() == [0, 0, 0, 0, 1]


def test_a_map_older_than_the_revision_finds_its_samples(mapped: WebSide) -> None:
    """The next version knows the samples in another order, and lacks one: that has no group."""
    ids = (*SAMPLES[::-1][:6], *SAMPLES[1:6], "f" * 16)
    versions = mapped.stores.versions(PROJECT)
    versions.write(Version("v0001", ids, np.zeros((12, 2), np.float32), "given", 0, "", {}), None, [])
    client = entered(mapped, "viewer")
    client.get(f"{MAP}/v0000/groups")
    mapped.revision([0] * 6 + [1] * 6, version="v0001")
    groups = np.frombuffer(client.get(f"{MAP}/v0000/groups").content[:10], "<u2").tolist()
    assert groups[0] == 65_535 and groups[1] == groups[2] != groups[3] == groups[4]


def test_a_sample_says_where_it_leads(mapped: WebSide) -> None:
    """By its place in the list; others are not there."""
    client = entered(mapped, "viewer")
    found = client.get(f"{MAP}/v0000/samples/3").json()
    assert (found["sample"], found["group"], found["probability"]) == (SAMPLES[7], SAMPLES[7], 1.0)
    assert client.get(found["href"]).status_code == 200
    for place in ("/v0000/samples/5", "/v0000/samples/-1", "/v0001/places", "/v0001/groups", "/..%2Fx/places"):
        assert client.get(MAP + place).status_code == 404, place


def test_a_worker_draws_the_map_once(web: WebSide, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for where a version lacks one, however often; the page shows it."""
    shop = Workshop(web.settings, Credentials(), web.stores, Queues(web.settings.redis_url))
    monkeypatch.setattr(bootstrap, "build", lambda: shop)
    stamp = re.findall(r'data-stamp="(\w+)"', entered(web, "viewer").get(MAP).text)
    for _ in range(2):
        jobs.look_after(shop, True)
    drawing = [job for job in shop.queues.jobs() if job.kind == "draw"]
    assert [(job.queue, job.id) for job in drawing] == [("train", f"draw-{PROJECT}-v0000")]
    assert jobs.draw(PROJECT, "v0000")["drawn"] == 12
    assert jobs.draw(PROJECT, "v0000")["drawn"] == "before"
    client = entered(web, "viewer")
    page = client.get(MAP).text
    assert "12 samples, by principal components" in page and re.findall(r'data-stamp="(\w+)"', page) != stamp
    assert len(client.get(f"{MAP}/v0000/places").content) == 48
