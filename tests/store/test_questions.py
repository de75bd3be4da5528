"""The journal of questions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from pal_backend.core.vocabulary import Question
from pal_backend.errors import InputError, NotFoundError
from pal_backend.store.connection import connect
from pal_backend.store.questions import PostedQuestion, Questions, State
from tests.store.values import SAMPLES, pair_question, questions

FAST = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(question=questions())
@FAST
def test_every_question_comes_back_as_it_was(redis: Redis, question: Question) -> None:
    """JSON keeps every field of every question."""
    redis.flushdb()
    journal = Questions(redis, "p")
    written = journal.journal(question, "pairs", 12.25)
    assert written.question == question and written.score == 1.0 - question.informativeness
    assert journal.get(question.id) == written
    assert journal.all() == [written]


def test_a_question_from_before_there_were_gains_is_read(redis: Redis) -> None:
    """A record of an earlier release has no gain, which counts as not known, and no checks."""
    journal = Questions(redis, "p")
    question = pair_question(gain=2.5)
    journal.journal(question, "pairs", 1.0)
    text = str(redis.hget("pal:p:questions", question.id))
    redis.hset("pal:p:questions", question.id, text.replace(',"gain":2.5,"checks":[]', ""))
    assert [posted.question for posted in journal.all()] == [replace(question, gain=0.0)]


def test_the_life_of_a_question(redis: Redis) -> None:
    """Journalled, posted, answered: each step is seen by id and by task, and open() knows just the living."""
    journal = Questions(redis, "p")
    question = pair_question(probabilities=(0.5,), informativeness=0.75)
    fresh = journal.journal(question, "pairs", 1.0)
    assert (fresh.state, fresh.task, fresh.score, fresh.probabilities) == (State.JOURNALED, None, 0.25, (0.5,))
    assert journal.by_task("pairs", 7) is None
    journal.posted(question.id, 7, 2.0)
    found = journal.by_task("pairs", 7)
    assert found == replace(fresh, state=State.OPEN, task=7, posted_at=2.0)
    assert journal.by_task("screens", 7) is None
    assert journal.open() == journal.open("pairs") == [found] and journal.open("screens") == []
    journal.close([question.id, "unknown"], "answered")
    assert journal.open() == [] and journal.all()[0].closed == "answered"
    journal.reopen([question.id, "unknown"])
    assert journal.open() == [found]


def test_states_only_move_forward(redis: Redis) -> None:
    """Journalling again, or posting what is closed, does not bring a question back."""
    journal = Questions(redis, "p")
    question = pair_question()
    journal.journal(question, "pairs", 1.0)
    journal.close([question.id], "moot")
    assert journal.posted(question.id, 7, 2.0).state is State.CLOSED
    assert journal.journal(question, "pairs", 9.0).state is State.CLOSED
    found = journal.by_task("pairs", 7)
    assert found is not None and found.closed == "moot" and found.created_at == 1.0
    journal.close([question.id], "gone")
    assert journal.all()[0].closed == "moot"
    journal.close([question.id], "answered")
    assert journal.all()[0].closed == "answered"


def test_a_question_closed_before_it_was_posted_reopens_as_journalled(redis: Redis) -> None:
    """Reopening gives the state that the task, or its absence, says."""
    journal = Questions(redis, "p")
    question = pair_question()
    journal.journal(question, "pairs", 1.0)
    journal.close([question.id], "moot")
    journal.reopen([question.id])
    assert [posted.state for posted in journal.open()] == [State.JOURNALED]


def test_a_question_posted_twice_is_found_by_either_task(redis: Redis) -> None:
    """A refill killed after the import may post a second task; answers to both are understood."""
    journal = Questions(redis, "p")
    question = pair_question()
    journal.journal(question, "pairs", 1.0)
    journal.posted(question.id, 7, 2.0)
    journal.posted(question.id, 8, 3.0)
    first, second = journal.by_task("pairs", 7), journal.by_task("pairs", 8)
    assert first == second and first is not None
    assert (first.task, first.posted_at) == (7, 2.0)


def test_posting_what_was_never_journalled_is_an_error(redis: Redis) -> None:
    """Journal before posting; the message says so."""
    with pytest.raises(NotFoundError, match="journal"):
        Questions(redis, "p").posted("0" * 16, 7, 1.0)


def test_rescoring_changes_score_and_probabilities_alone(redis: Redis) -> None:
    """Scores move, states stay; unknown questions are passed over."""
    journal = Questions(redis, "p")
    question = pair_question()
    before = journal.journal(question, "pairs", 1.0)
    journal.rescore({question.id: (0.125, (0.75,)), "unknown": (0.5, ())})
    assert journal.get(question.id) == replace(before, score=0.125, probabilities=(0.75,))
    assert journal.count() == 1


@given(question=questions(), others=st.lists(st.sampled_from(["journal", "posted", "close"]), max_size=3))
@FAST
def test_restoring_is_idempotent_and_never_goes_back(redis: Redis, question: Question, others: list[str]) -> None:
    """From a task's meta a question is rebuilt; what is known and further on stays; twice is as good as once."""
    redis.flushdb()
    journal = Questions(redis, "p")
    for act in others:
        journal.journal(question, "desk", 1.0)
        if act == "posted":
            journal.posted(question.id, 3, 2.0)
        if act == "close":
            journal.close([question.id], "answered")
    before = journal.get(question.id)
    restored = PostedQuestion(question, "desk", State.OPEN, 3, 5.0, 5.0)
    once = journal.restore(restored)
    assert journal.restore(restored) == once == journal.by_task("desk", 3)
    if before is None:
        assert once == restored
    else:
        assert once.state is (State.CLOSED if before.state is State.CLOSED else State.OPEN)
        assert once.created_at == before.created_at and once.task == 3


def test_a_closed_question_is_restored_closed(redis: Redis) -> None:
    """A task that has annotations comes back as answered, and is not open."""
    journal = Questions(redis, "p")
    posted = PostedQuestion(pair_question(), "desk", State.CLOSED, 3, 5.0, 5.0, closed="answered")
    journal.restore(posted)
    assert journal.open() == [] and journal.by_task("desk", 3) == posted


def test_rounds_count_the_same_samples_in_either_order(redis: Redis) -> None:
    """A pair is the same question whichever is shown first; other samples and other kinds do not count."""
    journal = Questions(redis, "p")
    assert journal.rounds(pair_question(0, 1)) == 0
    for number in range(20):
        question = pair_question(0, 1) if number % 2 else pair_question(1, 0)
        journal.journal(replace(question, round=journal.rounds(question)), "pairs", 1.0)
        assert journal.rounds(pair_question(0, 1)) == journal.rounds(pair_question(1, 0)) == number + 1
    assert journal.rounds(pair_question(0, 2)) == 0
    assert journal.count() == 20


def test_changes_from_many_sides_are_all_kept(redis_url: str, redis: Redis) -> None:
    """Learn rescores while refill posts and closes: no change overwrites another."""
    journal = Questions(redis, "p")
    asked = [pair_question(0, other, round=number) for other in range(1, 8) for number in range(3)]
    for question in asked:
        journal.journal(question, "pairs", 1.0)

    def rescore(number: int) -> None:
        with connect(redis_url) as client:
            for question in asked:
                Questions(client, "p").rescore({question.id: (number / 100, ())})

    def post(_: int) -> None:
        with connect(redis_url) as client:
            for task, question in enumerate(asked):
                Questions(client, "p").posted(question.id, task, 2.0)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda work: work[0](work[1]), [(rescore, 1), (post, 0), (rescore, 2), (post, 1)]))
    assert all(posted.state is State.OPEN and posted.score in (0.01, 0.02) for posted in journal.all())
    assert {journal.by_task("pairs", task).id for task in range(len(asked))} == {q.id for q in asked}  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"question":{}}', '{"question":7,"desk":"d"}'])
def test_a_malformed_question_names_its_place(redis: Redis, text: str) -> None:
    """What somebody else wrote into Redis is an InputError that names key and field."""
    redis.hset("pal:p:questions", SAMPLES[0], text)
    redis.sadd("pal:p:open", SAMPLES[0])
    for look in (Questions(redis, "p").all, Questions(redis, "p").open):
        with pytest.raises(InputError, match=f"pal:p:questions {SAMPLES[0]}"):
            look()
