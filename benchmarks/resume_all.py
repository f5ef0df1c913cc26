"""Every architecture, killed in mid-epoch and resumed in a new process: are the bytes the same?

    python benchmarks/resume_all.py WORKDIR [--only a,b] [--jobs 2]

Each trial (drawn faces of 76 pixels, two epochs of four steps, deterministic, one thread) runs
twice: left alone, and ended by `kill -9` after the second step of its second epoch, then continued.
Compared are all weights, `history.csv` and `predictions.parquet`. Prints a table as Markdown and
writes it to WORKDIR/resume_all.md; exits 1 if any byte differs.
"""

import argparse
import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import h5py
import numpy as np

from datasets.prepare import synth
from trainers.architectures import ARCHITECTURES
from trainers.books import Books
from trainers.checkpoint import Position
from trainers.recipe import RECIPES
from trainers.resilience import Resilience
from trainers.result import RESULT_FILE, TrialResult, read_record
from trainers.spec import TrialSpec

KILL_AT = Position(1, 2)
TRAIN, VALIDATION, SIZE = 32, 16, 76
COMPARED = ("history.csv", "predictions.parquet")


@dataclass(frozen=True)
class Row:
    """One architecture's outcome."""

    title: str
    killed_after: Position
    steps_repeated: int
    seconds_lost: float
    identical: bool
    digest: str


def run_here(architecture: str, shards: Path, folder: Path) -> None:
    """Run one trial in this process."""
    from trainers.context import LocalContext
    from trainers.trial import run_trial

    spec = TrialSpec(
        name=f"{architecture}-s0",
        architecture=architecture,
        seed=0,
        recipe=RECIPES["demo"],
        shards=str(shards),
        cache_dir=shards.parent / "cache",
        cache_mode="auto",
        trial_dir=folder,
        threads=1,
        resilience=Resilience(checkpoint_steps=1),
        session="resume_all",
    )
    run_trial(spec, LocalContext(folder, spec.resilience))


def start(architecture: str, shards: Path, folder: Path) -> subprocess.Popen[bytes]:
    """Run one trial in a new process, its output in the trial's log."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, __file__, str(shards.parent), "--trial", architecture, str(folder)]
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(words, stdout=log, stderr=log)


def finish(architecture: str, shards: Path, folder: Path) -> TrialResult:
    """Run the trial to its end; what went wrong is in its log."""
    if start(architecture, shards, folder).wait():
        raise SystemExit(f"{architecture} failed: see {folder / 'log.txt'}")
    result = read_record(folder / RESULT_FILE, TrialResult)
    assert result is not None
    return result


def kill_in_mid_epoch(architecture: str, shards: Path, folder: Path) -> Position:
    """Start the trial and kill it once it has done the step `KILL_AT`; returns where it stood."""
    process = start(architecture, shards, folder)
    books = Books(folder)
    while books.reached() < KILL_AT:
        if process.poll() is not None:
            raise SystemExit(f"{architecture} ended before the kill: see {folder / 'log.txt'}")
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    reached = books.reached()
    books.close()
    return reached


def contents(folder: Path) -> dict[str, bytes]:
    """What is compared: files as they are, and each array of the saved model."""
    found = {name: (folder / name).read_bytes() for name in COMPARED}
    with zipfile.ZipFile(folder / "model.keras") as archive:
        stored = h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r")

    def keep(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[f"weights/{name}"] = np.asarray(item).tobytes()

    with stored:
        stored.visititems(keep)
    return found


def measure(architecture: str, shards: Path) -> Row:
    """Run one architecture undisturbed and disturbed, and compare."""
    alone = shards.parent / "undisturbed" / architecture
    disturbed = shards.parent / "disturbed" / architecture
    finish(architecture, shards, alone)
    reached = kill_in_mid_epoch(architecture, shards, disturbed)
    result = finish(architecture, shards, disturbed)
    mine, other = contents(alone), contents(disturbed)
    digest = sha256(b"".join(mine[name] for name in sorted(mine))).hexdigest()[:12]
    row = Row(
        ARCHITECTURES[architecture].title,
        reached,
        result.steps_repeated,
        result.seconds_lost,
        mine == other and result.restarts == 1,
        digest,
    )
    print(line(row), file=sys.stderr, flush=True)
    return row


def line(row: Row) -> str:
    """One row of the table."""
    cells = (
        row.title,
        f"epoch {row.killed_after.epoch + 1}, step {row.killed_after.step}",
        str(row.steps_repeated),
        f"{row.seconds_lost:.0f}",
        "identical" if row.identical else "DIFFERENT",
        f"`{row.digest}`",
    )
    return f"| {' | '.join(cells)} |"


HEAD = (
    "| architecture | killed after | steps repeated | seconds lost | weights, history, predictions "
    "| sha256 of them |\n|---|---|--:|--:|---|---|"
)


def main() -> int:
    """Run all; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--only", default=",".join(ARCHITECTURES))
    parser.add_argument("--jobs", type=int, default=2, help="architectures at once")
    parser.add_argument("--trial", nargs=2, metavar=("ID", "FOLDER"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    shards = chosen.workdir.absolute() / "shards"
    if chosen.trial:
        run_here(chosen.trial[0], shards, Path(chosen.trial[1]))
        return 0
    if any((chosen.workdir / name).exists() for name in ("undisturbed", "disturbed")):
        parser.error(f"{chosen.workdir} holds an earlier run: name an empty folder")
    synth(shards, train=TRAIN, validation=VALIDATION, size=SIZE, seed=0)
    with ThreadPoolExecutor(max_workers=chosen.jobs) as pool:
        rows = list(pool.map(lambda name: measure(name, shards), chosen.only.split(",")))
    table = "\n".join([HEAD, *map(line, rows)])
    print(table)
    (chosen.workdir / "resume_all.md").write_text(table + "\n", encoding="utf-8")
    return 0 if all(row.identical for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
