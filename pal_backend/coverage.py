"""A model version that covers the whole pool: version 0 before any training, and another one when samples have joined."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.vocabulary import Annotation
from pal_backend.pool_index import load_images, load_samples
from pal_backend.store.stores import Stores
from pal_backend.store.version_files import Version

GIVEN = "given"
"""Recipe of a version that no training made: PCA of the resized pixels."""


def cover_pool(stores: Stores, project: str, device: str = "auto") -> Version | None:
    """Make a version that knows every sample of the pool current; None if the current one does already.

    Before any training its features are the PCA of the resized pixels; afterwards the new samples are seen through the
    current weights, so that nothing learned is lost when a pool grows.

    Raises:
        NotFoundError: the pool was never ingested.
        ConflictError: another version was made current meanwhile; call again.
    """
    versions = stores.versions(project)
    sample_ids = tuple(sample.id for sample in load_samples(stores.artefacts, project))
    current = versions.current()
    if current is not None and versions.load_ids(current) == sample_ids:
        return None
    weights = None if current is None else versions.weights_of(current)
    described = None if current is None else versions.describe(current)
    annotations: list[Annotation] = [] if current is None else versions.answers_of(current)
    version = Version(
        id=versions.next_id(),
        sample_ids=sample_ids,
        features=_features(load_images(stores.artefacts, project), weights, device),
        recipe=GIVEN if described is None else str(described["recipe"]),
        made_from_answers=0 if described is None else int(described["made_from_answers"]),
        note="PCA of the resized pixels" if weights is None else f"{current} with the samples that joined since",
        metrics={} if described is None else dict(described["metrics"]),
    )
    versions.write(version, weights, annotations)
    versions.make_current(version.id, expected=current)
    return version


def _features(images: NDArray[np.uint8], weights: bytes | None, device: str) -> NDArray[np.float32]:
    if weights is None:
        from pal_backend.core.learning.pixels import pca_features

        return pca_features(images)
    from pal_backend.core.learning.training import embed

    return embed(weights, images, device=device)
