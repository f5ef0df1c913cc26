"""The entries of a trial's books, and what they tell of its attempts."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from trainers.checkpoint import Position
from trainers.interruption import Cause

ATTEMPTS_FILE = "attempts.jsonl"

# Of a trial that shares no GPU the lines stay what they were before there was sharing.
_ONLY_WHERE_TRUE = frozenset({"shared_gpu", "ours"})


@dataclass(frozen=True)
class Attempt:
    """One start of the trial."""

    started_at: float
    session: str
    """The run of the driver that started it."""
    host: str
    pid: int
    cause: Cause | None
    """Why the attempt before ended; None for the first."""
    lost_since: float | None
    """When that attempt did its last step; when this one started, where the driver was gone too."""
    shared_gpu: bool = False
    """Whether other trials may have been on its GPU."""


@dataclass(frozen=True)
class Restored:
    """Where an attempt goes on; `steps_repeated` were done before and undone by an end."""

    epoch: int
    step: int
    steps_repeated: int


@dataclass(frozen=True)
class End:
    """An attempt that noted why it ends."""

    cause: Cause
    epoch: int
    step: int
    reason: str = ""
    traceback: str = ""
    is_on: bool = True
    """False when it ended before it had taken up its checkpoint: the step is the one before's."""
    ours: bool = False
    """On a shared GPU: an error that we raise (data, storage, the loss); no other GPU mends it."""

    @property
    def position(self) -> Position:
        """The last step that it finished."""
        return Position(self.epoch, self.step)


@dataclass(frozen=True)
class Regained:
    """The trial stands again where it stood before, `seconds_lost` later."""

    seconds_lost: float


Entry = Attempt | Restored | End | Regained
_KINDS: dict[str, type[Entry]] = {
    "start": Attempt,
    "restored": Restored,
    "end": End,
    "regained": Regained,
}


def parse_entries(content: bytes) -> list[Entry]:
    """The entries in a content of `attempts.jsonl`, oldest first; what is no entry is left out."""
    found = []
    for line in content.decode("utf-8", errors="replace").splitlines():
        try:
            values = json.loads(line)
            kind = _KINDS[values.pop("kind")]
            if values.get("cause") is not None:
                values["cause"] = Cause(values["cause"])
            known = {one.name for one in fields(kind)}  # a later version may write more
            found.append(kind(**{name: values[name] for name in known & values.keys()}))
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
    return found


def line_of(entry: Entry) -> str:
    """The entry as a line of `attempts.jsonl`, without its end."""
    (kind,) = [kind for kind, one in _KINDS.items() if isinstance(entry, one)]
    values = {
        name: value
        for name, value in asdict(entry).items()
        if value or name not in _ONLY_WHERE_TRUE
    }
    return json.dumps({"kind": kind, **values})


def entries_in(directory: Path) -> list[Entry]:
    """The entries of the trial in a directory, oldest first; none where they can't be read."""
    try:
        return parse_entries((directory / ATTEMPTS_FILE).read_bytes())
    except OSError:
        return []


def attempts_of(entries: Sequence[Entry]) -> list[tuple[Attempt, End | None]]:
    """Each attempt with its end; None for one that vanished, or is not over."""
    found: list[tuple[Attempt, End | None]] = []
    for entry in entries:
        if isinstance(entry, Attempt):
            found.append((entry, None))
        elif isinstance(entry, End) and found:
            found[-1] = found[-1][0], entry
    return found


def restart_causes(entries: Sequence[Entry]) -> list[Cause]:
    """Why the trial was started again, each time; empty before its second start."""
    return [one.cause for one in entries if isinstance(one, Attempt) and one.cause is not None]


def failed_on_shared_gpu(entries: Sequence[Entry]) -> bool:
    """Whether an attempt failed that shared its GPU: want of memory shows in many ways.

    By an error, a hang, or without a word while its driver went on: the next attempt is of the same
    session. An error of ours does not count, nor does an interruption.
    """
    attempts = attempts_of(entries)
    then = [*(attempt.session for attempt, _ in attempts), None][1:]
    return any(
        may_lack_memory(attempt, end) if end else attempt.shared_gpu and attempt.session == after
        for (attempt, end), after in zip(attempts, then, strict=True)
    )


def may_lack_memory(attempt: Attempt, end: End) -> bool:
    """Whether an attempt ended by what may be want of memory on a GPU that it shared."""
    return attempt.shared_gpu and end.cause.is_failure and not end.ours
