"""A plugin of pytest: what the suite costs by test and by file, and files that start longest first.

`pytest --costs FILE` writes a row a test and phase, the longest first, and prints the dearest test
files at the end. `tests/costs.csv` keeps what each file took in a whole run; by it files are put in
order, so that with pytest-xdist no process begins the longest when the others are about to end. A
file that is not in it yet comes first. `make test-costs` writes it anew.

Processor seconds are those of the process that runs a test and of all that come of it, also of
daemons that outlive the test: what they do counts for the test that runs by then. The kernel
forgets a process that ends, so all are looked at each half second; what one does after the last
look is not counted. On Linux alone; elsewhere they are 0.
"""

import csv
import math
import os
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
KEPT = Path(__file__).with_name("costs.csv")
ROWS = ("test", "phase", "process", "wall_s", "processor_s")
KEPT_ROWS = ("file", "tests", "wall_s", "processor_s")

_TAG = "FER_ORCH_TESTS_OF"
_LOOK_EVERY_S = 0.5
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
_SHOWN = 10

Process = tuple[int, str]
"""Its number, and when it started: numbers are given again."""


class Processes:
    """The processor time of this process and of all that come of it.

    These are told by a variable in their environment, or by their parent where that was not handed
    on.
    """

    def __init__(self) -> None:
        os.environ[_TAG] = str(os.getpid())
        self._tag = f"{_TAG}={os.getpid()}".encode()
        self._used_s: dict[Process, float] = {}
        self._ours: dict[Process, bool] = {}
        self._parents: dict[int, tuple[Process, int]] = {}

    def used_s(self) -> float:
        """The seconds that they have used since the last call."""
        now = self._look()
        self._parents = {process[0]: (process, parent) for process, (parent, _) in now.items()}
        self._ours = {process: value for process, value in self._ours.items() if process in now}
        before = self._used_s
        self._used_s = {process: used for process, (_, used) in now.items() if self._has(process)}
        return sum(used - before.get(process, 0.0) for process, used in self._used_s.items())

    @staticmethod
    def _look() -> dict[Process, tuple[int, float]]:
        """Each process with its parent, and the seconds that it has used."""
        found = {}
        for folder in _PROC.glob("[0-9]*"):
            with suppress(OSError):  # it has just ended
                # After the name, which may hold anything; proc(5) counts from 3 there.
                words = (folder / "stat").read_text().rpartition(")")[2].split()
                used = (int(words[11]) + int(words[12])) * _TICK_S
                found[int(folder.name), words[19]] = (int(words[1]), used)
        return found

    def _has(self, process: Process) -> bool:
        if process[0] == os.getpid():
            return True
        if process not in self._ours:
            self._ours[process] = self._is_tagged(process[0]) or self._comes_of_ours(process[0])
        return self._ours[process]

    def _is_tagged(self, pid: int) -> bool:
        with suppress(OSError):
            return self._tag in (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
        return False

    def _comes_of_ours(self, pid: int) -> bool:
        parent = self._parents[pid][1]
        return parent in self._parents and self._has(self._parents[parent][0])


class Meter:
    """Notes the processor seconds of each phase of each test, in the process that runs it."""

    def __init__(self) -> None:
        self._processes = Processes()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._used_s = 0.0

    def pytest_sessionstart(self) -> None:
        if _PROC.is_dir():
            threading.Thread(target=self._look_on, daemon=True).start()

    def pytest_collection_finish(self) -> None:
        with self._lock:  # imports are no test's
            self._processes.used_s()
            self._used_s = 0.0

    def pytest_sessionfinish(self) -> None:
        self._over.set()

    def _look_on(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            with self._lock:
                self._used_s += self._processes.used_s()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Iterator[None]:
        report = yield
        with self._lock:
            used, self._used_s = self._used_s + self._processes.used_s(), 0.0
        report.user_properties.append((report.when, used))
        return report


class Table:
    """Gathers what all test processes have noted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[tuple[str, str, str, float, float]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # None of a process that crashed.
        used = dict(report.user_properties).get(report.when, 0.0)
        process = getattr(report, "worker_id", "")
        self._rows.append((report.nodeid, report.when, process, report.duration, used))

    def pytest_sessionfinish(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(ROWS)
            for row in sorted(self._rows, key=lambda row: -row[3]):
                writer.writerow((*row[:3], f"{row[3]:.3f}", f"{row[4]:.2f}"))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        files = by_file(self._path)
        if not files:
            return
        terminalreporter.section(f"dearest {_SHOWN} of {len(files)} test files")
        for file, tests, wall_s, processor_s in files[:_SHOWN]:
            terminalreporter.line(f"{wall_s:7.1f}s {processor_s:7.1f}s processor  {file} ({tests})")
        total = [sum(column) for column in zip(*(row[2:] for row in files), strict=True)]
        terminalreporter.line(f"{total[0]:7.1f}s {total[1]:7.1f}s processor  all; {self._path}")


def by_file(path: Path) -> list[tuple[str, int, float, float]]:
    """Each test file with its number of tests, wall and processor seconds; the longest first."""
    sums: dict[str, list[float]] = defaultdict(lambda: [0, 0.0, 0.0])
    with path.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            sum_ = sums[row["test"].partition("::")[0]]
            sum_[0] += row["phase"] == "setup"
            sum_[1] += float(row["wall_s"])
            sum_[2] += float(row["processor_s"])
    rows = [(file, int(tests), wall_s, used) for file, (tests, wall_s, used) in sums.items()]
    return sorted(rows, key=lambda row: -row[2])


def keep(path: Path) -> None:
    """Write what each file took in a whole run to the table that later runs go by."""
    rows = by_file(path)
    left_out = {file for file in _kept() if (ROOT / file).exists()} - {row[0] for row in rows}
    if left_out:
        raise SystemExit(f"{path} is of no whole run: it has not {', '.join(sorted(left_out))}")
    with KEPT.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(KEPT_ROWS)
        for file, tests, wall_s, processor_s in rows:
            writer.writerow((file, tests, f"{wall_s:.0f}", f"{processor_s:.0f}"))


def longest_first(files: Sequence[str]) -> list[str]:
    """Test files in the order in which they are to start."""
    wall_s = _kept()
    return sorted(files, key=lambda file: -wall_s.get(file, math.inf))


def _kept() -> dict[str, float]:
    """How many seconds each file took."""
    with KEPT.open(newline="", encoding="utf-8") as stream:
        return {row["file"]: float(row["wall_s"]) for row in csv.DictReader(stream)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    files = list(dict.fromkeys(item.nodeid.partition("::")[0] for item in items))
    place = {file: number for number, file in enumerate(longest_first(files))}
    items.sort(key=lambda item: place[item.nodeid.partition("::")[0]])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--costs", type=Path, help="write what each test cost to this CSV file")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--costs")
    if path is None:
        return
    if not hasattr(config, "workerinput"):  # the process that hears of all tests
        config.pluginmanager.register(Table(path))
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        config.pluginmanager.register(Meter())


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
