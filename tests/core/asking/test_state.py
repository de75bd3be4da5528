from pal_backend.core.asking.state import State
from pal_backend.core.learner import Learner
from pal_backend.core.vocabulary import Question, QuestionKind
from tests.core.worlds import clusters, said

SPACE, _ = clusters(groups=2, each=10)
IDS = SPACE.sample_ids


def state() -> State:
    """Two groups; the first has three members, IDS[0] the best confirmed."""
    learner = Learner(SPACE)
    learner.set_answers(
        [said(1, IDS[0], IDS[1], "same"), said(2, IDS[0], IDS[2], "same"), said(3, IDS[0], IDS[10], "different")]
    )
    return State.of(SPACE, learner.graph, learner.beliefs, learner.seams)


def test_the_best_confirmed_member_represents() -> None:
    """A sample not asked about meets the best confirmed member; one that met it meets another."""
    now = state()
    assert now.representative(0, 5) == 0
    assert now.representative(0, 1) == 2
    assert now.representative(0, 10) in (1, 2)


def test_open_pairs_are_not_offered() -> None:
    """With its question open a sample is compared with somebody else, or nobody."""
    open_now = state().with_open(
        [Question(QuestionKind.PAIR, IDS[0], (IDS[5],)), Question(QuestionKind.PAIR, IDS[10], (IDS[6],))]
    )
    assert open_now.open_rows == {5, 6}
    assert open_now.representative(0, 5) in (1, 2)
    assert open_now.representative(1, 6) == -1


def test_unknown_samples_in_open_questions_are_ignored() -> None:
    """A question about a sample of another version does not count as open here."""
    assert state().with_open([Question(QuestionKind.PAIR, IDS[0], ("gone",))]).open_rows == frozenset()


def test_members_of_two_groups_take_turns_to_meet() -> None:
    """Who met the other group least comes next, with somebody it did not meet, the best confirmed first."""
    answers = [said(1, IDS[0], IDS[1], "same"), said(2, IDS[0], IDS[2], "same"), said(3, IDS[10], IDS[11], "same")]
    met = []
    for number in range(4, 9):
        answers.append(said(number, *(met[-1] if met else (IDS[0], IDS[10])), "different"))
        learner = Learner(SPACE)
        learner.set_answers(answers)
        now = State.of(SPACE, learner.graph, learner.beliefs, learner.seams)
        pair = now.meeting(0, 1)
        assert pair is not None
        assert pair[2] == (number - 3) // 3, "nobody meets a second time before all have met"
        met.append((IDS[pair[0]], IDS[pair[1]]))
    assert [a for a, _ in met[:2]] == [IDS[1], IDS[2]] and met[2][0] == IDS[0]
    assert len(set(met)) == 5 and (IDS[0], IDS[10]) not in met, "six pairs, none twice"


def test_members_in_open_questions_do_not_meet() -> None:
    """Two groups of one member each have nothing to ask while their question is open."""
    learner = Learner(SPACE)
    learner.set_answers([said(1, IDS[0], IDS[10], "different")])
    now = State.of(SPACE, learner.graph, learner.beliefs, learner.seams)
    *pair, times = now.meeting(1, 0) or ()
    assert set(pair) == {0, 10} and times == 1
    assert now.with_open([Question(QuestionKind.PAIR, IDS[0], (IDS[10],))]).meeting(1, 0) is None
