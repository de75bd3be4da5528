"""Drawn states for property tests: answers of all kinds, some of them wrong, and questions that wait."""

from __future__ import annotations

from hypothesis import strategies as st

from pal_backend.core.asking.state import State
from pal_backend.core.learner import Learner
from pal_backend.core.vocabulary import Answer, Question, QuestionKind
from tests.core.worlds import clusters, said

SPACE, LABELS = clusters(groups=3, each=7, spread=0.4)
IDS = SPACE.sample_ids
ROWS = len(IDS)

_rows = st.integers(0, ROWS - 1)
_verdicts = st.sampled_from(["right", "right", "right", "wrong", "unsure"])

answers = st.lists(st.tuples(_rows, _rows, _verdicts), max_size=40)
"""Pairs of rows, and whether the answer is right, wrong or unsure."""

waiting = st.lists(st.lists(_rows, min_size=2, max_size=4, unique=True), max_size=5)
"""Questions in rows: the anchor, then one or more candidates."""


def spoken(drawn: list[tuple[int, int, str]]) -> list[Answer]:
    """The drawn answers as values; a pair of a row with itself is left out."""
    found = []
    for number, (a, b, how) in enumerate(drawn):
        truth = LABELS[a] == LABELS[b]
        verdict = "unsure" if how == "unsure" else "same" if truth == (how == "right") else "different"
        if a != b:
            found.append(said(number, IDS[a], IDS[b], verdict))
    return found


def questions(drawn: list[list[int]]) -> list[Question]:
    """The drawn questions as values."""
    return [
        Question(
            QuestionKind.PAIR if len(rows) == 2 else QuestionKind.SCREEN,
            IDS[rows[0]],
            tuple(IDS[row] for row in rows[1:]),
        )
        for rows in drawn
    ]


def state_of(answers: list[Answer], questions: list[Question]) -> State:
    """The state after these answers with these questions open."""
    learner = Learner(SPACE)
    learner.set_answers(answers)
    return State.of(SPACE, learner.graph, learner.beliefs, learner.seams).with_open(questions)
