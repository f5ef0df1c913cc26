"""What a step takes: its time, the memory of its processes, bytes; what a disk takes. Linux only.

A step is a child process, as a user starts it.
"""

import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

_HOME = Path(__file__).resolve().parents[1]
_SECONDS_BETWEEN_SAMPLES = 0.2
_SECONDS_BETWEEN_LINES = 30.0
_LAST_OUTPUT = 2000
_PIECE_BYTES = 64 << 20


class BenchmarkError(Exception):
    """Something that makes the figures wrong or missing; the text says what."""


@dataclass
class Peak:
    """The most memory that a process and all its descendants had at a time, sampled.

    It is the sum of the proportional set sizes: a page that several processes share is counted
    once in all. In the sum of resident set sizes each worker would count the libraries, and the
    memory-mapped shards, again. Mapped pages of files are in it too, though the kernel may drop
    them at any time; what can't be dropped is the anonymous part.
    """

    total_kib: int = 0
    anonymous_kib: int = 0

    def watch(self, root: int, stop: Event) -> None:
        """Sample until `stop`."""
        while not stop.wait(_SECONDS_BETWEEN_SAMPLES):
            found = [_set_sizes(process) for process in _tree(root)]
            self.total_kib = max(self.total_kib, sum(one.get("Pss:", 0) for one in found))
            anonymous = sum(one.get("Pss_Anon:", 0) for one in found)
            self.anonymous_kib = max(self.anonymous_kib, anonymous)


@dataclass(frozen=True)
class Step:
    """What one step took. None is what it doesn't have, or what was not measured."""

    name: str
    images: int
    seconds: float
    peak_mib: float | None = None
    peak_anonymous_mib: float | None = None
    input_bytes: int | None = None
    """Of all that it was given to read."""
    output_bytes: int | None = None
    """Of all that it left."""

    @property
    def images_per_s(self) -> float:
        """The rate over the whole time, start of the processes included."""
        return self.images / self.seconds


@dataclass
class Ticker:
    """A `progress(done, total)` that prints a line now and then."""

    what: str
    next_line: float = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Print, if it is time."""
        if time.monotonic() >= self.next_line or done == total:
            self.next_line = time.monotonic() + _SECONDS_BETWEEN_LINES
            say(f"{self.what}: {done:,} of {total:,}")


def say(text: str) -> None:
    """Print a line with the time of day."""
    print(time.strftime("%H:%M:%S"), text, flush=True)


def run_step(
    name: str,
    command: Sequence[str],
    *,
    images: int,
    log: Path,
    reads: Path,
    writes: Sequence[Path] = (),
) -> Step:
    """Run and measure `python COMMAND`; its output goes to `log`.

    Raises `BenchmarkError` with the last of that output if it fails.
    """
    say(f"{name}: python {' '.join(command)}")
    peak = Peak()
    start = time.perf_counter()
    code = _run(name, command, log, peak, writes)
    seconds = time.perf_counter() - start
    if code != 0:
        last = log.read_text(errors="replace")[-_LAST_OUTPUT:].strip() or "(none)"
        raise BenchmarkError(f"{name} exits with {code}; its last output:\n{last}")
    if peak.total_kib == 0:
        raise BenchmarkError(f"{name}: no sample of its memory; /proc/PID/smaps_rollup is needed")
    mib, anonymous_mib = peak.total_kib / 1024, peak.anonymous_kib / 1024
    written = sum(map(bytes_of, writes)) if writes else None
    step = Step(name, images, seconds, mib, anonymous_mib, bytes_of(reads), written)
    say(f"{name}: {seconds:,.1f} s, {step.images_per_s:,.0f} images/s, peak {mib:,.0f} MiB")
    return step


def _run(
    name: str, command: Sequence[str], log: Path, peak: Peak, writes: Sequence[Path]
) -> int | None:
    """Run `python COMMAND` to its end and return its exit code."""
    with log.open("wb") as stream:
        child = subprocess.Popen(
            [sys.executable, *command],
            cwd=_HOME,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    stop = Event()
    watcher = Thread(target=peak.watch, args=(child.pid, stop))
    watcher.start()
    try:
        _wait(name, child, peak, writes)
    finally:
        stop.set()
        watcher.join()
        if child.returncode != 0:
            # The processes of a pool outlive a parent that was killed.
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    return child.returncode


def _wait(name: str, child: "subprocess.Popen[bytes]", peak: Peak, writes: Sequence[Path]) -> None:
    start = time.monotonic()
    while True:
        try:
            child.wait(_SECONDS_BETWEEN_LINES)
            return
        except subprocess.TimeoutExpired:
            say(
                f"{name}: {time.monotonic() - start:,.0f} s, "
                f"peak {peak.total_kib / 1024:,.0f} MiB, "
                f"{sum(map(bytes_of, writes)) / 1e6:,.0f} MB written"
            )


def bytes_of(path: Path) -> int:
    """Return the bytes of all files under `path`; of those that are there, while it is written."""
    if path.is_file():
        return path.stat().st_size
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):  # It was renamed or removed since.
                total += os.lstat(os.path.join(folder, name)).st_size
    return total


def disk_mb_per_s(folder: Path, num_bytes: int) -> float:
    """Write about `num_bytes` incompressible bytes to the disk of `folder`, one after the other."""
    random = memoryview(os.urandom(2 * _PIECE_BYTES))
    path, written = folder / "raw-write", 0
    start = time.perf_counter()
    with path.open("wb", buffering=0) as stream:
        while written < num_bytes:
            # Shifted by an odd number: no block is there twice, so no disk can store it once.
            shift = (written // _PIECE_BYTES * 7919) % _PIECE_BYTES
            written += stream.write(random[shift : shift + _PIECE_BYTES])
        os.fsync(stream.fileno())
    rate = written / (time.perf_counter() - start) / 1e6
    path.unlink()
    say(f"disk alone: {rate:,.0f} MB/s")
    return rate


def _tree(root: int) -> Iterator[int]:
    """Yield a process and its descendants."""
    children: dict[int, list[int]] = defaultdict(list)
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            text = Path(f"/proc/{name}/stat").read_text(errors="replace")
        except OSError:  # It has ended since.
            continue
        children[int(text.rpartition(")")[2].split()[1])].append(int(name))
    waiting = [root]
    while waiting:
        yield (process := waiting.pop())
        waiting += children[process]


def _set_sizes(process: int) -> dict[str, int]:
    """Return the fields of a process's `smaps_rollup`, KiB; none if it has ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return {}
    return {words[0]: int(words[1]) for words in map(str.split, lines)}
