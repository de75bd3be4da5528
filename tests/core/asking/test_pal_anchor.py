"""Rounds about the group that was asked about least, as PAL's."""

from __future__ import annotations

from collections import Counter

import numpy as np

from pal_backend.core.asking.pal_anchor import OFFERED, ROUND, pal_anchor
from pal_backend.core.asking.relations import Relations
from pal_backend.core.asking.state import Candidates, State
from pal_backend.core.learner import Learner
from pal_backend.core.vocabulary import Answer, Question, QuestionKind
from tests.core.worlds import clusters, said

SPACE, LABELS = clusters(groups=3, each=40, spread=0.2)
IDS = SPACE.sample_ids
KNOWN = [
    said(1, IDS[0], IDS[40], "different"),
    said(2, IDS[0], IDS[80], "different"),
    said(3, IDS[40], IDS[80], "different"),
    *(said(10 + row, IDS[row], IDS[row + n], "same") for row in (0, 40, 80) for n in (1, 2)),
]
"""Three groups of three."""


def after(answers: list[Answer], waiting: tuple[Question, ...] = ()) -> State:
    """The state after some answers."""
    learner = Learner(SPACE)
    learner.set_answers(answers)
    return State.of(SPACE, learner.graph, learner.beliefs, learner.seams).with_open(waiting)


def drawn(state: State, seed: int = 0) -> Candidates:
    """What the strategy offers."""
    return pal_anchor(state, np.random.default_rng(seed))


def test_the_anchor_is_the_group_asked_about_least() -> None:
    """With more answers about two groups the best candidates are all compared with the third."""
    more = [said(50 + n, IDS[0], IDS[3 + n], "same") for n in range(6)]
    more += [said(60 + n, IDS[40], IDS[43 + n], "same") for n in range(6)]
    found = drawn(after([*KNOWN, *more]))
    first = found.right[np.argsort(-found.scores)][:6]
    assert set(LABELS[first].tolist()) == {2}


def test_open_questions_count_as_asked() -> None:
    """While the least asked group's round is open, the next question goes to another group."""
    state = after(KNOWN)
    [anchor] = drawn(state).right[[drawn(state).scores.argmax()]].tolist()
    fresh = [row for row in range(len(IDS)) if row % 40 > 10][:8]
    waiting = Question(QuestionKind.SCREEN, IDS[anchor], tuple(IDS[row] for row in fresh))
    found = drawn(after(KNOWN, (waiting,)))
    assert LABELS[found.right[found.scores.argmax()]] != LABELS[anchor]
    assert not set(found.left.tolist()) & set(fresh)


def test_candidates_are_predicted_members() -> None:
    """Where more than a round's worth is predicted to belong, only those are shown."""
    state = after(KNOWN)
    found = drawn(state)
    likely = Relations(state).likely.argmax(axis=1)
    group = {int(row): k for k, members in enumerate(Relations(state).representatives) for row in members if row >= 0}
    assert all(
        likely[left] == group[right] for left, right in zip(found.left.tolist(), found.right.tolist(), strict=True)
    )
    assert min(Counter(found.right.tolist()).values()) > ROUND


def test_with_few_predicted_members_everybody_is_a_candidate() -> None:
    """A group that nobody else is believed to belong to is still compared with samples of other places."""
    far = [said(30 + n, IDS[row], IDS[3], "different") for n, row in enumerate((0, 40, 80))]
    found = drawn(after([*KNOWN, *far]))
    assert OFFERED >= Counter(found.right.tolist())[3] > ROUND


def test_who_belongs_to_no_group_so_far_comes_first() -> None:
    """A sample that its first anchor rejected is the first candidate of the next one."""
    found = drawn(after([*KNOWN, said(50, IDS[0], IDS[30], "different")]))
    [at] = np.flatnonzero(found.left == 30).tolist()
    same_anchor = found.scores[found.right == found.right[at]]
    assert LABELS[found.right[at]] != LABELS[0] and found.scores[at] == same_anchor.max()


def test_a_sample_alone_is_no_anchor_before_it_has_a_companion() -> None:
    """Whoever all groups rejected, and nobody else is like, is asked about and no group as yet; its rounds begin with the first "same"."""
    twice = [*KNOWN, said(50, IDS[0], IDS[20], "different"), said(51, IDS[40], IDS[20], "different")]
    found = drawn(after(twice))
    assert 20 not in found.right and LABELS[found.right[found.left == 20]].tolist() == [2]
    alone = [*twice, said(52, IDS[80], IDS[20], "different")]
    assert 20 not in drawn(after(alone)).right
    found = drawn(after([*alone, said(53, IDS[21], IDS[20], "same")]))
    assert found.right[found.scores.argmax()] in {20, 21}


def test_nobody_is_drawn_twice_into_a_round() -> None:
    """An anchor's candidates are all different, and none was compared with it before."""
    state = after(KNOWN)
    found = drawn(state)
    pairs = list(zip(found.left.tolist(), found.right.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    assert not any(state.times_asked(*pair) for pair in pairs)


def test_the_seed_draws() -> None:
    """Another seed shows other samples of the same group."""
    state = after(KNOWN)
    assert drawn(state, 1).left.tolist() != drawn(state, 2).left.tolist()
