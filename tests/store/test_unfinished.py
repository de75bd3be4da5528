"""What a training under way keeps."""

from __future__ import annotations

import pytest

from pal_backend.core.choice import Choice
from pal_backend.errors import ConflictError
from pal_backend.store.stores import Stores
from pal_backend.store.unfinished import Start, Unfinished
from tests.store.values import annotation

START = Start(7, "v0003", Choice("vicreg", "small", "", "full"), (annotation(1), annotation(2)))


@pytest.fixture
def unfinished(stores: Stores) -> Unfinished:
    """That of one project."""
    return stores.unfinished("digits")


def test_what_it_started_from_and_its_last_checkpoint_come_back(unfinished: Unfinished) -> None:
    """Answers, version, choice and the newest checkpoint, for the next attempt too; nothing is there before."""
    attempt = unfinished.claim()
    assert (unfinished.start(), unfinished.checkpoint(), unfinished.prior()) == (None, None, None)
    unfinished.begin(attempt, START)
    unfinished.keep(attempt, b"first")
    unfinished.keep(attempt, b"second")
    unfinished.keep_prior(attempt, b"near")
    unfinished.claim()
    found = unfinished.start()
    assert found is not None
    assert (found.revision, found.version, found.choice, found.annotations) == (
        7,
        "v0003",
        START.choice,
        START.annotations,
    )
    assert (unfinished.checkpoint(), unfinished.prior()) == (b"second", b"near")
    assert found.begun_by(7, "v0003", START.choice)
    assert not any(
        found.begun_by(*other)
        for other in ((8, "v0003", START.choice), (7, "v0004", START.choice), (7, "v0003", Choice()))
    )


def test_a_new_start_forgets_checkpoint_and_prior_of_the_one_before(unfinished: Unfinished) -> None:
    """They belong to other answers."""
    attempt = unfinished.claim()
    unfinished.begin(attempt, START)
    unfinished.keep(attempt, b"old")
    unfinished.keep_prior(attempt, b"old")
    unfinished.begin(attempt, START)
    assert (unfinished.checkpoint(), unfinished.prior()) == (None, None)


def test_an_attempt_that_was_overtaken_writes_nothing(unfinished: Unfinished) -> None:
    """An orphan whose job was started again is told to end, and cannot remove what its successor needs."""
    orphan = unfinished.claim()
    unfinished.begin(orphan, START)
    successor = unfinished.claim()
    unfinished.keep(successor, b"mine")
    for write in (
        lambda: unfinished.keep(orphan, b"theirs"),
        lambda: unfinished.keep_prior(orphan, b"theirs"),
        lambda: unfinished.begin(orphan, START),
    ):
        with pytest.raises(ConflictError, match="overtaken"):
            write()
    unfinished.finish(orphan)
    assert unfinished.checkpoint() == b"mine"


def test_a_finished_training_leaves_nothing(unfinished: Unfinished) -> None:
    """Its version is published."""
    attempt = unfinished.claim()
    unfinished.begin(attempt, START)
    unfinished.keep(attempt, b"x")
    unfinished.finish(attempt)
    assert (unfinished.start(), unfinished.checkpoint()) == (None, None)


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"revision":"x","version":"v0003","choice":{}}'])
def test_a_start_that_cannot_be_read_counts_as_none(unfinished: Unfinished, stores: Stores, content: bytes) -> None:
    """The training begins anew instead of failing for ever."""
    unfinished.begin(unfinished.claim(), START)
    stores.artefacts.write_file("projects/digits/training/start/start.json", content)
    assert unfinished.start() is None
