"""Maps of model versions: where samples lie on a plane. Made by a worker after a version, for people who look.

Key:
    ``pal:{p}:map`` the last version that got a map; where Redis was lost, the newest version that has one.

Artefacts, in the folder of the version: ``map.safetensors`` (``rows`` int32 (M,), ``xy`` uint16 (M, 2)), then ``map.json``
(``method``, and ``samples``, how many the version has).
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from redis import Redis

from pal_backend.core.places import Places
from pal_backend.errors import InputError, NotFoundError
from pal_backend.store.artefacts import Artefacts
from pal_backend.store.records import Record, dump
from pal_backend.store.version_files import load_arrays
from pal_backend.store.versions import VERSION_ID


class Maps:
    """The maps of one project."""

    def __init__(self, redis: Redis, artefacts: Artefacts, project: str) -> None:
        self._redis = redis
        self._artefacts = artefacts
        self._project = project
        self._key = f"pal:{project}:map"
        self._folder = f"projects/{project}/versions"

    def put(self, version: str, places: Places, samples: int) -> None:
        """Keep the map of a version, and show it from now on.

        Args:
            version: its id; it is there already.
            places: of its samples, or some of them.
            samples: how many the version has.
        """
        arrays: dict[str, NDArray[Any]] = {"rows": places.rows, "xy": np.ascontiguousarray(places.xy)}
        self._artefacts.write_file(self._path(version, "map.safetensors"), safetensors.numpy.save(arrays))
        about = dump({"method": places.method, "samples": samples})
        self._artefacts.write_file(self._path(version, "map.json"), about.encode())
        self._redis.set(self._key, version)

    def has(self, version: str) -> bool:
        """Whether a version has one."""
        return self._artefacts.exists(self._path(version, "map.json"))

    def stamp(self) -> str:
        """A text that changes when another map is shown; cheap."""
        return cast("str | None", self._redis.get(self._key)) or ""

    def shown(self) -> str | None:
        """The version whose map is shown, or None before there is any."""
        kept = self.stamp()
        if VERSION_ID.match(kept):
            return kept
        names = [name for name in self._artefacts.list(self._folder) if VERSION_ID.match(name)]
        newest = sorted(names, key=lambda name: int(name[1:]), reverse=True)
        return next((name for name in newest if self.has(name)), None)

    def load(self, version: str) -> tuple[Places, int]:
        """The map of a version, and how many samples that has.

        Raises:
            NotFoundError: it has none.
            InputError: its files are malformed; the message names the file.
        """
        try:
            about = Record(self._artefacts.read(self._path(version, "map.json")), self._path(version, "map.json"))
        except NotFoundError:
            raise NotFoundError(
                f"version {version} of {self._project} has no map; a worker of the queue `train` makes one after it"
            ) from None
        samples, path = about.whole("samples"), self._path(version, "map.safetensors")
        arrays = load_arrays(self._artefacts.read(path), path)
        rows, xy = arrays.get("rows"), arrays.get("xy")
        if rows is None or xy is None or not _fit(rows, xy, samples):
            raise InputError(
                f"{path} does not hold rows of {samples} samples, ascending, and a place for each; expected them; "
                "remove map.json beside it, and a worker makes the map anew"
            )
        return Places(rows, xy, about.text("method")), samples

    def _path(self, version: str, file: str) -> str:
        if not VERSION_ID.match(version):
            raise NotFoundError(f"there is no version {version:.20}; expected v and four digits; go back to the map")
        return f"{self._folder}/{version}/{file}"


def _fit(rows: NDArray[Any], xy: NDArray[Any], samples: int) -> bool:
    """Whether these can be a map of so many samples."""
    right = rows.dtype == np.int32 and xy.dtype == np.uint16 and rows.ndim == 1 and xy.shape == (len(rows), 2)
    return right and not (np.diff(rows, prepend=-1, append=samples) < 1).any()
