"""Projects and desks."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from redis import Redis

from pal_backend.core.choice import Choice
from pal_backend.core.vocabulary import Opinion, QuestionKind
from pal_backend.errors import InputError, NotFoundError
from pal_backend.store.projects import PENDING_LIMIT, Desk, Pending, Project
from pal_backend.store.stores import Stores

DESK = Desk("pairs", QuestionKind.PAIR, 1, 2, 3, prelabel=True, label_studio_url="http://127.0.0.1:8080")
PROJECT = Project(
    "digits", "/pool", (DESK, Desk("screens", QuestionKind.SCREEN, 4, 5, 6, retired=True)), candidates=6, seed=3, opinion=Opinion.SOLVER,
    recipe="scl", backbone="my.net:make", weights="/w.pth", tuning="head", seal="abc",
)  # fmt: skip


def test_a_project_comes_back_as_it_was(stores: Stores) -> None:
    """Every field of project and desks is kept; saving again replaces it."""
    assert stores.projects.find("digits") is None
    stores.projects.save(PROJECT)
    assert stores.projects.get("digits") == PROJECT
    changed = replace(PROJECT, strategy="other", desks=(DESK,))
    stores.projects.save(changed)
    assert stores.projects.get("digits") == changed
    assert stores.projects.names() == ["digits"]


def test_a_project_of_an_earlier_release_chose_nothing(stores: Stores, redis: Redis) -> None:
    """It has the one recipe there was, which nobody chose, and none of the other fields."""
    stores.projects.save(PROJECT)
    fields = json.loads(str(redis.get("pal:digits:config")))
    for name in ("backbone", "weights", "tuning", "seal", "opinion"):
        del fields[name]
    redis.set("pal:digits:config", json.dumps(fields | {"recipe": "simclr"}))
    found = stores.projects.get("digits")
    assert (found.choice, found.opinion) == (Choice(), Opinion.KERNEL)


def test_a_project_survives_the_loss_of_redis(stores: Stores, redis: Redis) -> None:
    """The artefact folder remembers projects; reading them writes nothing back."""
    stores.projects.save(PROJECT)
    redis.flushdb()
    assert stores.projects.names() == ["digits"]
    assert stores.projects.get("digits") == PROJECT
    assert redis.dbsize() == 0


def test_saving_joins_a_callers_transaction(stores: Stores, redis: Redis) -> None:
    """With a pipeline nothing is in Redis until it is executed."""
    with redis.pipeline() as pipe:
        stores.projects.save(PROJECT, pipe)
        assert not redis.exists("pal:projects")
        pipe.execute()
    assert redis.exists("pal:projects")


@pytest.mark.parametrize("name", ["", "-a", "A", "a_b", "a:b", "a/b", "..", "a" * 41, "a\n", "é"])
def test_a_name_that_cannot_stand_in_keys_and_paths_is_refused(stores: Stores, name: str) -> None:
    """Everywhere a name comes in, the message says what a name may be."""
    with pytest.raises(InputError, match="expected 1 to 40"):
        stores.projects.find(name)
    with pytest.raises(InputError):
        Project(name, "/pool", ())
    with pytest.raises(InputError):
        replace(DESK, name=name)
    for store in (stores.events, stores.answers, stores.questions, stores.sittings, stores.versions, stores.revisions):
        with pytest.raises(InputError):
            store(name)


def test_what_is_not_there_is_named_with_what_is(stores: Stores) -> None:
    """An unknown project or desk is a NotFoundError that lists the known ones."""
    with pytest.raises(NotFoundError, match="none yet"):
        stores.projects.get("digits")
    stores.projects.save(PROJECT)
    with pytest.raises(NotFoundError, match="digits"):
        stores.projects.get("letters")
    assert PROJECT.desk("screens").kind is QuestionKind.SCREEN
    with pytest.raises(NotFoundError, match="pairs, screens"):
        PROJECT.desk("other")


@pytest.mark.parametrize(
    "text", ["", "[]", '{"name":"other"}', '{"name":"digits","pool":1}', '{"name":"digits","pool":"/p","desks":[1]}']
)
def test_a_malformed_project_names_its_key(stores: Stores, redis: Redis, text: str) -> None:
    """What somebody else wrote into Redis is an InputError, and does not crash."""
    redis.set("pal:digits:config", text)
    with pytest.raises(InputError, match="pal:digits:config"):
        stores.projects.get("digits")


def test_set_ups_at_the_bare_url_wait_to_be_adopted(stores: Stores) -> None:
    """They are listed until forgotten, each once, and a stranger cannot make them many."""
    stores.projects.note_pending("7.123", "http://ls")
    stores.projects.note_pending("7.123", "http://ls")
    assert stores.projects.pending() == [Pending("7.123", "http://ls")]
    stores.projects.forget_pending("7.123")
    assert stores.projects.pending() == []
    for number in range(PENDING_LIMIT + 20):
        stores.projects.note_pending(f"{number}", "x" * 10_000)
    assert len(stores.projects.pending()) == PENDING_LIMIT
