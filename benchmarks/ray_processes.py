"""Memory and processor time of Ray's processes by what they are for, sampled. Linux only."""

import math
import os
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

ON_THE_HEAD = "slot, on the head"
KINDS = {  # a process by what its title or command line begins with
    "gcs_server": "gcs_server",
    "raylet": "raylet",
    ON_THE_HEAD: ("ray::ImplicitFunc", "ray::trial", "ray::KeptTrainController", "ray::bundle"),
    "slot, on its node": ("ray::RayTrainWorker", "ray::SynchronizationActor", "ray::_RayTrain"),
    "idle": "ray::IDLE",
}


@dataclass
class Watched:
    """The largest sums of MiB, by kind of process; sampled."""

    peak: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    titles: set[str] = field(default_factory=set)
    busy: dict[tuple[str, str], tuple[str, float]] = field(default_factory=dict)
    """Kind and seconds of CPU of each process, by its number and start, when it was last seen."""
    before: dict[str, float] = field(default_factory=dict)
    """Seconds of CPU by kind, before what is watched began."""
    own_s: float = 0.0
    """Seconds of CPU of the watching itself, which are the driver's."""
    quiet_cores: float = math.inf
    """The least that the slots' processes on the head used between two samples, while they were
    the most."""
    _seconds: dict[str, float] = field(default_factory=dict)  # of CPU, by process
    _sampled_at: float = 0.0
    _most: int = 0

    @property
    def core_seconds(self) -> dict[str, float]:
        """Seconds of CPU of all processes of a kind since `begin`."""
        sums: dict[str, float] = defaultdict(float)
        for kind, seconds in self.busy.values():
            sums[kind] += seconds
        sums["driver"] -= self.own_s
        return {kind: seconds - self.before.get(kind, 0.0) for kind, seconds in sums.items()}

    def begin(self) -> None:
        """What was done until now does not count."""
        self.sample()
        self.before = dict(self.core_seconds)

    def sample(self) -> None:
        """Look at all processes once."""
        begin = time.thread_time()
        sums: dict[str, float] = defaultdict(float)
        seconds: dict[str, float] = {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                title = (
                    (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
                kind = self._kind(int(process.name), title)
                if not kind:
                    continue
                sums[kind] += _pss_mib(process)
                used, started = _cpu_s(process)
                self.busy[process.name, started] = kind, used  # a worker was idle before
                if kind == ON_THE_HEAD:
                    seconds[process.name] = used
            except OSError:  # it has ended
                continue
        for kind, mib in sums.items():
            self.peak[kind] = max(self.peak[kind], mib)
        self._compare(seconds)
        self.own_s += time.thread_time() - begin

    def _compare(self, seconds: dict[str, float]) -> None:
        now = time.perf_counter()
        if len(seconds) > self._most:
            self._most, self.quiet_cores = len(seconds), math.inf
        if len(seconds) == self._most and seconds.keys() == self._seconds.keys():
            used = sum(seconds.values()) - sum(self._seconds.values())
            self.quiet_cores = min(self.quiet_cores, used / (now - self._sampled_at))
        self._seconds, self._sampled_at = seconds, now

    def _kind(self, process: int, title: str) -> str | None:
        if process == os.getpid():
            return "driver"
        if title.startswith("ray::"):
            self.titles.add(title.partition("(")[0].strip())
        for kind, begin in KINDS.items():
            if title.startswith(begin) or f"/{kind} " in title:
                return kind
        return None


def _cpu_s(process: Path) -> tuple[float, str]:
    """Seconds of CPU that a process has used, and when it was started."""
    after_name = (process / "stat").read_text().rpartition(")")[2].split()
    used = int(after_name[11]) + int(after_name[12])
    return used / os.sysconf("SC_CLK_TCK"), after_name[19]


def _pss_mib(process: Path) -> float:
    for line in (process / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0
