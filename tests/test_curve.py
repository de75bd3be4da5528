"""The curve of the accuracy."""

from __future__ import annotations

import re

from pal_backend.core.quality import Accuracy, Quality
from pal_backend.curve import HEIGHT, LEFT, MOST_POINTS, RIGHT, WIDTH, curve
from pal_backend.store.history import Point


def points(count: int) -> list[Point]:
    """A curve that rises; without an estimate at its start."""
    rising = [
        Point(n, n, 3, "v0000", 0.0).judged(Quality(Accuracy(1 - 9 / (n + 10), 1 - 9 / (n + 8), 1 - 8 / (n + 10), 9)))
        for n in range(40, 40 + count)
    ]
    return [Point(10, 10, 1, "v0000", 0.0), *rising]


def numbers(path: str) -> list[tuple[float, float]]:
    """The points of a path."""
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", path)]


def test_there_is_no_curve_before_there_is_an_estimate() -> None:
    """Points without one are not drawn."""
    assert curve([], None) is None
    assert curve(points(0), 10) is None


def test_the_line_lies_within_its_band_and_the_band_within_the_picture() -> None:
    """Higher is better; more annotations are further right; the last one is at the right edge."""
    found = curve(points(60), None)
    assert found is not None
    line, band = numbers(found.line), numbers(found.band)
    assert [x for x, _ in line] == sorted(x for x, _ in line) and line[-1][0] == WIDTH - RIGHT
    assert [y for _, y in line] == sorted((y for _, y in line), reverse=True)
    upper, lower = band[: len(line)], band[len(line) :][::-1]
    for (_, top), (_, middle), (_, bottom) in zip(upper, line, lower, strict=True):
        assert 0 <= top <= middle <= bottom <= HEIGHT
    assert all(LEFT <= tick.at <= WIDTH for tick in found.across)
    assert found.up[0].label == "100 %"


def test_a_long_history_makes_no_larger_page() -> None:
    """It is thinned, and its ends stay."""
    found = curve(points(1000), None)
    assert found is not None
    assert len(numbers(found.line)) == MOST_POINTS
    assert found.dots == (numbers(found.line)[-1],)


def test_the_point_where_answers_stop_paying_is_shown_while_it_is_near() -> None:
    """Ahead of the line where it is foreseen; far away it would only squeeze the curve."""
    near, far = curve(points(60), 120), curve(points(60), 10_000)
    assert near is not None and far is not None
    assert near.stops is not None and near.stops > numbers(near.line)[-1][0]
    assert far.stops is None
