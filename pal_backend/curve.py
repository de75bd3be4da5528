"""The curve of the estimated accuracy over annotations, as coordinates for an SVG. No numpy, no markup."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pal_backend.store.history import Point

WIDTH, HEIGHT = 720.0, 272.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 16.0, 14.0, 42.0
MOST_POINTS = 240
"""Points drawn: a curve is no better with more, and the page larger."""
FARTHEST = 1.6
"""The axis goes on to the point where answers stop paying, if that lies within so many times what there is."""


@dataclass(frozen=True)
class Tick:
    """A mark of an axis."""

    at: float
    label: str


@dataclass(frozen=True)
class Curve:
    """What the template draws, in units of the view box."""

    band: str
    """Closed path around the 95 % interval."""
    line: str
    """Path of the estimate."""
    dots: tuple[tuple[float, float], ...]
    """Where the line has a single point, and where it ends."""
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    stops: float | None
    """Where more answers stop paying."""
    stops_right: bool
    """Whether there is more room for words on the left of it."""
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM


def curve(points: Sequence[Point], stops: int | None) -> Curve | None:
    """The curve through the points that have an estimate; None where there are none.

    Args:
        points: by number of annotations.
        stops: annotations from which the next hundred answers are hardly worth it; None if not foreseen.
    """
    known = [(p.annotations, p.estimate, p.low, p.high) for p in points]
    drawn = [(x, e, low, high) for x, e, low, high in known if e is not None and low is not None and high is not None]
    if not drawn:
        return None
    drawn = _thinned(drawn)
    last = drawn[-1][0]
    shown = stops if stops is not None and 0 < stops <= FARTHEST * last else None
    most = float(max(last, shown or 0, 1)) * (1.04 if shown and shown >= last else 1.0)
    floor = min(math.floor(10 * min(low for _, _, low, _ in drawn)) / 10, 0.9)

    def x(annotations: float) -> float:
        return round(LEFT + annotations / most * (WIDTH - LEFT - RIGHT), 1)

    def y(share: float) -> float:
        return round(TOP + (1.0 - share) / (1.0 - floor) * (HEIGHT - TOP - BOTTOM), 1)

    upper = [(x(at), y(high)) for at, _, _, high in drawn]
    lower = [(x(at), y(low)) for at, _, low, _ in reversed(drawn)]
    middle = [(x(at), y(estimate)) for at, estimate, _, _ in drawn]
    step = _step(1.0 - floor, 5)
    return Curve(
        band=_path([*upper, *lower]) + "Z",
        line=_path(middle),
        dots=(middle[-1],),
        across=tuple(Tick(x(at), f"{at:,.0f}") for at in _marks(most, 6)),
        up=tuple(
            Tick(y(1.0 - k * step), f"{100 * (1.0 - k * step):.0f} %") for k in range(int((1.0 - floor) / step + 1.001))
        ),
        stops=None if shown is None else x(shown),
        stops_right=shown is not None and x(shown) > WIDTH / 2,
    )


def _thinned(drawn: list[tuple[int, float, float, float]]) -> list[tuple[int, float, float, float]]:
    if len(drawn) <= MOST_POINTS:
        return drawn
    step = (len(drawn) - 1) / (MOST_POINTS - 1)
    return [drawn[round(number * step)] for number in range(MOST_POINTS)]


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


def _marks(most: float, about: int) -> list[float]:
    step = max(_step(most, about), 1.0)
    return [number * step for number in range(int(most / step) + 1)]


def _step(span: float, about: int) -> float:
    """A round step that divides a span into about so many parts."""
    raw = span / about
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= raw * 0.999)
