"""How good the groups are, as a revision states it: values only, made by ``verification`` and ``stopping``. No numpy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

FARTHEST = 20.0
"""No forecast goes beyond so many times the answers there are."""


@dataclass(frozen=True)
class Accuracy:
    """Estimated share of all samples whose predicted group is the right one, with a 95 % interval."""

    estimate: float
    low: float
    high: float
    checks: int
    """Uniform samples that it rests on."""

    @property
    def sentence(self) -> str:
        """In words for a person.

        >>> Accuracy(0.942, 0.897, 0.971, 52).sentence
        'About 94 % of the samples are in the right group (90-97 %, from 52 checks).'
        """
        low, middle, high = (percent(value) for value in (self.low, self.estimate, self.high))
        checks = "1 check" if self.checks == 1 else f"{self.checks} checks"
        return f"About {middle} % of the samples are in the right group ({low}-{high} %, from {checks})."


@dataclass(frozen=True)
class StoppingVerdict:
    """What one stopping rule says."""

    name: str
    met: bool
    """Whether the rule says that one may stop."""
    figure: float
    threshold: float
    sentence: str
    """Figure and threshold in words for a person."""


@dataclass(frozen=True)
class Quality:
    """How good the groups are, what more answers would bring, and what each stopping rule says."""

    accuracy: Accuracy | None = None
    """None before there are checks."""
    next_hundred: float | None = None
    """Expected gain in accuracy of the next hundred answers, 0..1; None before there are checks."""
    stopping: tuple[StoppingVerdict, ...] = ()
    surest: float = 1.0
    """Highest belief that the checks bear out, 0..1: one minus the errors that no belief foretells."""

    @property
    def sentence(self) -> str:
        """Accuracy and what is to come, in words for a person."""
        if self.accuracy is None:
            return "not known yet: the first checks are asked after some 40 answers, once there are two groups"
        if self.next_hundred is None:
            return self.accuracy.sentence
        points = round(100.0 * self.next_hundred, 1)
        worth = "less than 0.1 points" if points < 0.1 else f"about {points} points"
        return f"{self.accuracy.sentence} The next hundred answers should bring {worth}."

    def pays_until(self, answers: int) -> int | None:
        """Number of answers from which the next hundred bring less than the rule ``worth`` asks for; None if not foreseen.

        Errors are taken to go on falling as ``next_hundred`` has them fall: ``e(T) = e(t) (t / T)^d``, where d follows from
        ``next_hundred = e(t) (1 - (t / (t + 100))^d)``, as :func:`pal_backend.core.stopping.next_hundred` fits them.

        Args:
            answers: t, answers held now.
        """
        rule = next((verdict for verdict in self.stopping if verdict.name == "worth"), None)
        if rule is None or self.accuracy is None or self.next_hundred is None or answers < 1:
            return None
        if rule.met:
            return answers
        error = 1.0 - self.accuracy.estimate
        if not 0.0 < self.next_hundred < error:
            return None
        power = math.log1p(-self.next_hundred / error) / math.log(answers / (answers + 100.0))

        def worth(at: float) -> float:
            return error * float((answers / at) ** power - (answers / (at + 100.0)) ** power)

        low, high = float(answers), 2.0 * answers
        while worth(high) >= rule.threshold:
            low, high = high, 2.0 * high
            if high > FARTHEST * answers:
                return None
        while high - low > 1.0:
            middle = (low + high) / 2.0
            low, high = (middle, high) if worth(middle) >= rule.threshold else (low, middle)
        return math.ceil(high)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Quality | None:
        """Inverse of :meth:`to_json`; None (a revision of an earlier release) stays None.

        Raises:
            ValueError: malformed; the message says what was expected.
        """
        if value is None:
            return None
        found = _object(value, "quality")
        accuracy, stopping = found.get("accuracy"), found.get("stopping")
        worth = found.get("next_hundred")
        if not isinstance(stopping, list | tuple):
            raise ValueError("quality.stopping is no list; expected one of verdicts")
        return cls(
            accuracy=None if accuracy is None else _accuracy(_object(accuracy, "quality.accuracy")),
            next_hundred=None if worth is None else _number(worth, "quality.next_hundred"),
            stopping=tuple(_verdict(_object(verdict, "quality.stopping")) for verdict in stopping),
            surest=_number(found.get("surest", 1.0), "quality.surest"),
        )


def percent(share: float) -> str:
    """Whole per cent, but for the last one: nobody takes 99.6 % for all of them."""
    percent = 100.0 * share
    return f"{percent:.1f}" if 99.0 < percent < 99.95 else f"{percent:.0f}"


def _accuracy(found: Mapping[str, Any]) -> Accuracy:
    estimate, low, high = (_number(found.get(name), f"accuracy.{name}") for name in ("estimate", "low", "high"))
    checks = found.get("checks")
    if not isinstance(checks, int) or isinstance(checks, bool) or not 0.0 <= low <= high <= 1.0:
        raise ValueError("quality.accuracy is malformed; expected 0 <= low <= high <= 1 and a number of checks")
    return Accuracy(estimate, low, high, checks)


def _verdict(found: Mapping[str, Any]) -> StoppingVerdict:
    name, met, sentence = found.get("name"), found.get("met"), found.get("sentence")
    if not isinstance(name, str) or not isinstance(met, bool) or not isinstance(sentence, str):
        raise ValueError("a stopping verdict is malformed; expected a name, a flag and a sentence")
    figure, threshold = _number(found.get("figure"), "figure"), _number(found.get("threshold"), "threshold")
    return StoppingVerdict(name, met, figure, threshold, sentence)


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} is a {type(value).__name__}; expected an object")
    return value


def _number(value: Any, where: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"{where} is {value!r:.40}; expected a finite number")
    return float(value)
