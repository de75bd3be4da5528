"""The desks of a simulation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pal_backend.core.learner import Learner
from pal_backend.core.vocabulary import Question, QuestionKind
from pal_backend.simulation_desks import Desks
from tests.core.worlds import clusters, truthful

SPACE, LABELS = clusters(groups=3, each=20)
IDS = SPACE.sample_ids


def test_seconds_follow_the_size_of_a_screen() -> None:
    """Typical seconds where none are given; a half-full screen takes less than a full one, in the typical proportion."""
    full = Question(QuestionKind.SCREEN, IDS[0], IDS[1:9])
    pair = Question(QuestionKind.PAIR, IDS[0], (IDS[1],))
    assumed, told = Desks.of("mixed", 8, 1), Desks.of("mixed", 8, 1, 2.0, 24.0)
    assert [assumed.seconds(q) for q in (pair, full, replace(full, candidates=IDS[1:5]))] == [4.0, 12.0, 8.0]
    assert [told.seconds(q) for q in (pair, full, replace(full, candidates=IDS[1:5]))] == [2.0, 24.0, 16.0]


def test_each_desk_keeps_its_own_open_questions() -> None:
    """Questions are open on both desks once both were asked at, and no pair twice."""
    desks, learner = Desks.of("mixed", 4, 3), Learner(SPACE)
    taken: list[Question] = []
    for number, seconds in enumerate([(1000.0, 1.0), (1.0, 1000.0)] * 2):
        desks.seconds_per_pair, desks.seconds_per_screen = seconds
        question = desks.take(learner)
        assert question is not None
        learner.update(truthful(number, question, SPACE, LABELS), ())
        taken.append(question)
    assert [question.kind for question in taken] == [QuestionKind.SCREEN, QuestionKind.PAIR] * 2
    asked = [pair for question in taken for pair in question.pairs]
    assert len(asked) == len(set(asked))


def test_a_single_desk_is_never_ranked(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one kind nothing is computed to compare kinds: one look at the learner for one question."""
    learner, calls = Learner(SPACE), []
    ask = learner.ask
    monkeypatch.setattr(learner, "ask", lambda *a, **k: (calls.append(k["kind"]), ask(*a, **k))[1])
    Desks.of("screens", 4, 1).take(learner)
    assert calls == [QuestionKind.SCREEN]
