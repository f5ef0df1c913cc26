"""The books of a trial: how often it started, and which steps it did twice.

`attempts.jsonl` gets one line a start. `position` is sixteen bytes that each step overwrites; what
a killed process had reached is read from it, so repeated steps are counted, not guessed.
"""

import json
import os
import socket
import struct
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from trainers.checkpoint import Position

ATTEMPTS_FILE = "attempts.jsonl"
POSITION_FILE = "position"
_LAYOUT = struct.Struct("<qq")


@dataclass(frozen=True)
class Attempt:
    """One start of the trial; `steps_repeated` counts steps done by the attempt before, undone."""

    started_at: float
    host: str
    pid: int
    from_epoch: int
    from_step: int
    steps_repeated: int


class Books:
    """Reads and writes the books in a trial's directory."""

    def __init__(self, directory: Path) -> None:
        self._attempts = directory / ATTEMPTS_FILE
        directory.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(directory / POSITION_FILE, os.O_RDWR | os.O_CREAT, 0o644)

    def reached(self) -> Position:
        """The last step that any attempt finished."""
        data = os.pread(self._descriptor, _LAYOUT.size, 0)
        return Position(*_LAYOUT.unpack(data)) if len(data) == _LAYOUT.size else Position()

    def step(self, position: Position) -> None:
        """Note a finished step; in the page cache, so a killed process leaves it behind."""
        os.pwrite(self._descriptor, _LAYOUT.pack(position.epoch, position.step), 0)

    def start(self, position: Position, steps_per_epoch: int) -> Attempt:
        """Open an attempt that goes on from `position`."""
        reached = self.reached()
        repeated = (reached.epoch - position.epoch) * steps_per_epoch + reached.step - position.step
        attempt = Attempt(
            started_at=time.time(),
            host=socket.gethostname(),
            pid=os.getpid(),
            from_epoch=position.epoch,
            from_step=position.step,
            steps_repeated=max(0, repeated),
        )
        with self._attempts.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(attempt)) + "\n")
        self.step(position)
        return attempt

    def attempts(self) -> list[Attempt]:
        """All attempts, oldest first; a line cut short by a kill is passed over."""
        if not self._attempts.is_file():
            return []
        found = []
        for line in self._attempts.read_text(encoding="utf-8").splitlines():
            try:
                found.append(Attempt(**json.loads(line)))
            except (ValueError, TypeError):
                continue
        return found

    @property
    def restarts(self) -> int:
        """Starts after the first."""
        return max(0, len(self.attempts()) - 1)

    @property
    def steps_repeated(self) -> int:
        """Steps done again, over all attempts."""
        return sum(attempt.steps_repeated for attempt in self.attempts())

    def close(self) -> None:
        """Close the position file."""
        os.close(self._descriptor)
