"""What questions cost a person: seconds for each kind of question, as Label Studio measures them.

Label Studio's ``lead_time`` runs from the moment a question is shown until it is submitted, and goes on while a browser
tab is left open; an update adds its own time. So every figure here is a median of logarithms without idle outliers:

    ``x = ln(seconds / typical_seconds(kind, candidates))``

Where few answers are timed the stated prior holds, and gives way as they come (:func:`measure`). The time that Label
Studio takes to fetch the next question is not in ``lead_time`` and is not counted. numpy only, no clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pal_backend.core.vocabulary import AnnotationKey, QuestionKind

Floats = NDArray[np.float64]

TYPICAL_PAIR = 4.0
"""Seconds that a pair is assumed to take before anybody was timed."""
TYPICAL_CANDIDATE = 1.0
"""Seconds that each candidate of a screen is assumed to add: a screen of 8 takes 12."""
MOST_SECONDS = 600.0
"""Nobody works at one question for longer: beyond, the tab was left open."""
CUT = 3.0
"""Times slower than the median by more than so many standard deviations are idle."""
LEAST_SPREAD = 0.2
"""Least standard deviation of one person's log seconds that the cut goes by; people's are .3 to .6."""
SPREAD, SPREAD_COUNTS = 0.5, 10.0
"""Standard deviation of one person's log seconds before it is measured, and how many answers that counts for."""
PRIOR_SPREAD = {"team": 0.7, "kind": 0.35, "person": 0.35}
"""Standard deviations of what all share (the pictures may be twice as hard), of a kind, and of a person."""
_QUARTILE = 0.6745
_MEDIAN_COSTS = math.pi / 2
"""Variance of a median over that of a mean."""


def typical_seconds(kind: QuestionKind, candidates: int = 1) -> float:
    """Seconds that a question is assumed to take before anybody was timed.

    >>> typical_seconds(QuestionKind.SCREEN, 8)
    12.0
    """
    return TYPICAL_PAIR + (TYPICAL_CANDIDATE * candidates if kind is QuestionKind.SCREEN else 0.0)


class Timed(NamedTuple):
    """One annotation that a person was timed at."""

    key: AnnotationKey
    annotator: str
    kind: QuestionKind
    candidates: int
    """1 for a pair."""
    seconds: float
    updated_at: int


def without_idle(logs: Floats) -> Floats:
    """Log seconds (M,) of one person at one kind, without those of tabs left open.

    Idle time only adds, so the spread is taken from the quarter below the median, which it leaves nearly alone, and only
    what is slow is cut.
    """
    kept = logs
    for _ in range(3 if logs.size else 0):
        low, middle = np.quantile(kept, (0.25, 0.5))
        spread = max((middle - low) / _QUARTILE, LEAST_SPREAD)
        kept = kept[kept <= middle + CUT * spread]
    return kept


@dataclass(frozen=True)
class Pace:
    """How long questions take these people; made by :func:`measure`."""

    slowness: Mapping[QuestionKind, float]
    """ln of the seconds over the typical ones, for the people as they share the answers now."""
    timed: Mapping[QuestionKind, int]
    """Timed answers that it rests on, idle ones left out."""
    idle: Mapping[QuestionKind, int]
    error: float
    """Standard error of ln(seconds of a screen / seconds of a pair)."""
    medians: Mapping[tuple[str, QuestionKind], float] = field(default_factory=dict)
    """(Annotator, kind) to measured median seconds, idle ones left out."""

    def seconds(self, kind: QuestionKind, candidates: float = 1) -> float:
        """Expected seconds of a person for one question of ``candidates`` candidates (on average)."""
        share = candidates if kind is QuestionKind.SCREEN else 0.0
        return (TYPICAL_PAIR + TYPICAL_CANDIDATE * share) * math.exp(self.slowness[kind])


class _Cell(NamedTuple):
    annotator: str
    kind: QuestionKind
    logs: Floats
    seconds: Floats
    idle: int


def measure(timed: Iterable[Timed]) -> Pace:
    """How long questions take, from recent annotations; without any, as long as is typical.

    The medians of each person at each kind, ``m_ak`` from ``n_ak`` answers, are explained by what all share, by the kind
    and by the person, so that a slow person who only answers screens does not make screens look slow:

        ``min  sum n_ak (m_ak - t - kappa_k - pi_a)^2 / s^2  +  t^2/.7^2  +  sum kappa^2/.35^2  +  sum pi^2/.35^2``

    a ridge regression, whose priors hold where little is known and vanish where much is.
    """
    everything = _cells(timed)
    cells = [cell for cell in everything if cell.logs.size]
    kinds = list(QuestionKind)
    people = sorted({cell.annotator for cell in cells})
    counts = np.asarray([cell.logs.size for cell in cells], float)
    spread = _spread(cells)
    design = np.zeros((len(cells), 1 + len(kinds) + len(people)))
    for row, cell in enumerate(cells):
        design[row, [0, 1 + kinds.index(cell.kind), 1 + len(kinds) + people.index(cell.annotator)]] = 1.0
    medians = np.asarray([float(np.median(cell.logs)) for cell in cells])
    prior = [PRIOR_SPREAD["team"], *[PRIOR_SPREAD["kind"]] * len(kinds), *[PRIOR_SPREAD["person"]] * len(people)]
    weight = counts / (_MEDIAN_COSTS * spread**2)
    covariance = np.linalg.inv((design.T * weight) @ design + np.diag(1.0 / np.square(prior)))
    effects = covariance @ (design.T @ (weight * medians))
    share = design[:, 1 + len(kinds) :].T @ counts / max(counts.sum(), 1.0)
    common = float(effects[0] + share @ effects[1 + len(kinds) :])
    contrast = np.zeros(len(effects))
    contrast[1 + kinds.index(QuestionKind.SCREEN)], contrast[1 + kinds.index(QuestionKind.PAIR)] = 1.0, -1.0
    return Pace(
        slowness={kind: common + float(effects[1 + n]) for n, kind in enumerate(kinds)},
        timed={kind: sum(cell.logs.size for cell in cells if cell.kind is kind) for kind in kinds},
        idle={kind: sum(cell.idle for cell in everything if cell.kind is kind) for kind in kinds},
        error=float(np.sqrt(contrast @ covariance @ contrast)),
        medians={(cell.annotator, cell.kind): float(np.median(cell.seconds)) for cell in cells},
    )


def _cells(timed: Iterable[Timed]) -> list[_Cell]:
    """Kept times of each person at each kind, perhaps none, in a fixed order."""
    found: dict[tuple[str, QuestionKind], list[tuple[float, float]]] = {}
    for one in timed:
        log = math.log(one.seconds / typical_seconds(one.kind, one.candidates))
        found.setdefault((one.annotator, one.kind), []).append((log, one.seconds))
    cells = []
    for (annotator, kind), pairs in sorted(found.items()):
        both = np.asarray(pairs)
        awake = both[both[:, 1] <= MOST_SECONDS]
        kept = without_idle(awake[:, 0])
        seconds = awake[awake[:, 0] <= kept.max(initial=-np.inf), 1]
        cells.append(_Cell(annotator, kind, kept, seconds, len(pairs) - kept.size))
    return cells


def _spread(cells: Sequence[_Cell]) -> float:
    """Standard deviation of one person's log seconds at one kind, shrunk towards its prior."""
    below = [max(float(np.median(c.logs) - np.quantile(c.logs, 0.25)) / _QUARTILE, LEAST_SPREAD) for c in cells]
    counts = [c.logs.size - 1 for c in cells]
    total = sum(n * s**2 for n, s in zip(counts, below, strict=True)) + SPREAD_COUNTS * SPREAD**2
    return math.sqrt(total / (sum(counts) + SPREAD_COUNTS))
