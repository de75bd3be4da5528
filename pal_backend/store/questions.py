"""Every question we ask or have asked.

Keys:
    ``pal:{p}:questions`` hash question id → JSON of :class:`PostedQuestion`: journalled before it is posted, so that a
    refill killed half-way finds it again; kept when closed.
    ``pal:{p}:tasks`` hash "desk:task" → question id, since Label Studio names tasks.
    ``pal:{p}:open`` set of the ids that are not closed, so that looking for them does not read all that ever were.

A state only moves forward, but for :meth:`Questions.reopen`. A change is made only to the very text that it was made from
(compare and set, tried again otherwise), which is why these methods join no caller's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count
from typing import cast

from redis import Redis

from pal_backend.core.vocabulary import Question, QuestionKind
from pal_backend.errors import NotFoundError, UnavailableError
from pal_backend.store.records import Record, dump, load_question, question_fields

ATTEMPTS = 50
"""Changes lost to others in a row before we give up; a few processes share a project."""
ROUNDS_AT_ONCE = 8

_CHANGE = """
for i = 1, #ARGV, 5 do
  if (redis.call('HGET', KEYS[1], ARGV[i]) or '') ~= ARGV[i + 1] then return 0 end
end
for i = 1, #ARGV, 5 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
  if ARGV[i + 3] ~= '' then redis.call('HSET', KEYS[2], ARGV[i + 3], ARGV[i]) end
  redis.call(ARGV[i + 4] == '1' and 'SADD' or 'SREM', KEYS[3], ARGV[i])
end
return 1
"""


class State(StrEnum):
    """How far a question has come."""

    JOURNALED = "journaled"
    """Written down, perhaps not posted."""
    OPEN = "open"
    """Posted."""
    CLOSED = "closed"
    """Answered, skipped or moot."""


@dataclass(frozen=True)
class PostedQuestion:
    """A question and what became of it."""

    question: Question
    desk: str
    state: State
    task: int | None
    """Label Studio's task id within the desk, once posted."""
    created_at: float
    """Seconds since 1970."""
    posted_at: float | None = None
    closed: str = ""
    """answered, skipped, moot or gone."""
    score: float = 0.5
    """Label Studio's: 1 - informativeness now."""
    probabilities: tuple[float, ...] = ()
    """Calibrated P(same) of each candidate now."""

    @property
    def id(self) -> str:
        """The question's id."""
        return self.question.id


Change = Callable[["PostedQuestion | None"], "PostedQuestion | None"]


class Questions:
    """The questions of one project."""

    def __init__(self, redis: Redis, project: str) -> None:
        self._redis = redis
        self._questions = f"pal:{project}:questions"
        self._tasks = f"pal:{project}:tasks"
        self._open = f"pal:{project}:open"

    def journal(self, question: Question, desk: str, now: float) -> PostedQuestion:
        """Write a question down before it is posted; one that is there already stays as it is, and is returned."""
        fresh = PostedQuestion(
            question=question,
            desk=desk,
            state=State.JOURNALED,
            task=None,
            created_at=now,
            score=1.0 - question.informativeness,
            probabilities=question.probabilities,
        )
        return self._change([question.id], lambda old: old or fresh)[question.id]

    def posted(self, question_id: str, task: int, now: float) -> PostedQuestion:
        """Label Studio has it as ``task``. A second task of the same question leads to it as well; the first one stays.

        Raises:
            NotFoundError: it was never journalled.
        """

        def change(old: PostedQuestion | None) -> PostedQuestion | None:
            if old is None:
                raise NotFoundError(
                    f"question {question_id:.40} is not in the journal; expected journal() before posted(); run `pal sync`"
                )
            state = State.OPEN if old.state is State.JOURNALED else old.state
            return replace(
                old,
                state=state,
                task=task if old.task is None else old.task,
                posted_at=now if old.posted_at is None else old.posted_at,
            )

        return self._change([question_id], change, also_task=task)[question_id]

    def get(self, question_id: str) -> PostedQuestion | None:
        """The question of that id, or None.

        Raises:
            InputError: what is kept about it is malformed.
        """
        text = cast("str | None", self._redis.hget(self._questions, question_id))
        return None if text is None else self._load(question_id, text)

    def by_task(self, desk: str, task: int) -> PostedQuestion | None:
        """The question that a task of Label Studio asks, or None if the task is not ours.

        Raises:
            InputError: what is kept about it is malformed.
        """
        question_id = cast("str | None", self._redis.hget(self._tasks, f"{desk}:{task}"))
        return None if question_id is None else self.get(question_id)

    def all(self) -> list[PostedQuestion]:
        """Every question ever journalled, oldest first.

        Raises:
            InputError: one of them is malformed; the message names its field.
        """
        found = cast("dict[str, str]", self._redis.hgetall(self._questions))
        return sorted((self._load(i, text) for i, text in found.items()), key=lambda q: (q.created_at, q.id))

    def open(self, desk: str | None = None) -> list[PostedQuestion]:
        """Questions of a desk (or of all) that are journalled or posted and not closed, oldest first.

        Raises:
            InputError: one of them is malformed; the message names its field.
        """
        ids = cast("set[str]", self._redis.smembers(self._open))
        found = [posted for posted in self._several(sorted(ids)).values() if posted is not None]
        kept = [q for q in found if q.state is not State.CLOSED and desk in (None, q.desk)]
        return sorted(kept, key=lambda q: (q.created_at, q.id))

    def count(self) -> int:
        """How many questions were ever journalled."""
        return self._redis.hlen(self._questions)

    def close(self, ids: Iterable[str], why: str) -> None:
        """Mark questions as dealt with (answered, skipped, moot, gone); unknown ones are passed over.

        The first reason stays, unless an answer came after all.
        """

        def change(old: PostedQuestion | None) -> PostedQuestion | None:
            if old is None or (old.state is State.CLOSED and why != "answered"):
                return old
            return replace(old, state=State.CLOSED, closed=why)

        self._change(ids, change)

    def reopen(self, ids: Iterable[str]) -> None:
        """Their answers were withdrawn: they are open again, or only journalled if they have no task."""

        def change(old: PostedQuestion | None) -> PostedQuestion | None:
            if old is None or old.state is not State.CLOSED:
                return old
            return replace(old, state=State.JOURNALED if old.task is None else State.OPEN, closed="")

        self._change(ids, change)

    def rescore(self, scores: Mapping[str, tuple[float, tuple[float, ...]]]) -> None:
        """Note the score and the probabilities that questions have now; unknown ones are passed over."""

        def change(old: PostedQuestion | None) -> PostedQuestion | None:
            if old is None:
                return None
            score, probabilities = scores[old.id]
            return replace(old, score=float(score), probabilities=tuple(float(p) for p in probabilities))

        self._change(scores, change)

    def restore(self, posted: PostedQuestion) -> PostedQuestion:
        """Take in a question as a task's meta states it; what is known already and further on stays.

        Used to rebuild the journal from Label Studio after Redis was lost; twice is as good as once.
        """

        def change(old: PostedQuestion | None) -> PostedQuestion | None:
            if old is None:
                return posted
            ahead = _order(posted.state) > _order(old.state)
            return replace(
                old,
                state=posted.state if ahead else old.state,
                closed=posted.closed if ahead else old.closed,
                task=posted.task if old.task is None else old.task,
                posted_at=posted.posted_at if old.posted_at is None else old.posted_at,
            )

        return self._change([posted.id], change, also_task=posted.task)[posted.id]

    def rounds(self, question: Question) -> int:
        """How many times the same kind and samples were journalled; the next one gets this ``round``.

        A pair is the same question whichever of the two is shown first.
        """
        shapes = [question]
        if question.kind is QuestionKind.PAIR:
            shapes.append(replace(question, anchor=question.candidates[0], candidates=(question.anchor,)))
        highest = -1
        for start in count(0, ROUNDS_AT_ONCE):
            ids = [[replace(s, round=start + r).id for s in shapes] for r in range(ROUNDS_AT_ONCE)]
            flat = [question_id for pair in ids for question_id in pair]
            there = {
                i for i, text in zip(flat, self._redis.hmget(self._questions, flat), strict=True) if text is not None
            }
            asked = [start + r for r, same in enumerate(ids) if there.intersection(same)]
            if not asked:
                return highest + 1
            highest = asked[-1]
        raise AssertionError  # count() does not end

    def _change(self, ids: Iterable[str], change: Change, also_task: int | None = None) -> dict[str, PostedQuestion]:
        """Compare and set: ``change`` maps a question as it is (None: unknown) to what it should be (None: leave it)."""
        wanted = list(dict.fromkeys(ids))
        for _ in range(ATTEMPTS if wanted else 0):
            texts = cast("list[str | None]", self._redis.hmget(self._questions, wanted))
            result: dict[str, PostedQuestion] = {}
            arguments: list[str] = []
            for question_id, text in zip(wanted, texts, strict=True):
                old = None if text is None else self._load(question_id, text)
                new = change(old)
                if new is None:
                    continue
                result[question_id] = new
                if new != old or also_task is not None:
                    arguments += self._arguments(question_id, text, new, also_task)
            if not arguments or self._redis.eval(_CHANGE, 3, self._questions, self._tasks, self._open, *arguments):
                return result
        if not wanted:
            return {}
        raise UnavailableError(
            f"{self._questions} changed {ATTEMPTS} times in a row under our hands; expected a few processes to share it; "
            "stop the surplus workers"
        )

    def _arguments(
        self, question_id: str, old: str | None, new: PostedQuestion, also_task: int | None
    ) -> Sequence[str]:
        task = also_task if also_task is not None else new.task
        return (
            question_id,
            old or "",
            _dump(new),
            "" if task is None else f"{new.desk}:{task}",
            "0" if new.state is State.CLOSED else "1",
        )

    def _several(self, ids: Sequence[str]) -> dict[str, PostedQuestion | None]:
        texts = cast("list[str | None]", self._redis.hmget(self._questions, ids)) if ids else []
        return {i: None if t is None else self._load(i, t) for i, t in zip(ids, texts, strict=True)}

    def _load(self, question_id: str, text: str) -> PostedQuestion:
        record = Record(text, f"{self._questions} {question_id:.40}")
        return PostedQuestion(
            question=load_question(Record.of(record.value.get("question"), f"{record.place} question")),
            desk=record.text("desk"),
            state=record.choice("state", State),
            task=record.whole_or_none("task"),
            created_at=record.number("created_at"),
            posted_at=record.number_or_none("posted_at"),
            closed=record.text("closed"),
            score=record.number("score"),
            probabilities=record.numbers("probabilities"),
        )


def _order(state: State) -> int:
    return list(State).index(state)


def _dump(posted: PostedQuestion) -> str:
    return dump(
        {
            "question": question_fields(posted.question),
            "desk": posted.desk,
            "state": posted.state,
            "task": posted.task,
            "created_at": posted.created_at,
            "posted_at": posted.posted_at,
            "closed": posted.closed,
            "score": posted.score,
            "probabilities": list(posted.probabilities),
        }
    )
