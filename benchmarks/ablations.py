"""What can be switched off in our way of asking, to see what it is worth.

Each entry is a name and the ``options`` that :func:`pal_backend.simulation.simulate` is then called with.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

ABLATIONS: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
