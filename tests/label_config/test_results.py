import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from label_config.results import (
    CANNOT_TELL,
    NONE_OF_THESE,
    ScreenReading,
    pair_result,
    read_pair,
    read_screen,
    screen_result,
)

SUBMITTED = json.loads((Path(__file__).parents[1] / "recordings" / "ui_submitted_results.json").read_text())


def _choices(result: list[dict]) -> dict[str, tuple[str, ...]]:
    return {row["from_name"]: tuple(row["value"]["choices"]) for row in result}


@pytest.mark.parametrize(("label", "verdict"), [("Same", "same"), ("Different", "different"), ("Unsure", "unsure")])
def test_pairs_round_trip(label: str, verdict: str) -> None:
    """What is predicted for a pair is read back as the verdict it stands for."""
    assert read_pair(_choices(pair_result(label))) == verdict


@pytest.mark.parametrize("chosen", [(), ("Same", "Different"), ("Broken",), ("same",)])
def test_pair_needs_exactly_one_known_label(chosen: tuple[str, ...]) -> None:
    """Nothing, two labels at once, or a label of somebody else's is no verdict."""
    assert read_pair({"answer": chosen}) is None
    assert read_pair({"other": ("Same",)}) is None


def test_pair_has_the_shape_the_browser_submits() -> None:
    """A prediction's row has the keys of the row that a real browser submitted for the same click."""
    (row,) = SUBMITTED["a2_images_same_different_noalias"]["submitted"]["result"]
    (ours,) = pair_result("Different")
    assert ours.items() <= row.items()


def test_what_a_browser_ticked_is_read() -> None:
    """The ticks of a real submission are the ticked candidates."""
    (row,) = SUBMITTED["c1_captcha_dynamic_choices"]["submitted"]["result"]
    reading = read_screen(_choices([row]), ["c0", "c1", "c2", "c3"])
    assert reading == ScreenReading(ticked=("c0", "c3"))


@given(st.lists(st.sampled_from("abcdefgh"), unique=True))
def test_screens_round_trip(ticked: list[str]) -> None:
    """A predicted screen is read back with the same ticks; no tick at all is "None of these"."""
    assert read_screen(_choices(screen_result(ticked)), "abcdefgh") == ScreenReading(tuple(ticked), none=not ticked)


@pytest.mark.parametrize(
    ("choices", "reading"),
    [
        ({"verdict": (NONE_OF_THESE,)}, ScreenReading(none=True)),
        ({"verdict": (CANNOT_TELL,)}, ScreenReading(cannot_tell=True)),
        ({"picked": ("a", "a"), "verdict": ()}, ScreenReading(ticked=("a",))),
        ({}, ScreenReading(problem="nothing was ticked or chosen")),
        ({"verdict": ("Else",)}, ScreenReading(problem="nothing was ticked or chosen")),
        (
            {"picked": ("a",), "verdict": (NONE_OF_THESE,)},
            ScreenReading(problem="ticks and 'None of these' contradict each other"),
        ),
        (
            {"picked": ("a",), "verdict": (CANNOT_TELL,)},
            ScreenReading(problem="ticks and 'Cannot tell' contradict each other"),
        ),
        (
            {"verdict": (NONE_OF_THESE, CANNOT_TELL)},
            ScreenReading(problem="'None of these' and 'Cannot tell' contradict each other"),
        ),
        (
            {"picked": ("a", "z")},
            ScreenReading(problem="1 of 2 ticks are not on candidates of this question"),
        ),
    ],
)
def test_every_way_to_answer_a_screen(choices: dict[str, tuple[str, ...]], reading: ScreenReading) -> None:
    """Each combination of ticks and verdicts has one reading; contradictions and strangers have none but words."""
    assert read_screen(choices, ["a", "b"]) == reading
