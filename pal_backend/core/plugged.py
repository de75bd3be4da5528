"""What installed packages offer under names: entry points, loaded when first asked for.

Only installed packages can register one: a name, wherever it comes from, picks among these and cannot make anything else
run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pal_backend.errors import ConfigError, InputError


def names(group: str) -> list[str]:
    """Names registered in a group, sorted; nothing is imported for it."""
    return sorted({point.name for point in entry_points(group=group)})


def find(group: str, name: str, what: str, known: Iterable[str], more: str = "") -> EntryPoint:
    """The one entry point of that name.

    Args:
        group: of entry points.
        name: asked for.
        what: its kind, for errors: "strategy".
        known: names to choose from instead, for errors.
        more: where a person can read about them, for errors.

    Raises:
        InputError: there is none.
        ConfigError: several packages register it.
    """
    points = list(entry_points(group=group, name=name))
    if not points:
        raise InputError(f"{what} {name!r} is not known; use one of {', '.join(known)}{more}")
    if len(points) > 1:
        places = " and ".join(sorted(map(place, points)))
        raise ConfigError(f"{what} {name!r} is registered by {places}; expected one; rename or uninstall the other")
    return points[0]


def load(point: EntryPoint, what: str, signature: str) -> Callable[..., Any]:
    """The callable that an entry point names.

    Raises:
        ConfigError: it cannot be imported, or is not callable.
    """
    about = f"{what} {point.name!r} of {place(point)}"
    try:
        loaded = point.load()
    except Exception as problem:  # a module may fail in any way while it is imported
        raise ConfigError(
            f"{about} cannot be imported: {type(problem).__name__}: {problem}; "
            "install what it needs, or mend its entry point"
        ) from problem
    if not callable(loaded):
        raise ConfigError(
            f"{about} is of type {type(loaded).__name__}; expected a callable {signature}; mend its entry point"
        )
    return loaded  # type: ignore[no-any-return]  # what an entry point loads has no type


def place(point: EntryPoint) -> str:
    """Package and address of an entry point, for a person."""
    return f"{point.dist.name if point.dist else 'an unknown package'} ({point.value})"
