"""Maps of versions: kept beside them, read by pages."""

from __future__ import annotations

import numpy as np
import pytest
from redis import Redis

from pal_backend.core.places import Places
from pal_backend.errors import InputError, NotFoundError
from pal_backend.store.stores import Stores
from pal_backend.store.version_files import Version

PLACES = Places(np.array([0, 2], np.int32), np.array([[0, 7], [65535, 9]], np.uint16), "t-SNE")


def test_a_map_comes_back_as_it_was(stores: Stores, redis: Redis) -> None:
    """The last one drawn is shown; where Redis was lost, that of the newest version."""
    versions, maps = stores.versions("birds"), stores.maps("birds")
    for name in ("v0000", "v0001", "v0002"):
        versions.write(Version(name, ("a", "b", "c"), np.zeros((3, 2), np.float32), "given", 0, "", {}), None, [])
    assert maps.shown() is None and not maps.has("v0000")
    maps.put("v0000", PLACES, 3)
    before = maps.stamp()
    maps.put("v0001", PLACES, 3)
    found, samples = maps.load("v0001")
    assert maps.shown() == "v0001" and maps.stamp() != before and samples == 3
    assert np.array_equal(found.xy, PLACES.xy) and np.array_equal(found.rows, PLACES.rows) and found.method == "t-SNE"
    redis.flushdb()
    assert maps.shown() == "v0001"
    with pytest.raises(NotFoundError, match="has no map"):
        maps.load("v0002")
    assert versions.load("v0001").sample_ids == ("a", "b", "c")


@pytest.mark.parametrize("rows", [[0, 3], [2, 0], [0, 0], [-1, 2]])
def test_a_map_that_does_not_fit_its_version_is_told(stores: Stores, rows: list[int]) -> None:
    """Rows beyond the samples, out of order, or twice."""
    maps = stores.maps("birds")
    maps.put("v0000", Places(np.array(rows, np.int32), PLACES.xy, ""), 3)
    with pytest.raises(InputError, match=r"map\.safetensors does not hold"):
        maps.load("v0000")


@pytest.mark.parametrize("version", ["../x", "v1", "", "v0000/../v0001"])
def test_an_address_leads_nowhere_else(stores: Stores, version: str) -> None:
    """Versions come from addresses of pages."""
    with pytest.raises(NotFoundError):
        stores.maps("birds").load(version)
