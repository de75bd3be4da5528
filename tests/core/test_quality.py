"""How good the groups are, in words and through JSON."""

import json
from typing import Any

import pytest

from pal_backend.core.quality import Accuracy, Quality, StoppingVerdict

QUALITY = Quality(Accuracy(0.942, 0.897, 0.971, 52), 0.0149, (StoppingVerdict("worth", True, 0.1, 0.2, "Yes."),), 0.98)


def test_it_is_said_in_plain_words() -> None:
    """One sentence for the accuracy, one for what is to come."""
    assert QUALITY.sentence == (
        "About 94 % of the samples are in the right group (90-97 %, from 52 checks). "
        "The next hundred answers should bring about 1.5 points."
    )


@pytest.mark.parametrize(
    ("quality", "words"),
    [
        (Quality(), "not known yet"),
        (Quality(Accuracy(0.5, 0.1, 0.9, 1)), "from 1 check)."),
        (
            Quality(Accuracy(0.996, 0.989, 0.9996, 9), 0.0004),
            "About 99.6 % of the samples are in the right group (99-100",
        ),
        (Quality(Accuracy(0.996, 0.989, 0.9996, 9), 0.0004), "less than 0.1 points"),
    ],
)
def test_few_checks_and_near_perfection(quality: Quality, words: str) -> None:
    """Nothing is claimed before there are checks, and 99.6 % is not rounded to all."""
    assert words in quality.sentence


@pytest.mark.parametrize("quality", [QUALITY, Quality()])
def test_it_survives_json(quality: Quality) -> None:
    """What a revision keeps is what was said; a revision of an earlier release says nothing."""
    assert Quality.from_json(json.loads(json.dumps(quality.to_json()))) == quality
    assert Quality.from_json(None) is None


@pytest.mark.parametrize(
    "spoilt",
    [
        [],
        {"stopping": None},
        {"accuracy": []},
        {"accuracy": {"estimate": 0.5, "low": 0.6, "high": 0.5, "checks": 1}},
        {"accuracy": {"estimate": 0.5, "low": 0.4, "high": 0.6, "checks": 1.5}},
        {"accuracy": {"estimate": float("nan"), "low": 0.4, "high": 0.6, "checks": 1}},
        {"next_hundred": "much"},
        {"stopping": [{"name": "worth", "met": 1, "figure": 1, "threshold": 1, "sentence": ""}]},
    ],
)
def test_what_is_spoilt_is_refused(spoilt: Any) -> None:
    """The message says what was expected."""
    value = {**QUALITY.to_json(), **spoilt} if isinstance(spoilt, dict) else spoilt
    with pytest.raises(ValueError, match="expected"):
        Quality.from_json(value)


def test_the_forecast_is_where_the_next_hundred_answers_stop_paying() -> None:
    """Errors that fall as t^-d: found by solving for the answers at which a hundred more bring the threshold."""
    answers, error, power, threshold = 400, 0.2, 0.8, 0.005
    worth = error * (1 - (answers / (answers + 100)) ** power)
    rule = StoppingVerdict("worth", False, worth, threshold, "")
    until = Quality(Accuracy(1 - error, 0.7, 0.9, 30), worth, (rule,)).pays_until(answers)
    assert until is not None

    def gain(at: float) -> float:
        return float(error * ((answers / at) ** power - (answers / (at + 100)) ** power))

    assert gain(until) < threshold <= gain(until - 2)


def test_no_forecast_without_what_it_rests_on() -> None:
    """No checks, no rule, or errors that do not fall; a rule that is met says now."""
    unmet, met = (StoppingVerdict("worth", flag, 0.0, 0.005, "") for flag in (False, True))
    accuracy = Accuracy(0.8, 0.7, 0.9, 30)
    assert Quality().pays_until(100) is None
    assert Quality(accuracy, 0.02).pays_until(100) is None
    assert Quality(accuracy, 0.0, (unmet,)).pays_until(100) is None
    assert Quality(accuracy, 0.1, (unmet,)).pays_until(0) is None
    assert Quality(accuracy, 0.001, (met,)).pays_until(100) == 100
    endless = StoppingVerdict("worth", False, 0.0, 1e-9, "")
    assert Quality(accuracy, 0.02, (endless,)).pays_until(100) is None, "too far ahead to say"
