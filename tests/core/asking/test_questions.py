from __future__ import annotations

import numpy as np

from pal_backend.core.asking.questions import make_pairs, make_screens, worth
from pal_backend.core.asking.state import Candidates, State
from pal_backend.core.learner import Learner
from pal_backend.core.vocabulary import Purpose, Question, QuestionKind
from tests.core.worlds import clusters, said

SPACE, _ = clusters(groups=2, each=20, spread=0.1)
IDS = SPACE.sample_ids


def state() -> State:
    """Two groups of six, told apart by one answer."""
    learner = Learner(SPACE)
    answers = [said(n, IDS[0], IDS[n], "same") for n in range(1, 6)]
    answers += [said(10 + n, IDS[20], IDS[20 + n], "same") for n in range(1, 6)]
    learner.set_answers([*answers, said(99, IDS[0], IDS[20], "different")])
    return State.of(SPACE, learner.graph, learner.beliefs, learner.seams)


def test_purposes() -> None:
    """A new sample is placed, and what is settled beyond doubt is not asked at all."""
    now = state()
    [question] = make_pairs(now, Candidates.of([(9, 0, 1.0)]), 1)
    assert question.purpose is Purpose.PLACE and question.anchor == IDS[0] and question.candidates == (IDS[9],)
    assert make_pairs(now, Candidates.of([(1, 0, 1.0)]), 1) == []
    assert make_screens(now, Candidates.of([(1, 0, 1.0), (2, 0, 1.0)]), 1, 8) == []


def test_a_question_gains_what_its_candidates_do() -> None:
    """The gain of a pair is its score, that of a screen the sum over its candidates, so that the two can be compared."""
    now = state()
    scored = Candidates.of([(9, 0, 1.5), (30, 0, 0.25), (15, 0, 1.0)])
    assert [question.gain for question in make_pairs(now, scored, 1)] == [1.5]
    [screen] = make_screens(now, scored, 1, 8)
    assert screen.gain == 2.75 and len(screen.candidates) == 3


def test_two_groups_not_yet_compared_make_a_merge_question() -> None:
    """Members of two groups that nothing keeps apart are asked about as a merge."""
    learner = Learner(SPACE)
    rows = [(0, 20), (0, 9), (20, 9), (0, 15), (20, 15)]
    learner.set_answers([said(n, IDS[a], IDS[b], "different") for n, (a, b) in enumerate(rows)])
    now = State.of(SPACE, learner.graph, learner.beliefs, learner.seams)
    [question] = make_pairs(now, Candidates.of([(15, 9, 1.0)]), 1)
    assert question.purpose is Purpose.MERGE
    assert worth(now, question)[0] > 0.0


def test_a_recheck_stays_while_there_is_doubt() -> None:
    """A doubtful answered sample may be asked again under a new id; once beyond doubt the re-check is moot."""
    now = state()
    doubtful = np.zeros(len(IDS))
    doubtful[1] = 1.0
    again = State(now.space, now.graph, now.beliefs, doubtful, now.gains)
    [question] = make_pairs(again, Candidates.of([(1, 0, 1.0)]), 1)
    assert question.purpose is Purpose.RECHECK and question.round == 1
    assert question.id != Question(QuestionKind.PAIR, IDS[0], (IDS[1],)).id
    assert worth(again, question)[2] is False
    assert worth(now, question)[2] is True


def test_a_pair_asked_again_is_the_same_question_either_way_round() -> None:
    """While a re-check is open, doubt about its anchor keeps it: closed, it would be asked at once in mirror image."""
    now = state()
    doubtful = np.zeros(len(IDS))
    doubtful[0] = 1.0
    again = State(now.space, now.graph, now.beliefs, doubtful, now.gains)
    waits = Question(QuestionKind.PAIR, IDS[0], (IDS[1],), Purpose.RECHECK, round=1)
    assert worth(again, waits)[2] is False
    [mirrored] = make_pairs(again, Candidates.of([(0, 1, 1.0)]), 1)
    assert worth(again, mirrored)[2] is False
    assert make_pairs(again, Candidates.of([(1, 0, 1.0)]), 1) == []
