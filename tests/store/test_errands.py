"""One process at a time talks to Label Studio about a desk, and knows what an interrupted one left behind."""

from __future__ import annotations

import time

import pytest
from redis import Redis

from pal_backend.errors import InputError, UnavailableError
from pal_backend.store.errands import Errands


@pytest.fixture
def errands(redis: Redis) -> Errands:
    """The errands of a project."""
    return Errands(redis, "digits")


def test_one_at_a_time(errands: Errands) -> None:
    """While an errand runs nobody else gets it; another errand is free; afterwards it is free again."""
    with errands.run("refill", 10):
        with pytest.raises(UnavailableError, match="another process"), errands.run("refill", 10, wait_s=0.1):
            pass
        with errands.run("other", 10, wait_s=0.1):
            pass
    with errands.run("refill", 10, wait_s=0.1) as errand:
        assert not errand.interrupted


def test_a_killed_one_frees_it_in_time(errands: Errands) -> None:
    """The right runs out by itself when its process is gone."""
    errands.run("refill", 0.3).__enter__()
    with errands.run("refill", 10, wait_s=3.0):
        pass


@pytest.mark.parametrize("failure", [UnavailableError("the answer got lost"), KeyboardInterrupt()])
def test_an_uncertain_call_keeps_the_errand_taken(errands: Errands, failure: BaseException) -> None:
    """When nobody knows whether a call took effect, the errand stays taken for a while and the next one is told."""
    with pytest.raises(type(failure)), errands.run("refill", 0.5) as errand, errand.uncertain():
        raise failure
    with pytest.raises(UnavailableError), errands.run("refill", 10, wait_s=0.05):
        pass
    with errands.run("refill", 10, wait_s=3.0) as errand:
        assert errand.interrupted
        errand.recovered()
    with errands.run("refill", 10) as errand:
        assert not errand.interrupted


def test_a_refused_call_leaves_nothing_behind(errands: Errands) -> None:
    """A call that was refused had no effect: the errand is free at once."""
    with pytest.raises(InputError), errands.run("refill", 10) as errand, errand.uncertain():
        raise InputError("no")
    with errands.run("refill", 10, wait_s=0.1) as errand:
        assert not errand.interrupted


def test_whoever_took_too_long_makes_no_call(errands: Errands) -> None:
    """A process whose time ran out may not begin a call that somebody else may be making."""
    called = False
    with errands.run("refill", 0.1) as errand:
        time.sleep(0.2)
        with pytest.raises(UnavailableError, match="took too long"), errand.uncertain():
            called = True
    assert not called
