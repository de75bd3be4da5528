"""Curves of quality against answers as one SVG a set, one panel an error rate; readable on light and on dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np

from benchmarks.questions_runs import Run
from benchmarks.questions_tables import label, percent, point_at, spread

PANEL, HEIGHT, GAP = 270.0, 240.0, 26.0
LEFT, TOP, BOTTOM, RIGHT = 46.0, 62.0, 44.0, 22.0
# Middle tones: at least 3 to 1 against white and against a dark page alike.
COLOURS = ("#2f81f7", "#d1622b", "#2e9e57", "#8b7bd8", "#b5891b", "#c2528b", "#1f9aa8")
OTHER = "#848d97"
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #57606a }
.title { font-size: 13px; font-weight: 600 }
.grid { stroke: #848d97; stroke-opacity: .28; stroke-width: 1 }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round }
.band { fill-opacity: .16 }
@media (prefers-color-scheme: dark) { text { fill: #adb7c2 } }
"""


@dataclass(frozen=True)
class Frame:
    """One panel: where it begins, and which answers its logarithmic x axis runs over."""

    left: float
    first: int
    last: int

    def x(self, answers: float) -> float:
        """Pixels from the left edge of the picture."""
        share = np.log(answers / self.first) / np.log(self.last / self.first)
        return self.left + PANEL * float(share)

    @staticmethod
    def y(ari: float) -> float:
        """Pixels from the top of the picture; ARI below 0 is drawn as 0."""
        return TOP + HEIGHT * (1.0 - max(ari, 0.0))


def picture(runs: Sequence[Run], ticks: Sequence[int]) -> str:
    """An SVG of all runs, which are of one set: mean ARI of the seeds at each budget, and a band from least to most.

    Args:
        runs: of one set; error rates become panels.
        ticks: answers named on the x axis; curves begin at the first of the runs' budgets and end at the last.
    """
    data = runs[0]["data"]
    rates = sorted({run["error_rate"] for run in runs})
    names = list(dict.fromkeys(map(label, runs)))
    budgets = sorted({budget for run in runs for budget in run["budgets"]})
    width = LEFT + len(rates) * PANEL + (len(rates) - 1) * GAP + RIGHT
    height = TOP + HEIGHT + BOTTOM
    svg = ElementTree.Element(
        "svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width:g} {height:g}", width=f"{width:g}", role="img"
    )
    ElementTree.SubElement(svg, "title").text = f"What answers buy on {data}: {', '.join(names)}"
    ElementTree.SubElement(svg, "desc").text = (
        "Adjusted Rand index over all samples against the number of answers; mean of the seeds, band from the least to "
        "the most."
    )
    ElementTree.SubElement(svg, "style").text = STYLE
    _legend(svg, names)
    for number, rate in enumerate(rates):
        frame = Frame(LEFT + number * (PANEL + GAP), budgets[0], budgets[-1])
        wrong = "no wrong answers" if rate == 0 else f"{percent(rate)} wrong answers"
        _axes(svg, frame, f"{data}, {wrong}", ticks, named=number == 0)
        for name in reversed(names):  # the first named is drawn last, above the others
            some = [run for run in runs if run["error_rate"] == rate and label(run) == name]
            if some:
                _curve(svg, frame, some, budgets, _colour(names, name))
    ElementTree.indent(svg)
    return ElementTree.tostring(svg, encoding="unicode") + "\n"


def _colour(names: Sequence[str], name: str) -> str:
    at = names.index(name)
    return OTHER if name == "random" or at >= len(COLOURS) else COLOURS[at]


def _legend(svg: ElementTree.Element, names: Sequence[str]) -> None:
    x = LEFT
    for name in names:
        _line(svg, (x, 18.0), (x + 22.0, 18.0), "curve", stroke=_colour(names, name))
        _text(svg, x + 28.0, 22.0, name)
        x += 28.0 + 7.0 * len(name) + 26.0


def _axes(svg: ElementTree.Element, frame: Frame, title: str, ticks: Sequence[int], *, named: bool) -> None:
    _text(svg, frame.left, TOP - 14.0, title, kind="title")
    for value in np.linspace(0.0, 1.0, 6):
        y = frame.y(float(value))
        _line(svg, (frame.left, y), (frame.left + PANEL, y), "grid")
        if named:
            _text(svg, frame.left - 8.0, y + 4.0, f"{value:.1f}", anchor="end")
    for tick in ticks:
        if frame.first <= tick <= frame.last:
            x = frame.x(tick)
            _line(svg, (x, TOP), (x, TOP + HEIGHT), "grid")
            _text(svg, x, TOP + HEIGHT + 17.0, f"{tick:,}", anchor="middle")
    _text(svg, frame.left + PANEL / 2, TOP + HEIGHT + 36.0, "answers", anchor="middle")
    if named:
        _text(svg, frame.left - 8.0, TOP - 14.0, "ARI", anchor="end")


def _curve(svg: ElementTree.Element, frame: Frame, runs: Sequence[Run], budgets: Sequence[int], colour: str) -> None:
    points = [(budget, spread(point_at(run, budget)["ari"] for run in runs)) for budget in budgets]
    most = [(frame.x(budget), frame.y(value["most"])) for budget, value in points]
    least = [(frame.x(budget), frame.y(value["least"])) for budget, value in points]
    mean = [(frame.x(budget), frame.y(value["mean"])) for budget, value in points]
    ElementTree.SubElement(svg, "polygon", {"class": "band", "fill": colour, "points": _points(most + least[::-1])})
    ElementTree.SubElement(svg, "polyline", {"class": "curve", "stroke": colour, "points": _points(mean)})


def _points(some: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in some)


def _line(
    svg: ElementTree.Element, start: tuple[float, float], end: tuple[float, float], kind: str, **more: str
) -> None:
    ends = {"x1": start[0], "y1": start[1], "x2": end[0], "y2": end[1]}
    places = {name: f"{value:.1f}" for name, value in ends.items()}
    ElementTree.SubElement(svg, "line", {"class": kind} | places | more)


def _text(svg: ElementTree.Element, x: float, y: float, words: str, *, kind: str = "", anchor: str = "") -> None:
    more = ({"class": kind} if kind else {}) | ({"text-anchor": anchor} if anchor else {})
    ElementTree.SubElement(svg, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}"} | more).text = words
