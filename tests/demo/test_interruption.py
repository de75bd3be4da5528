"""Signals that end the demo."""

import os
import signal

import pytest

from pal_backend.demo.interruption import SIGNALS, Interrupted, interruptible


@pytest.mark.parametrize("signum", SIGNALS)
def test_the_first_signal_interrupts(signum: signal.Signals) -> None:
    """Ctrl-C, SIGTERM and a closed terminal end it the same way."""
    with interruptible() as interruption:
        with pytest.raises(Interrupted, match=signum.name):
            os.kill(os.getpid(), signum)
        assert not interruption.hurry


def test_a_second_one_makes_it_hurry() -> None:
    """It raises nothing, so that the end in order is not broken off."""
    with interruptible() as interruption:
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.hurry


def test_an_end_for_another_reason_is_not_interrupted() -> None:
    """Once the processes are being stopped one signal only makes it hurry."""
    with interruptible() as interruption:
        interruption.ignore_first()
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.hurry


def test_handlers_are_given_back() -> None:
    """Afterwards signals do what they did before."""
    before = [signal.getsignal(signum) for signum in SIGNALS]
    with interruptible():
        pass
    assert [signal.getsignal(signum) for signum in SIGNALS] == before
