"""Strategies by name: ours, and those that installed packages register as entry points.

A strategy is any callable ``(state, rng) -> scored candidates``. A package offers its own in its ``pyproject.toml``::

    [project.entry-points."pal_backend.strategies"]
    densest = "my_package.asking:densest_first"

It is imported when it is first asked for by name. Only installed packages can register one: a name, wherever it comes
from, picks among these and cannot make anything else run.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any

import numpy as np

from pal_backend.core import plugged
from pal_backend.core.asking.checked import Strategy, checked
from pal_backend.core.asking.gain import gain
from pal_backend.core.asking.k_centre import k_centre
from pal_backend.core.asking.names import GROUP, known
from pal_backend.core.asking.pal_anchor import pal_anchor
from pal_backend.core.asking.pt4al import pt4al, pt4al_easiest
from pal_backend.core.asking.random_pairs import random_pairs
from pal_backend.core.asking.state import Candidates, State
from pal_backend.core.asking.uncertainty import uncertainty
from pal_backend.errors import ConfigError, PalError

SIGNATURE = "(state, rng) -> Candidates"

STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        "k-centre": k_centre,
        "pal-anchor": pal_anchor,
        "pt4al": pt4al,
        "pt4al-easiest": pt4al_easiest,
        "random": random_pairs,
        "gain": gain,
        "uncertainty": uncertainty,
    }
)
"""Ours; their names cannot be taken by a package."""


@dataclass(frozen=True)
class Description:
    """One strategy in words, from its docstring.

    ``source`` is the paper, ``package`` who registered it (empty for ours), ``problem`` why it cannot be used, if so.
    """

    name: str
    summary: str
    source: str = ""
    package: str = ""
    problem: str = ""


def strategy(which: str | Strategy) -> Strategy:
    """A strategy by name, or the given one; what it gives is checked at every call (:func:`~.checked.checked`).

    Raises:
        InputError: there is none.
        ConfigError: it is registered, but cannot be imported, or is not callable.
    """
    if isinstance(which, str):
        name, function = which, STRATEGIES[which] if which in STRATEGIES else _plugged(which)
    else:
        name, function = getattr(which, "__name__", "strategy"), which

    def ask(state: State, rng: np.random.Generator) -> Candidates:
        return checked(name, function(state, rng), state)

    return ask


def descriptions() -> list[Description]:
    """All strategies, ours first; one that cannot be loaded is listed with the reason."""
    ours = [_describe(name, function) for name, function in STRATEGIES.items()]
    theirs = sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value))
    return ours + [_describe_plugged(point) for point in theirs]


def _plugged(name: str) -> Strategy:
    """The strategy that a package registered; what goes wrong in it is told with its name."""
    point = plugged.find(GROUP, name, "strategy", known(), " (`pal strategies` tells about each)")
    function = plugged.load(point, "strategy", SIGNATURE)

    def ask(state: State, rng: np.random.Generator) -> Any:
        try:
            return function(state, rng)
        except PalError:
            raise
        except Exception as problem:
            words = f"{type(problem).__name__}: {problem}"
            raise ConfigError(
                f"strategy {name!r} of {plugged.place(point)} failed: {words}; mend it, or choose another with --strategy"
            ) from problem

    return ask


def _describe_plugged(point: EntryPoint) -> Description:
    package = point.dist.name if point.dist else ""
    if point.name in STRATEGIES:
        return Description(
            point.name, "", package=package, problem="the name is one of ours; register it under another"
        )
    try:
        _plugged(point.name)
        return _describe(point.name, plugged.load(point, "strategy", SIGNATURE), package)
    except ConfigError as problem:
        return Description(point.name, "", package=package, problem=str(problem))


def _describe(name: str, function: Any, package: str = "") -> Description:
    """Summary and source from the docstring: its first paragraph, and the one that starts with "Source:"."""
    while isinstance(function, partial):
        function = function.func
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", inspect.getdoc(function) or "")]
    source = next((part.removeprefix("Source:").strip() for part in paragraphs if part.startswith("Source:")), "")
    return Description(name, paragraphs[0], source, package)
