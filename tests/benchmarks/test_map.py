"""What the benchmark of the map measures."""

from __future__ import annotations

import numpy as np

from benchmarks.map import CLUSTERS, drawn_features, made
from pal_backend.core.projection import MOST


def test_a_map_is_made_of_drawn_clusters() -> None:
    """Of all samples where there are few; its processor time is told."""
    places, seconds = made(60)
    assert len(places.rows) == 60 <= MOST and seconds > 0.0
    features = drawn_features(2000, 0)
    assert features.dtype == np.float32 and np.array_equal(features, drawn_features(2000, 0))
    gaps = np.linalg.norm(features[:1] - features, axis=1)
    assert np.mean(gaps < 15.0) < 3.0 / CLUSTERS
