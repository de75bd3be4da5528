"""Annotations, tombstones, and the transaction that folds events in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from pal_backend import wire
from pal_backend.core.vocabulary import Annotation, AnnotationKey, Purpose, Verdict
from pal_backend.errors import InputError
from pal_backend.store.answers import Answers, Held, Withdrawn
from pal_backend.store.events import Events
from tests.store.values import annotation, annotations, keys

FAST = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
History = Sequence[Annotation | AnnotationKey]
"""Puts and withdrawals as they are told to us."""
histories = st.lists(annotations(st.integers(0, 3)) | keys, max_size=12)


def tell(answers: Answers, history: History) -> None:
    """Each entry in a transaction of its own."""
    for entry in history:
        if isinstance(entry, Annotation):
            answers.put([entry])
        else:
            answers.withdraw([entry])


def state(redis: Redis) -> tuple[dict[str, str], dict[str, str]]:
    """All that is kept."""
    return redis.hgetall("pal:p:answers"), redis.hgetall("pal:p:tombstones")


@given(history=histories, data=st.data())
@FAST
def test_order_and_repetition_do_not_matter(redis: Redis, history: History, data: st.DataObject) -> None:
    """The same puts, updates and deletes in any order, any of them twice, leave the same answers and tombstones."""
    redis.flushdb()
    tell(Answers(redis, "p"), history)
    expected = state(redis)
    again = data.draw(
        st.permutations(
            [*history, *data.draw(st.lists(st.sampled_from(history), max_size=5) if history else st.just([]))]
        )
    )
    redis.flushdb()
    tell(Answers(redis, "p"), again)
    assert state(redis) == expected


@given(history=histories)
@FAST
def test_the_state_is_what_a_plain_model_says(redis: Redis, history: History) -> None:
    """Kept is, for each key that was never withdrawn, the newest annotation; withdrawn are just the keys withdrawn."""
    redis.flushdb()
    answers = Answers(redis, "p")
    tell(answers, history)
    gone = {entry for entry in history if isinstance(entry, AnnotationKey)}
    newest: dict[AnnotationKey, int] = {}
    for entry in history:
        if isinstance(entry, Annotation) and entry.key not in gone:
            newest[entry.key] = max(entry.updated_at, newest.get(entry.key, 0))
    assert answers.keys() == newest
    assert {w.key for w in answers.withdrawn()} == gone
    assert answers.count() == len(newest) == len(answers.all())
    assert all(kept in history for kept in answers.all())


@given(history=histories)
@FAST
def test_one_batch_is_as_good_as_many(redis: Redis, history: History) -> None:
    """A whole batch applied at once leaves the state that its entries leave one by one, and reports the difference."""
    redis.flushdb()
    answers = Answers(redis, "p")
    tell(answers, history)
    expected, kept = state(redis), answers.all()
    redis.flushdb()
    put = [entry for entry in history if isinstance(entry, Annotation)]
    withdraw = [entry for entry in history if isinstance(entry, AnnotationKey)]
    applied = answers.apply(put=put, withdraw=withdraw)
    assert state(redis) == expected
    assert sorted(applied.put, key=lambda a: a.key) == kept
    assert answers.apply(put=put, withdraw=withdraw) == ([], [])


@given(value=annotations())
@FAST
def test_every_annotation_comes_back_as_it_was(redis: Redis, value: Annotation) -> None:
    """JSON keeps every field of every annotation, odd text and extreme numbers among them."""
    redis.flushdb()
    answers = Answers(redis, "p")
    assert answers.put([value]) == [value]
    assert answers.all() == [value]
    assert answers.get(value.key) == value


def test_answers_from_before_they_had_a_purpose_are_read(redis: Redis) -> None:
    """A record of an earlier release counts as asked to place a sample."""
    answers = Answers(redis, "p")
    verified = replace(annotation(1, 10), answers=(replace(annotation(1, 10).answers[0], purpose=Purpose.VERIFY),))
    answers.put([verified])
    assert answers.all() == [verified]
    text = str(redis.hget("pal:p:answers", str(verified.key)))
    redis.hset("pal:p:answers", str(verified.key), text.replace(',"verify",""]', "]"))
    assert [a.purpose for a in answers.all()[0].answers] == [Purpose.PLACE]


def test_a_late_update_does_not_revive_what_was_deleted(redis: Redis) -> None:
    """A tombstone blocks older and newer updates for ever, also when the delete came first of all."""
    answers = Answers(redis, "p")
    key = AnnotationKey("pairs", 1)
    assert answers.withdraw([key]) == []
    assert answers.put([annotation(1, 10), annotation(1, 2**52)]) == []
    assert answers.withdrawn([key]) == [Withdrawn(key, 2**52, "0" * 16)]
    assert answers.withdrawn([AnnotationKey("pairs", 2)]) == answers.withdrawn([]) == []
    answers.put([annotation(2, 5)])
    assert answers.withdraw([AnnotationKey("pairs", 2)]) == [AnnotationKey("pairs", 2)]
    assert [w.updated_at for w in answers.withdrawn()] == [2**52, 5]


def test_an_update_replaces_the_whole_set(redis: Redis) -> None:
    """The newer annotation wins with all its answers; the same one twice, or an older one, changes nothing."""
    answers = Answers(redis, "p")
    old, new = annotation(1, 10), annotation(1, 11, Verdict.DIFFERENT)
    assert answers.put([old]) == [old]
    assert answers.put([new]) == [new]
    assert answers.put([new, old, new]) == []
    assert answers.all() == [new]


def test_answers_and_cursor_are_one_transaction(redis: Redis) -> None:
    """A transaction that fails half-way changes neither answers nor tombstones nor cursor, and may be tried again."""
    answers, events = Answers(redis, "p"), Events(redis, "p")
    event_id = events.append(wire.Deleted(annotations=(1,)), 1.0)
    redis.set("pal:p:tombstones", "of another type")
    with pytest.raises(Exception, match="WRONGTYPE"):
        answers.apply(put=[annotation(1)], withdraw=[AnnotationKey("pairs", 2)], cursor=event_id, events=events)
    assert answers.count() == 0
    assert events.cursor() == "0-0" and events.pending()
    redis.delete("pal:p:tombstones")
    answers.apply(put=[annotation(1)], withdraw=[AnnotationKey("pairs", 2)], cursor=event_id, events=events)
    assert answers.count() == 1 and len(answers.withdrawn()) == 1
    assert events.cursor() == event_id and not events.pending()


def test_applying_the_same_events_again_changes_nothing(redis: Redis) -> None:
    """A worker killed after the commit but before it knew applies twice; nothing differs and the cursor never goes back."""
    answers, events = Answers(redis, "p"), Events(redis, "p")
    first, second = (events.append(wire.Deleted(annotations=(n,)), 1.0) for n in (1, 2))
    assert answers.apply(put=[annotation(1)], cursor=second).put == [annotation(1)]
    assert answers.apply(put=[annotation(1)], cursor=first) == ([], [])
    assert events.cursor() == second


def test_many_are_put_in_batches(redis: Redis) -> None:
    """More than one batch of annotations arrives whole, and is withdrawn whole."""
    answers = Answers(redis, "p")
    many = [annotation(number) for number in range(1, 1203)]
    assert len(answers.put(many)) == answers.count() == 1202
    assert len(answers.withdraw(a.key for a in many)) == 1202
    assert answers.count() == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"updated_at":1e999}',
        '{"updated_at":NaN}',
        "[" * 100_000,
        '{"updated_at":1,"question":"q","task":1,"annotator":"","answers":[[1,2,3]]}',
        '{"updated_at":1,"question":"q","task":1,"annotator":"","answers":[["b","a","same","manual",null]]}',
        '{"updated_at":1,"question":"q","task":1,"annotator":"","answers":[["a","b","perhaps","manual",null]]}',
        '{"updated_at":1,"question":"q","task":1,"annotator":"","answers":[["a","b","same","manual","x"]]}',
        '{"updated_at":1,"question":"q","task":1,"annotator":"","answers":[["a","b","same","manual",null,"fun",""]]}',
        '{"updated_at":1,"question":"q","task":1,"annotator":"","answers":[["a","b","same","manual",null,"place","c"]]}',
        '{"updated_at":1,"question":"q","task":true,"annotator":"","answers":[]}',
    ],
)
def test_a_malformed_record_names_its_place(redis: Redis, text: str) -> None:
    """What somebody else wrote into Redis is an InputError that names key and field; a good annotation replaces it."""
    answers = Answers(redis, "p")
    redis.hset("pal:p:answers", "pairs:1", text)
    with pytest.raises(InputError, match=r"pal:p:answers pairs:1"):
        answers.all()
    answers.put([annotation(1, 2)])
    assert answers.all() == [annotation(1, 2)]


def test_malformed_keys_and_tombstones_name_their_place(redis: Redis) -> None:
    """A field that is no annotation key, and a tombstone without a time, are InputErrors."""
    answers = Answers(redis, "p")
    redis.hset("pal:p:answers", "nonsense", "{}")
    with pytest.raises(InputError, match="expected desk:number"):
        answers.keys()
    redis.hset("pal:p:tombstones", "pairs:1", "soon")
    with pytest.raises(InputError, match="pal:p:tombstones pairs:1"):
        answers.withdrawn()


def test_an_annotation_with_somebody_elses_answer_is_refused(redis: Redis) -> None:
    """A caller's mistake is a ValueError before anything is written."""
    wrong = annotation(1)
    object.__setattr__(wrong, "answers", annotation(2).answers)
    with pytest.raises(ValueError, match="pairs:1"):
        Answers(redis, "p").put([wrong])
    with pytest.raises(ValueError, match="microseconds"):
        Answers(redis, "p").put([annotation(1, -1)])


def test_what_vanished_at_once_is_held_until_released(redis: Redis) -> None:
    """A report stands until it is replaced or released, and withdraws nothing."""
    answers = Answers(redis, "p")
    answers.put([annotation(1)])
    assert answers.held() is None
    answers.hold([AnnotationKey("pairs", 2), AnnotationKey("pairs", 1)], "tasks were deleted")
    assert answers.held() == Held((AnnotationKey("pairs", 1), AnnotationKey("pairs", 2)), "tasks were deleted")
    assert answers.count() == 1
    answers.release()
    assert answers.held() is None


@given(history=histories)
@FAST
def test_the_latest_are_those_changed_last(redis: Redis, history: History) -> None:
    """Newest first, of what is kept and no other."""
    redis.flushdb()
    answers = Answers(redis, "p")
    tell(answers, history)
    latest = answers.latest(1000)
    assert sorted(latest, key=lambda a: a.key) == answers.all()
    assert [a.updated_at for a in latest] == sorted((a.updated_at for a in latest), reverse=True)
    assert answers.latest(2) == latest[:2]


def test_only_a_thousand_of_the_latest_are_remembered(redis: Redis) -> None:
    """So that looking at them takes as long with a million."""
    answers = Answers(redis, "p")
    answers.put([replace(annotation(number), updated_at=number, answers=()) for number in range(1, 1203)])
    assert redis.zcard("pal:p:latest") == 1000
    assert [a.updated_at for a in answers.latest(3)] == [1202, 1201, 1200]
