"""Several files as one zip: the same content gives the same bytes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping


def archive(files: Mapping[str, bytes], folder: str = "") -> bytes:
    """A zip of files by name, in ``folder`` if that is given; arrays and weights hardly shrink, so they lie as they are."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        for name, data in files.items():
            entry = zipfile.ZipInfo(f"{folder}/{name}" if folder else name)  # of 1980: no clock
            entry.external_attr = 0o644 << 16
            dense = name.endswith((".npy", ".safetensors", ".pt2"))
            entry.compress_type = zipfile.ZIP_STORED if dense else zipfile.ZIP_DEFLATED
            out.writestr(entry, data)
    return buffer.getvalue()
