"""Result JSON of the two kinds of question: made for predictions, read from annotations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PAIR_CONTROL, PAIR_OBJECT, PAIR_OTHER = "answer", "left", "right"
SAME, DIFFERENT, UNSURE = "Same", "Different", "Unsure"
PAIR_LABELS = (SAME, DIFFERENT, UNSURE)

CANDIDATES_CONTROL, VERDICT_CONTROL, SCREEN_OBJECT = "picked", "verdict", "anchor"
NONE_OF_THESE, CANNOT_TELL = "None of these", "Cannot tell"

Choices = Mapping[str, Sequence[str]]
"""Control name to the values chosen in it."""


def pair_result(label: str) -> list[dict[str, Any]]:
    """The result that chooses ``label`` (Same, Different or Unsure) on a pair."""
    return [_row(PAIR_CONTROL, PAIR_OBJECT, [label])]


def screen_result(ticked: Sequence[str]) -> list[dict[str, Any]]:
    """The result that ticks these candidate ids on a screen; none at all means "None of these"."""
    if not ticked:
        return [_row(VERDICT_CONTROL, SCREEN_OBJECT, [NONE_OF_THESE])]
    return [_row(CANDIDATES_CONTROL, SCREEN_OBJECT, list(ticked))]


def read_pair(choices: Choices) -> str | None:
    """ "same", "different" or "unsure"; None when not exactly one of the three labels is chosen."""
    chosen = [label for label in choices.get(PAIR_CONTROL, ()) if label in PAIR_LABELS]
    return chosen[0].lower() if len(chosen) == 1 else None


@dataclass(frozen=True)
class ScreenReading:
    """What a person said on a screen. With a ``problem`` (in words) the rest must not be used."""

    ticked: tuple[str, ...] = ()
    none: bool = False
    cannot_tell: bool = False
    problem: str = ""


def read_screen(choices: Choices, candidate_ids: Sequence[str]) -> ScreenReading:
    """Read a screen's choices against the candidates it showed.

    Ticks, "None of these" and "Cannot tell" exclude each other; whoever sends two of them contradicts themselves.
    """
    ticked = tuple(dict.fromkeys(choices.get(CANDIDATES_CONTROL, ())))
    said = choices.get(VERDICT_CONTROL, ())
    none, cannot_tell = NONE_OF_THESE in said, CANNOT_TELL in said
    problem = ""
    if unknown := [name for name in ticked if name not in candidate_ids]:
        problem = f"{len(unknown)} of {len(ticked)} ticks are not on candidates of this question"
    elif ticked and (none or cannot_tell):
        problem = f"ticks and '{NONE_OF_THESE if none else CANNOT_TELL}' contradict each other"
    elif none and cannot_tell:
        problem = f"'{NONE_OF_THESE}' and '{CANNOT_TELL}' contradict each other"
    elif not (ticked or none or cannot_tell):
        problem = "nothing was ticked or chosen"
    return ScreenReading(problem=problem) if problem else ScreenReading(ticked, none, cannot_tell)


def _row(control: str, to_name: str, chosen: list[str]) -> dict[str, Any]:
    return {"from_name": control, "to_name": to_name, "type": "choices", "value": {"choices": chosen}}
