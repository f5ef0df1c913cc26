"""The one policy of restarts: what becomes of a trial whose attempt has ended.

Ray Train's own restarts are off: it knows no other place to train on, and nothing of the books,
which say why an attempt ended and how far it came.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum, auto

from trainers.entries import Attempt, End, Entry, attempts_of
from trainers.interruption import Cause

STARTS = 20
"""Starts in a row that may come to no attempt at all: nodes come and go while a cluster grows."""


class Loss(StrEnum):
    """What Ray says was lost where an attempt did not come back by itself."""

    WORKER = auto()
    """The process that trained: by an exception, or without a word."""
    MACHINE = auto()
    """Its machine was taken away."""
    CONTROLLER = auto()
    """The process of Ray Train that watched over it."""
    START = auto()
    """There was no worker yet."""


class Next(StrEnum):
    """What is done now."""

    LEAVE = auto()
    """The trial is over, or waits for another command."""
    AGAIN = auto()
    WHOLE_GPU = auto()
    """Again, and alone on a GPU from now on."""
    GIVE_UP = auto()
    """It counts as failed."""


@dataclass(frozen=True)
class Ended:
    """How an attempt ended.

    `lost` is None where its worker came back; `last` is what it noted of its end, None if nothing.
    `is_over` says that the trial has its result, or an error that it would have anywhere; `got_on`
    that there is a newer checkpoint than before; `repeats` that it failed at the very step where
    the attempt before had (`failed_twice`).
    """

    lost: Loss | None = None
    last: End | None = None
    is_over: bool = False
    got_on: bool = False
    repeats: bool = False
    shares_gpu: bool = False


@dataclass(frozen=True)
class Tally:
    """Failures since the last newer checkpoint, and starts since the last attempt."""

    failures: int = 0
    starts: int = 0


def decide(ended: Ended, before: Tally, max_failures: int) -> tuple[Next, Tally]:
    """What is done after an attempt, and the tally then.

    A trial whose machine was taken away starts again as often as that happens. One that failed on a
    GPU that it shares goes on alone on a whole one. Any other may fail `max_failures` times without
    a newer checkpoint in between, or once at one step.
    """
    preempted = ended.last is not None and ended.last.cause is Cause.PREEMPTED
    if ended.lost is None:
        return (Next.AGAIN if preempted else Next.LEAVE), Tally()
    if ended.is_over:
        return Next.LEAVE, Tally()
    if ended.lost is Loss.MACHINE or preempted:
        return Next.AGAIN, Tally()
    if ended.lost is Loss.START:
        tally = Tally(before.failures, before.starts + 1)
        return (Next.GIVE_UP if tally.starts >= STARTS else Next.AGAIN), tally
    if ended.shares_gpu and not (ended.last and ended.last.ours):  # want of memory shows in any way
        return Next.WHOLE_GPU, Tally()
    tally = Tally(1 if ended.got_on else before.failures + 1)
    enough = ended.repeats or (not ended.got_on and tally.failures > max_failures)
    return (Next.GIVE_UP if enough else Next.AGAIN), tally


def failed_twice(entries: Sequence[Entry], session: str, shared_gpu: bool) -> End | None:
    """The last end in a trial's books, if it and the one before were failures at one step.

    Of this session, and on a GPU that is shared, or is not, as this one: what fails elsewhere tells
    nothing of here.
    """

    def is_here(attempt: Attempt) -> bool:
        return (attempt.session, attempt.shared_gpu) == (session, shared_gpu)

    last = [end for attempt, end in attempts_of(entries) if is_here(attempt)][-2:]
    if len(last) < 2 or last[0] is None or last[1] is None:
        return None
    failures = all(end.cause.is_failure and end.is_on for end in last if end)
    return last[1] if failures and last[0].position == last[1].position else None
