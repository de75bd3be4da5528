"""How soon pages come and how large they are: what is measured, and their size with many samples."""

from __future__ import annotations

import json

from starlette.testclient import TestClient

from benchmarks.pages import MOST_KB, World, measure
from pal_backend.bootstrap import build_app
from pal_backend.settings import Settings
from pal_backend.team import change_password


def test_every_page_is_measured_and_small(settings: Settings) -> None:
    """Pages are as large as what they show of it, however many samples, groups and annotations there are."""
    world = World(settings, 5000, 200, 1500, seed=0)
    world.publish()
    client = TestClient(build_app(settings))
    client.post("/login", data={"password": change_password(settings, "viewer") or ""})
    found = measure(client, world, 2)
    assert len(found) == 14 and json.loads(json.dumps(found)) == found
    for one in found[1:]:
        assert 0.05 < one["kilobytes"] <= MOST_KB, one
        assert 0.0 < one["again_ms"] <= one["again_worst_ms"] and 0.0 < one["new_ms"] <= one["new_worst_ms"]
