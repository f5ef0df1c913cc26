"""Whole runs of small nets, each in a process of its own: started, watched and compared."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.small_runs import HOLDS, Hold
from trainers.checkpoint import Position
from trainers.entries import End, entries_in
from trainers.result import PROGRESS_FILE, RESULT_FILE, TrialProgress, TrialResult, read_record

TRIALS = ("mobilenet-s0", "mobilenetv2-s0")
STEPS_PER_EPOCH = 12
SETTINGS = (
    "recipe.image_size=32",
    "recipe.batch_size=8",
    "recipe.epochs=2",
    "resilience.checkpoint_steps=2",
    "data.drawn.train=96",
    "data.drawn.validation=24",
    "data.drawn.size=32",
    "resources.max_concurrent=1",
)
ONE = ("--only", "mobilenet")
"""For what concerns one trial."""

_END_S = 600


@dataclass(frozen=True)
class Run:
    """A run directory, and the command that is given for it."""

    folder: Path
    program: str = "tests.small_runs"
    settings: tuple[str, ...] = SETTINGS

    def command(self, *more: str) -> list[str]:
        """`run-all` with the demo's preset and both trials, unless `more` says otherwise."""
        words = [sys.executable, "-m", self.program, "run-all", "--preset", "demo"]
        words += ["--only", "mobilenet,mobilenetv2", "--run-dir", str(self.folder)]
        for setting in self.settings:
            words += ["--set", setting]
        return [*words, *more]

    def start(self, *more: str, start_new_session: bool = False) -> subprocess.Popen[str]:
        """Give the command."""
        return subprocess.Popen(
            self.command(*more),
            env=os.environ | {HOLDS: str(self._holds)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=start_new_session,
        )

    def finish(self, *more: str, code: int = 0) -> str:
        """Give the command and await its end, which must have this exit code; what it printed."""
        return ended(self.start(*more), code)

    def hold(self, trial: str, epoch: int, step: int) -> Hold:
        """Let a trial stand still after a step from now on."""
        hold = Hold(self._holds, trial, Position(epoch, step))
        hold.ask()
        return hold

    def trial(self, name: str) -> Path:
        """The directory of a trial."""
        return self.folder / "trials" / name

    def result(self, trial: str) -> TrialResult:
        """The result of a finished trial."""
        result = read_record(self.trial(trial) / RESULT_FILE, TrialResult)
        assert result is not None
        return result

    def worker(self, trial: str) -> int:
        """The process that trains a trial."""
        progress = read_record(self.trial(trial) / PROGRESS_FILE, TrialProgress)
        assert progress is not None
        return progress.pid

    def ends(self, trial: str) -> list[End]:
        """How attempts at a trial ended that neither finished nor were killed."""
        return [entry for entry in entries_in(self.trial(trial)) if isinstance(entry, End)]

    def plan(self) -> list[str]:
        """The trials in the order in which they start."""
        return list(yaml.safe_load((self.folder / "run.yaml").read_text())["trials"])

    @property
    def _holds(self) -> Path:
        return self.folder.with_name(f"{self.folder.name} holds")


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def ended(process: subprocess.Popen[str], code: int = 0) -> str:
    """What a process prints until it ends, which it must with this exit code."""
    output, _ = process.communicate(timeout=_END_S)
    assert process.returncode == code, output
    return output


def wait_until(condition: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Return once it holds; the process must not end before."""
    deadline = time.monotonic() + _END_S
    while not condition():
        assert process.poll() is None, _rest(process)
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _rest(process: subprocess.Popen[str]) -> str:
    out = process.stdout
    return out.read() if out and not out.closed else f"exit code {process.returncode}"


def wait_for_line(text: str, process: subprocess.Popen[str]) -> None:
    """Return once it has printed a line with this text."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if text in line:
            return
    raise AssertionError("".join(said))


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file's bytes and time of change."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def assert_same_outcome(one: Run, other: Run, trials: tuple[str, ...] = TRIALS) -> None:
    """History, predictions and weights are equal to the bit."""
    import keras

    for trial in trials:
        folders = one.trial(trial), other.trial(trial)
        for name in ("history.csv", "predictions.parquet"):
            left, right = ((folder / name).read_bytes() for folder in folders)
            assert left == right, f"{trial} {name}"
        left, right = (
            keras.models.load_model(folder / "model.keras").get_weights() for folder in folders
        )
        assert [each.tobytes() for each in left] == [each.tobytes() for each in right], trial
