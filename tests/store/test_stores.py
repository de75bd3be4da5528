"""The stores as a whole."""

from __future__ import annotations

import subprocess
import sys

from redis import Redis

from pal_backend.settings import Settings
from pal_backend.store.stores import Stores


def test_opening_reads_and_writes_nothing(settings: Settings, redis: Redis) -> None:
    """Redis stays empty and no folder is made, also when every store is asked for and read."""
    stores = Stores.open(settings)
    stores.ping()
    assert stores.projects.names() == [] and stores.projects.pending() == []
    assert (
        stores.events("p").cursor() == "0-0"
        and not stores.events("p").pending()
        and stores.events("p").read("0-0", 1) == []
    )
    assert (
        stores.answers("p").all() == [] and stores.answers("p").held() is None and stores.answers("p").withdrawn() == []
    )
    assert stores.questions("p").all() == [] and stores.questions("p").open() == []
    assert stores.questions("p").by_task("d", 1) is None
    assert stores.sittings("p").holder() is None
    assert stores.withheld("p").all() == {}
    assert (
        stores.versions("p").current() is None
        and stores.versions("p").list() == []
        and stores.versions("p").next_id() == "v0000"
    )
    assert stores.revisions("p").current() is None and stores.revisions("p").posterior() is None
    assert redis.dbsize() == 0
    assert not settings.home.exists()


def test_revisions_are_one_object_a_project(stores: Stores) -> None:
    """So that the posterior in memory serves every request."""
    assert stores.revisions("a") is stores.revisions("a")
    assert stores.revisions("a") is not stores.revisions("b")


def test_the_web_side_of_storage_imports_nothing_heavy() -> None:
    """Stores and queues can be imported in an empty environment without Redis, and bring in no torch, scipy or sklearn."""
    code = (
        "import sys, pal_backend.store.stores, pal_backend.queues\n"
        "heavy = {'torch', 'scipy', 'sklearn', 'label_studio_sdk'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env={})
