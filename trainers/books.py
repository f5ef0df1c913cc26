"""The books of a trial: each start, why the one before ended, and what that cost.

`attempts.jsonl` gets a line when an attempt starts, when it ends otherwise than finished, and when
it has made up for what the one before had lost. `position` is 24 bytes that each step overwrites;
what a killed process had reached is read from it, so repeated steps are counted, not guessed.
"""

import logging
import os
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from datasets.folder import Folder, write_bytes
from trainers.checkpoint import Position
from trainers.entries import (
    ATTEMPTS_FILE,
    Attempt,
    End,
    Entry,
    Regained,
    Restored,
    line_of,
    parse_entries,
    restart_causes,
)
from trainers.interruption import Cause

logger = logging.getLogger(__name__)

POSITION_FILE = "position"
_LAYOUT = struct.Struct("<qqd")  # epoch, step, when: seconds since 1970 UTC


@dataclass(frozen=True)
class Account:
    """What the interruptions of a trial came to."""

    restarts: int
    restarts_by_cause: dict[str, int]
    steps_repeated: int
    seconds_lost: float


def last_position(directory: Path) -> Position:
    """The last step that any attempt at the trial in a directory finished; (0, 0) before one."""
    try:
        return _unpacked((directory / POSITION_FILE).read_bytes())[0]
    except OSError:
        return Position()


def _unpacked(data: bytes) -> tuple[Position, float]:
    if len(data) != _LAYOUT.size:
        return Position(), 0.0
    epoch, step, when = _LAYOUT.unpack(data)
    return Position(epoch, step), when


def advance(trial: Folder, where: tuple[Position, float]) -> None:
    """Let the position that is noted of a trial be `where`, and when, unless it is further on."""
    noted = trial.read(POSITION_FILE) if trial.has(POSITION_FILE) else b""
    position, when = where
    if position > _unpacked(noted)[0]:
        write_bytes(trial, POSITION_FILE, _LAYOUT.pack(position.epoch, position.step, when))


class Books:
    """Reads and writes the books in a trial's directory.

    `session` names the driver's run; `shared_gpu` says that other trials may be on the trial's GPU.
    """

    def __init__(self, directory: Path, session: str = "", shared_gpu: bool = False) -> None:
        self._path = directory / ATTEMPTS_FILE
        self._session = session
        self._shared_gpu = shared_gpu
        directory.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(directory / POSITION_FILE, os.O_RDWR | os.O_CREAT, 0o644)
        self._attempt: Attempt | None = None
        self._is_on = False
        self._last = self._read_position()
        self._regain: tuple[Position, float] | None = None

    def reached(self) -> Position:
        """The last step that any attempt finished."""
        with self._tolerated():
            self._last = self._read_position()
        return self._last[0]

    def step(self, position: Position) -> None:
        """Note a finished step; in the page cache, so a killed process leaves it behind."""
        self._last = position, time.time()
        with self._tolerated():
            os.pwrite(
                self._descriptor, _LAYOUT.pack(position.epoch, position.step, self._last[1]), 0
            )
        if self._regain is not None and position > self._regain[0]:
            seconds = max(0.0, time.time() - self._regain[1])  # a clock can be set back
            self._regain = None
            self._append(Regained(seconds))

    def start(self) -> Attempt:
        """Open an attempt."""
        entries = self.entries()
        cause = self._last_cause(entries)
        attempt = Attempt(
            started_at=time.time(),
            session=self._session,
            host=socket.gethostname(),
            pid=os.getpid(),
            cause=cause,
            lost_since=None if cause is None else self._lost_since(entries, cause),
            shared_gpu=self._shared_gpu,
        )
        self._append(attempt)
        self._attempt = attempt
        return attempt

    def restored(self, position: Position, steps_per_epoch: int) -> None:
        """Note that the attempt goes on from `position`."""
        reached = self.reached()
        repeated = (reached.epoch - position.epoch) * steps_per_epoch + reached.step - position.step
        self._append(Restored(position.epoch, position.step, max(0, repeated)))
        self._is_on = True
        if self._attempt is not None and self._attempt.lost_since is not None:
            self._regain = max(reached, position), self._attempt.lost_since
        self.step(position)

    def end(self, cause: Cause, reason: str = "", traceback: str = "", ours: bool = False) -> None:
        """Note why this attempt ends before its trial is finished; `ours`: see `End`."""
        reached = self.reached()
        ours = ours and self._shared_gpu
        end = End(cause, reached.epoch, reached.step, reason, traceback, self._is_on, ours)
        self._append(end)

    def finish(self) -> None:
        """Note that no step is left: what an interruption cost ends here, at the latest."""
        if self._regain is not None:
            self._append(Regained(max(0.0, time.time() - self._regain[1])))
            self._regain = None

    def entries(self) -> list[Entry]:
        """All entries, oldest first; a line cut short by a kill is passed over."""
        return parse_entries(self._path.read_bytes()) if self._path.is_file() else []

    def account(self) -> Account:
        """Restarts by cause, steps repeated and seconds lost, over all attempts so far."""
        entries = self.entries()
        causes = Counter(map(str, restart_causes(entries)))
        return Account(
            restarts=causes.total(),
            restarts_by_cause=dict(sorted(causes.items())),
            steps_repeated=sum(one.steps_repeated for one in entries if isinstance(one, Restored)),
            seconds_lost=sum(one.seconds_lost for one in entries if isinstance(one, Regained)),
        )

    def close(self) -> None:
        """Close the position file."""
        os.close(self._descriptor)

    def _last_cause(self, entries: list[Entry]) -> Cause | None:
        marks = [entry for entry in entries if isinstance(entry, Attempt | End)]
        if not marks:
            return None
        last = marks[-1]
        if isinstance(last, End):
            return last.cause
        return Cause.KILLED if last.session == self._session else Cause.DRIVER_LOST

    def _lost_since(self, entries: list[Entry], cause: Cause) -> float:
        """The time of the last step before this attempt that was no repetition.

        Now, where nobody was meant to train in between.
        """
        reached_at = self._read_position()[1]
        starts = [entry for entry in entries if isinstance(entry, Attempt)]
        away = not starts or starts[-1].session != self._session
        if away or cause is Cause.STOPPED or not reached_at:
            return time.time()
        marks = [entry for entry in entries if isinstance(entry, Attempt | Regained)]
        last = marks[-1] if marks else None
        if isinstance(last, Attempt) and last.lost_since is not None:
            return min(last.lost_since, reached_at)  # it never made up for its own loss
        return reached_at

    def _read_position(self) -> tuple[Position, float]:
        return _unpacked(os.pread(self._descriptor, _LAYOUT.size, 0))

    def _append(self, entry: Entry) -> None:
        with self._tolerated():
            self._append_line(line_of(entry) + "\n")

    @contextmanager
    def _tolerated(self) -> Iterator[None]:
        """Storage that fails must not end a trial for the sake of its books."""
        try:
            yield
        except OSError as error:
            logger.warning("the books in %s can't be kept: %s", self._path.parent, error)

    def _append_line(self, line: str) -> None:
        # A line that a kill cut short must not swallow the next.
        data = self._path.read_bytes()[-1:] if self._path.is_file() else b""
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(line if data in (b"", b"\n") else "\n" + line)
