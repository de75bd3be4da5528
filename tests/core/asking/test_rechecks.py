"""A re-check asks with another example of the group: who erred on one may not on another."""

from __future__ import annotations

from pal_backend.core.asking.state import State
from pal_backend.core.learner import Learner
from pal_backend.core.vocabulary import Purpose, Question, QuestionKind
from tests.core.worlds import clusters, said

SPACE, LABELS = clusters(groups=2, each=10)
IDS = SPACE.sample_ids
FIRST = [said(1, IDS[0], IDS[1], "same"), said(2, IDS[0], IDS[2], "same"), said(3, IDS[1], IDS[2], "same")]


def learned(*more: tuple[int, int, str]) -> Learner:
    """Three confirmed members of the first group, and what was said about others (row, row, verdict)."""
    learner = Learner(SPACE)
    learner.set_answers([*FIRST, *(said(10 + n, IDS[a], IDS[b], verdict) for n, (a, b, verdict) in enumerate(more))])
    return learner


def state(learner: Learner) -> State:
    return State.of(SPACE, learner.graph, learner.beliefs, learner.seams)


def test_every_member_is_met_before_one_is_met_again() -> None:
    """A sample meets one representative after the other; only then the one it met least."""
    said_so_far: list[tuple[int, int, str]] = []
    met = []
    for _ in range(3):
        met.append(state(learned(*said_so_far)).representative(0, 3))
        said_so_far.append((met[-1], 3, "different"))
    assert sorted(met) == [0, 1, 2]
    again = state(learned(*said_so_far)).representative(0, 3)
    assert again in met


def test_an_only_member_is_met_again() -> None:
    """Where the group has no other member, the question is asked with the same one: better than not at all."""
    learner = Learner(SPACE)
    learner.set_answers([said(1, IDS[0], IDS[10], "different"), said(2, IDS[0], IDS[5], "different")])
    now = state(learner)
    group = next(k for k, members in enumerate(now.members) if members == [0])
    assert now.representative(group, 5) == 0


def test_a_representative_in_an_open_question_is_not_offered_again() -> None:
    """While one re-check of the sample is open, the next one takes yet another member."""
    now = state(learned((0, 3, "different")))
    first = now.representative(0, 3)
    open_now = now.with_open([Question(QuestionKind.PAIR, IDS[first], (IDS[3],), Purpose.RECHECK)])
    assert first != 0
    assert open_now.representative(0, 3) not in (0, first)


def test_the_learner_asks_a_recheck_with_another_member() -> None:
    """A wrong "different" against features that say "same" is asked again, and not with the member it was given on."""
    learner = learned((0, 10, "different"), (10, 11, "same"), (10, 12, "same"), (0, 3, "different"))
    asked = [q for q in learner.ask(40) if q.purpose is Purpose.RECHECK and IDS[3] in q.samples]
    assert asked, "the unlikely answer is asked again"
    assert all(set(q.samples) != {IDS[0], IDS[3]} for q in asked)
