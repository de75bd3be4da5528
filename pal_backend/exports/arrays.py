"""Embeddings: the features of every sample as an array, with the ids of its rows."""

from __future__ import annotations

import io
import json

import numpy as np

from pal_backend.errors import NotFoundError
from pal_backend.exports.archive import archive
from pal_backend.exports.snapshot import Made, Snapshot


def as_embeddings(snapshot: Snapshot) -> Made:
    """A zip of ``features.npy`` (float32 (N, D)), ``ids.txt`` (a sample a line, row by row) and ``about.json``.

    ``numpy.load`` reads the zip itself, as an npz.

    Raises:
        NotFoundError: there is no model version yet.
    """
    if snapshot.version is None:
        raise NotFoundError(f"project {snapshot.project.name} has no model version yet; taking in the pool makes one")
    version = snapshot.stores.versions(snapshot.project.name).load(snapshot.version)
    buffer = io.BytesIO()
    np.save(buffer, version.features, allow_pickle=False)
    about = {
        "project": snapshot.project.name,
        "version": version.id,
        "recipe": version.recipe,
        "note": version.note,
        "made_from_answers": version.made_from_answers,
        "shape": list(version.features.shape),
    }
    files = {
        "features.npy": buffer.getvalue(),
        "ids.txt": "".join(f"{sample}\n" for sample in version.sample_ids).encode(),
        "about.json": json.dumps(about, indent=1).encode(),
    }
    n, d = version.features.shape
    return Made(archive(files), f"{n:,} rows of {d:,} numbers")
