"""What grows with trials and slots: runs whose trials only sleep, and reports of made-up ones.

    python benchmarks/scale.py WORKDIR [--runs 50x4,200x4] [--seconds 1] [--reports 42,336]

A run of TRIALSxSLOTS goes through Tune and Train as `run-all`'s do, but its workers sleep and then
have a result that was made up before. Printed are, as Markdown: seconds a trial takes beyond its
sleep, the cores that all slots' processes on the head are busy with while every worker sleeps (the
least of any two seconds: give `--seconds 60`), and the memory (proportional set size) of the
driver, of the GCS, and of what the slots keep on the head and on their workers' nodes. A second
table has the seconds of a core that each kind of process took, a trial; what a process does within
the two seconds before its end is not seen. Then, for each number of trials, the seconds and the
memory of a report over 4,000 validation images.
"""

import argparse
import json
import math
import os
import resource
import sys
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE.parent))  # for the tests' made-up runs

from children import figures_of  # noqa: E402

from orchestrator.plan import Resources  # noqa: E402
from orchestrator.ray_environment import prepare_environment  # noqa: E402
from orchestrator.run_store import RunStore, trial_name  # noqa: E402
from trainers.architectures import ARCHITECTURES  # noqa: E402
from trainers.recipe import RECIPES  # noqa: E402
from trainers.resilience import Resilience  # noqa: E402
from trainers.spec import TrialSpec  # noqa: E402

_ON_THE_HEAD = "slot, on the head"
_KINDS = {  # a process by what its title or command line begins with
    "GCS": "gcs_server",
    _ON_THE_HEAD: ("ray::ImplicitFunc", "ray::trial", "ray::TrainController", "ray::bundle"),
    "slot, on its node": ("ray::RayTrainWorker", "ray::SynchronizationActor", "ray::_RayTrain"),
    "idle": "ray::IDLE",
}
_SAMPLE_S = 2.0


@dataclass
class Memory:
    """The largest sums of MiB, by kind of process; sampled."""

    peak: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    titles: set[str] = field(default_factory=set)
    busy: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Kind and seconds of CPU of each process, by its number, when it was last seen."""
    quiet_cores: float = math.inf
    """The least that the slots' processes on the head used between two samples, while they were
    the most."""
    _seconds: dict[str, float] = field(default_factory=dict)  # of CPU, by process
    _sampled_at: float = 0.0
    _most: int = 0

    @property
    def core_seconds(self) -> dict[str, float]:
        """Seconds of CPU of all processes of a kind."""
        sums: dict[str, float] = defaultdict(float)
        for kind, seconds in self.busy.values():
            sums[kind] += seconds
        return sums

    def sample(self) -> None:
        """Look at all processes once."""
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
                used = _cpu_s(process)
                self.busy[process.name] = kind, used  # a worker was idle before
                if kind == _ON_THE_HEAD:
                    seconds[process.name] = used
            except OSError:  # it has ended
                continue
        for kind, mib in sums.items():
            self.peak[kind] = max(self.peak[kind], mib)
        self._compare(seconds)

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
        for kind, begin in _KINDS.items():
            if title.startswith(begin) or (kind == "GCS" and "/gcs_server " in title):
                return kind
        return None


def _cpu_s(process: Path) -> float:
    """Seconds of CPU that a process has used."""
    after_name = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


def _pss_mib(process: Path) -> float:
    for line in (process / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def sleep(config: dict[str, Any]) -> None:
    """What the worker runs in the place of a trial."""
    spec: TrialSpec = config["spec"]
    spec.trial_dir.mkdir(parents=True, exist_ok=True)
    (spec.trial_dir / "progress.json").write_text("{}")
    time.sleep(config["seconds"])
    (spec.trial_dir / "progress.json").unlink()
    made = Path(config["made"]) / "trials" / spec.name / "result.json"
    (spec.trial_dir / "result.json").write_bytes(made.read_bytes())


def run_here(work: Path, trials: int, slots: int, seconds: float) -> dict[str, Any]:
    """One run in this process; its figures."""
    from tests.made_up_runs import MadeUpRun, write_run

    prepare_environment()
    from orchestrator import ray_run
    from orchestrator.ray_trial import TrainRun

    names = _names(trials)
    made = write_run(work / "made", MadeUpRun(trials=names, states={}, validation_images=8)).root

    class Sleeping(TrainRun):
        """A Train run of a worker that sleeps."""

        def _fit_once(self, spec: TrialSpec) -> None:
            import ray.train

            from orchestrator.lean_trainer import LeanTrainer

            LeanTrainer(
                sleep,
                train_loop_config={"spec": spec, "seconds": seconds, "made": str(made)},
                scaling_config=ray.train.ScalingConfig(
                    num_workers=1, resources_per_worker={"CPU": 1}
                ),
                run_config=ray.train.RunConfig(
                    name=spec.name, storage_path=str(self.scratch / "train")
                ),
            ).fit()

    ray_run.TrainRun = Sleeping
    ray_run.num_cores = lambda: slots
    root, memory, ended = work / "run", Memory(), threading.Event()

    def watch() -> None:
        while not ended.wait(_SAMPLE_S):
            memory.sample()

    with ray_run.ray_session(None):
        threading.Thread(target=watch, daemon=True).start()
        begin = time.perf_counter()
        errors = ray_run.run_trials(
            _specs(names, root, work),
            Resources(1, 0, slots, full=True),
            0,
            RunStore.at(root),
            on_stop=lambda: None,
        )
        took = time.perf_counter() - begin
        ended.set()
    if errors:
        raise SystemExit(str(next(iter(errors.items()))))
    found = {"seconds": took, "titles": sorted(memory.titles), "cores": memory.quiet_cores}
    return found | {"MiB": memory.peak, "core-seconds": memory.core_seconds}


def _names(trials: int) -> list[str]:
    return [trial_name(list(ARCHITECTURES)[at % 14], at // 14) for at in range(trials)]


def _specs(names: list[str], root: Path, work: Path) -> list[TrialSpec]:
    return [
        TrialSpec(
            name=name,
            architecture=name.rpartition("-s")[0],
            seed=int(name.rpartition("-s")[2]),
            recipe=RECIPES["demo"],
            shards=str(work / "shards"),
            cache_dir=work / "cache",
            cache_mode="auto",
            trial_dir=root / "trials" / name,
            threads=1,
            resilience=Resilience(),
            session="scale",
        )
        for name in names
    ]


def report_here(work: Path, trials: int) -> dict[str, float]:
    """A report of a made-up run: seconds, and the peak of this process in MiB."""
    from orchestrator.report import write_report
    from tests.made_up_runs import MadeUpRun, write_run

    made = MadeUpRun(trials=_names(trials), states={}, validation_images=4000, epochs=100)
    root = write_run(work / "made", made).root
    begin = time.perf_counter()
    write_report(root)
    took = time.perf_counter() - begin
    size = (root / "report" / "index.html").stat().st_size / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": took, "MiB": peak, "page MiB": size}


def _child(*words: object) -> Any:
    with tempfile.TemporaryDirectory(dir=words[0]) as folder:
        return figures_of("scale.py", folder, *words[1:])


def _print_runs(work: Path, runs: list[str], seconds: float) -> None:
    kinds, spent = ("driver", *_KINDS), []
    print(
        "| trials | slots | seconds | beyond the sleep, a trial | cores, all asleep | "
        f"{', MiB | '.join(kinds)}, MiB |"
    )
    print(f"|{'--:|' * (5 + len(kinds))}")
    for run in runs:
        trials, slots = map(int, run.split("x"))
        found = _child(work, "--run", run, "--seconds", seconds)
        beyond = found["seconds"] * slots / trials - seconds
        cells = [f"{found['MiB'].get(kind, 0.0):.0f}" for kind in kinds]
        figures = f"{found['seconds']:.0f} | {beyond:.1f} | {found['cores']:.2f}"
        print(f"| {trials} | {slots} | {figures} | {' | '.join(cells)} |", flush=True)
        print(found["titles"], file=sys.stderr)
        cells = [f"{found['core-seconds'].get(kind, 0.0) / trials:.2f}" for kind in kinds]
        spent.append(f"| {trials} | {slots} | {' | '.join(cells)} |")
    print(f"\n| trials | slots | {' | '.join(kinds)} |\n|{'--:|' * (2 + len(kinds))}")
    print("\n".join(spent), flush=True)


def main() -> None:
    """Measure all and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--runs", default="50x4,200x4,50x16")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--reports", default="42,336,1008")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--report", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    chosen.work.mkdir(parents=True, exist_ok=True)
    if chosen.run:
        trials, slots = map(int, chosen.run.split("x"))
        print(json.dumps(run_here(chosen.work, trials, slots, chosen.seconds)))
        return
    if chosen.report:
        print(json.dumps(report_here(chosen.work, chosen.report)))
        return
    _print_runs(chosen.work, [run for run in chosen.runs.split(",") if run], chosen.seconds)
    print("\n| trials | report, s | peak, MiB | page, MiB |\n|--:|--:|--:|--:|")
    for count in filter(None, chosen.reports.split(",")):
        found = _child(chosen.work, "--report", count)
        cells = " | ".join(f"{value:.0f}" for value in found.values())
        print(f"| {count} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
