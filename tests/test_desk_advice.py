"""Which desk pays, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pal_backend.core.paying import Effort, Outlook, Verdict
from pal_backend.core.vocabulary import QuestionKind
from pal_backend.desk_advice import Advice, advise
from pal_backend.store.projects import Desk

PAIRS = Desk("pairs", QuestionKind.PAIR, 1, 1, 1)
SCREENS = Desk("screens", QuestionKind.SCREEN, 2, 2, 2)


def effort(pair_gain: float, screen_gain: float, pairs: int = 120, screens: int = 34, error: float = 0.1) -> Effort:
    """Pairs of 4 s, screens of 12 s."""
    return Effort(
        {
            QuestionKind.PAIR: Outlook(4.0, pairs, 0, 8, pair_gain),
            QuestionKind.SCREEN: Outlook(12.0, screens, 0, 2, screen_gain),
        },
        (),
        error,
    )


@pytest.mark.parametrize(
    ("effort", "verdict", "better", "sentence"),
    [
        (
            effort(1.0, 5.4),
            Verdict.PAYS,
            ("screens",),
            "screens: it gains 1.8 times as much a second as pairs "
            "(a screen takes 12.0 s, by 34 timed answers; a pair takes 4.0 s, by 120 timed answers)",
        ),
        (
            effort(1.1, 3.0),
            Verdict.ALIKE,
            ("pairs",),
            "alike: a second at pairs gains as much as one at screens, within 15% "
            "(a pair takes 4.0 s, by 120 timed answers; a screen takes 12.0 s, by 34 timed answers)",
        ),
        (
            effort(1.0, 5.4, 1, 0),
            Verdict.UNTIMED,
            ("screens",),
            "it cannot be said yet: pairs has 1 timed answer and screens has 0 timed answers, and 10 are needed; "
            "by the seconds assumed so far screens would gain 1.8 times as much a second as pairs "
            "(a screen takes 12.0 s, assumed; a pair takes 4.0 s, by 1 timed answer)",
        ),
        (
            effort(1.0, 5.4, error=0.5),
            Verdict.UNCERTAIN,
            ("screens",),
            "it cannot be said yet: the seconds vary too much; screens looks as if it gained 1.8 times as much a second "
            "as pairs (a screen takes 12.0 s, by 34 timed answers; a pair takes 4.0 s, by 120 timed answers)",
        ),
        (effort(0.0, 1.0), Verdict.PAYS, ("screens",), "screens: nothing worth asking is left on pairs"),
        (effort(0.0, 0.0), Verdict.NOTHING, (), "neither: nothing worth asking is left on any desk"),
        (Effort(), Verdict.UNSEEN, (), "it cannot be said yet: the next revision will look at both kinds of desk"),
    ],
)
def test_every_case_has_its_sentence(effort: Effort, verdict: Verdict, better: tuple[str, ...], sentence: str) -> None:
    """What pays and by how much, or why it cannot be said, with the seconds it rests on."""
    found = advise((PAIRS, SCREENS), effort)
    assert found is not None
    assert (found.verdict, found.desks, found.sentence) == (verdict, better, sentence)


def test_one_kind_of_desk_is_not_compared() -> None:
    """Nor is a desk that is retired."""
    assert advise((PAIRS,), effort(1.0, 5.4)) is None
    assert advise((PAIRS, replace(SCREENS, retired=True)), effort(1.0, 5.4)) is None


def test_desks_of_one_kind_are_named_together() -> None:
    """Two desks that ask pairs pay together."""
    found = advise((PAIRS, replace(PAIRS, name="second"), SCREENS), effort(4.0, 3.0))
    assert isinstance(found, Advice)
    assert found.desks == ("pairs", "second")
    assert found.sentence.startswith("pairs and second: they gain 4.0 times as much a second as screens (")
