"""Samples are placed one after another: begun ones first, by the groups in the order of liking."""

from __future__ import annotations

import numpy as np

from pal_backend.core.asking.placing import place
from pal_backend.core.asking.relations import Relations
from pal_backend.core.asking.state import Candidates
from pal_backend.core.vocabulary import Answer, Question
from tests.core.asking.drawn import IDS, questions, state_of
from tests.core.worlds import said

GROUPS = [
    said(1, IDS[0], IDS[7], "different"),
    said(2, IDS[0], IDS[14], "different"),
    said(3, IDS[7], IDS[14], "different"),
    *(said(10 + n, IDS[row], IDS[row + 1], "same") for n, row in enumerate((0, 7, 14))),
]
"""Three groups of two: rows 0, 1 and 7, 8 and 14, 15."""


def offered(more: list[Answer], waiting: list[Question], fresh: tuple[int, ...] = ()) -> Candidates:
    """What is offered after more answers; the later group is liked better."""
    state = state_of([*GROUPS, *more], waiting)
    rows = np.asarray(fresh, np.int64)
    liking = np.arange(float(state.groups))
    return place(state, Relations(state), rows, np.full(len(rows), 0.9), lambda some: np.tile(liking, (len(some), 1)))


def clusters_of(found: Candidates) -> list[tuple[int, int]]:
    """Each row with the cluster of its partner."""
    return [(left, right // 7) for left, right in zip(found.left.tolist(), found.right.tolist(), strict=True)]


def test_a_sample_meets_one_group_after_another() -> None:
    """After a "different" from the best liked group the next one is asked, before any fresh sample; then the last."""
    found = offered([], [], fresh=(3,))
    assert (clusters_of(found), found.scores.tolist()) == ([(3, 2)], [0.9])
    found = offered([said(20, IDS[3], IDS[14], "different")], [], fresh=(4,))
    assert clusters_of(found) == [(3, 1), (4, 2)]
    assert found.scores[0] > found.scores[1]


def test_placed_samples_are_left_alone() -> None:
    """A "same" ends it; so does "different" from every group."""
    assert len(offered([said(20, IDS[3], IDS[0], "same")], []).left) == 0
    apart = [said(20 + n, IDS[3], IDS[row], "different") for n, row in enumerate((0, 7, 14))]
    assert len(offered(apart, []).left) == 0


def test_a_sample_in_an_open_question_waits() -> None:
    """While a question is about to place it, nobody else is asked about a sample begun."""
    begun = [said(20, IDS[3], IDS[14], "different")]
    assert len(offered(begun, questions([[8, 3]])).left) == 0
    assert len(offered(begun, questions([[8, 4]])).left) == 1


def test_answers_in_vain_count_against_a_sample() -> None:
    """After two "unsure" a sample begun comes after the fresh ones, and meets a member it has not met."""
    begun = [said(20, IDS[3], IDS[14], "different")]
    [met] = offered(begun, []).right.tolist()
    unsure = [said(30, IDS[3], IDS[met], "unsure"), said(31, IDS[3], IDS[met], "unsure")]
    found = offered([*begun, *unsure], [], fresh=(4,))
    assert (found.left.tolist(), found.scores.tolist()) == ([3, 4], [0.5, 0.9])
    assert {met, int(found.right[0])} == {7, 8}
