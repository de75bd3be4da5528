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
