"""The policy of restarts, as a table, and what counts as a failure at one step."""

from dataclasses import replace

import pytest

from orchestrator.restarts import STARTS, Ended, Loss, Next, Tally, decide, failed_twice
from trainers.entries import Attempt, End, Entry
from trainers.interruption import Cause

FAILED = End(Cause.FAILED, 0, 3, "ValueError: no", "Traceback …")
OURS = replace(FAILED, ours=True)
PREEMPTED = End(Cause.PREEMPTED, 0, 3)
STOPPED = End(Cause.STOPPED, 0, 3)

WORKER, MACHINE, CONTROLLER, START = Loss
SHARE = {"shares_gpu": True}
ON = {"got_on": True}


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        # Its worker came back.
        (Ended(), Next.LEAVE),
        (Ended(last=STOPPED), Next.LEAVE),
        (Ended(last=replace(STOPPED, cause=Cause.STAGE_OVER)), Next.LEAVE),
        (Ended(last=FAILED), Next.LEAVE),  # an error of ours: it would come again
        (Ended(last=PREEMPTED), Next.AGAIN),
        (Ended(last=PREEMPTED, **SHARE), Next.AGAIN),
        # It did not, but all is there.
        (Ended(WORKER, is_over=True), Next.LEAVE),
        (Ended(CONTROLLER, is_over=True), Next.LEAVE),
        (Ended(WORKER, OURS, is_over=True, **SHARE), Next.LEAVE),
        # It did not.
        (Ended(WORKER), Next.AGAIN),
        (Ended(WORKER, FAILED), Next.AGAIN),
        (Ended(WORKER, PREEMPTED), Next.AGAIN),
        (Ended(MACHINE), Next.AGAIN),
        (Ended(CONTROLLER), Next.AGAIN),
        (Ended(START), Next.AGAIN),
        (Ended(WORKER, FAILED, repeats=True), Next.GIVE_UP),
        (Ended(WORKER, FAILED, repeats=True, **ON), Next.GIVE_UP),
        # On a GPU that it shares want of memory shows in any way.
        (Ended(WORKER, **SHARE), Next.WHOLE_GPU),
        (Ended(WORKER, FAILED, **SHARE), Next.WHOLE_GPU),
        (Ended(CONTROLLER, **SHARE), Next.WHOLE_GPU),
        (Ended(WORKER, OURS, **SHARE), Next.AGAIN),
        (Ended(WORKER, PREEMPTED, **SHARE), Next.AGAIN),
        (Ended(MACHINE, **SHARE), Next.AGAIN),
        (Ended(START, **SHARE), Next.AGAIN),
    ],
)
def test_what_is_done_after_a_first_attempt(ended: Ended, expected: Next):
    assert decide(ended, Tally(), max_failures=2)[0] is expected


def outcome(*attempts: Ended, max_failures: int = 2) -> tuple[int, Next]:
    """How many attempts there were, and what was done after the last."""
    tally = Tally()
    for number, ended in enumerate(attempts, start=1):
        what, tally = decide(ended, tally, max_failures)
        if what is not Next.AGAIN:
            return number, what
    return len(attempts), Next.AGAIN


LOST, LOST_ON = Ended(WORKER), Ended(WORKER, **ON)


@pytest.mark.parametrize(
    ("attempts", "max_failures", "expected"),
    [
        ([LOST] * 9, 2, (3, Next.GIVE_UP)),
        ([LOST] * 9, 0, (1, Next.GIVE_UP)),
        ([LOST, Ended(CONTROLLER), LOST], 2, (3, Next.GIVE_UP)),
        # Whoever gets on may fail as often as he likes.
        ([LOST_ON] * 9, 2, (9, Next.AGAIN)),
        ([LOST_ON] * 9, 0, (9, Next.AGAIN)),
        ([LOST, LOST, LOST_ON, LOST, LOST], 2, (5, Next.GIVE_UP)),
        ([Ended(MACHINE)] * 99, 0, (99, Next.AGAIN)),
        ([LOST, LOST, Ended(MACHINE), LOST, LOST], 2, (5, Next.AGAIN)),
        ([LOST, LOST, Ended(last=PREEMPTED), LOST, LOST], 2, (5, Next.AGAIN)),
        # Starts that come to no attempt have a count of their own.
        ([Ended(START)] * 99, 0, (STARTS, Next.GIVE_UP)),
        ([LOST, LOST, Ended(START), LOST], 2, (4, Next.GIVE_UP)),
        ([Ended(START)] * (STARTS - 1) + [LOST] + [Ended(START)] * 3, 2, (STARTS + 3, Next.AGAIN)),
    ],
)
def test_how_often_a_trial_is_started_again(
    attempts: list[Ended], max_failures: int, expected: tuple[int, Next]
):
    assert outcome(*attempts, max_failures=max_failures) == expected


def attempt(end: End | None = None, session: str = "one", shared_gpu: bool = False) -> list[Entry]:
    begun = Attempt(0.0, session, "host", 1, None, None, shared_gpu=shared_gpu)
    return [begun] if end is None else [begun, end]


MEMORY = replace(FAILED, cause=Cause.OUT_OF_MEMORY)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (attempt(FAILED), None),
        (attempt(FAILED) + attempt(MEMORY), MEMORY),
        (attempt(FAILED) + attempt(replace(FAILED, step=4)), None),
        (attempt(FAILED) + attempt(replace(FAILED, epoch=1)), None),
        # It ended before it had taken up its checkpoint: not by that step.
        (attempt(FAILED) + attempt(replace(FAILED, is_on=False)), None),
        (attempt(FAILED) + attempt() + attempt(FAILED), None),
        (attempt(FAILED) + attempt(PREEMPTED) + attempt(FAILED), None),
        # A new command has two tries too.
        (attempt(FAILED, "zero") * 2, None),
        (attempt(FAILED, "zero") * 2 + attempt(FAILED), None),
        (attempt(FAILED, "zero") * 2 + attempt(FAILED) * 2, FAILED),
        # So has a whole GPU.
        (attempt(FAILED, shared_gpu=True) + attempt(FAILED), None),
        (attempt(FAILED, shared_gpu=True) + attempt(FAILED) * 2, FAILED),
    ],
)
def test_two_failures_at_one_step_are_told_with_their_traceback(
    entries: list[Entry], expected: End | None
):
    assert failed_twice(entries, "one", shared_gpu=False) == expected
