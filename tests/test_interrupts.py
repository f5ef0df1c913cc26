"""A signal whose exception Python drops is not lost."""

import gc
import os
import signal
import time
from contextlib import suppress

import pytest

from orchestrator.interrupts import sure_interrupts


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    time.sleep(10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_the_block(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), sure_interrupts():
        send(number)
    assert signal.getsignal(number) is before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_dropped_in_a_finalizer_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.interrupts._AGAIN_S", 0.2)
    passed = []

    class Finalized:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.05)  # the exception is raised here, and ignored

    def swallow() -> None:
        one = Finalized()
        del one
        gc.collect()
        passed.append("dropped")
        time.sleep(120)

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt), sure_interrupts():
        swallow()
    assert passed == ["dropped"]
    assert time.monotonic() - begin < 60


def test_a_signal_that_is_caught_inside_still_counts() -> None:
    with pytest.raises(KeyboardInterrupt), sure_interrupts(), suppress(KeyboardInterrupt):
        send(signal.SIGINT)


def test_without_a_signal_nothing_happens() -> None:
    before = signal.getsignal(signal.SIGINT)
    with sure_interrupts():
        pass
    assert signal.getsignal(signal.SIGINT) is before


def work_on(done: list[str]) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)
    done.append("still at work")


def test_the_first_signal_lets_work_end_in_order_and_the_second_raises() -> None:
    done: list[str] = []

    def work() -> None:
        work_on(done)
        send(signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt), sure_interrupts(first=lambda: done.append("stop")):
        work()
    assert done == ["stop", "still at work"]


def test_work_that_ended_in_order_was_still_interrupted() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), sure_interrupts(first=lambda: None):
        work_on(done)
    assert done == ["still at work"]
