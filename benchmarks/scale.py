"""What grows with trials and slots: runs whose trials only sleep, and reports of made-up ones.

    python benchmarks/scale.py WORKDIR [--runs 50x4,200x4] [--seconds 1] [--reports 42,336]

A run of TRIALSxSLOTS goes through Tune and Train as `run-all`'s do, but its workers sleep and then
have a result that was made up before. Printed are, as Markdown: seconds a trial takes beyond its
sleep, the cores that all slots' processes on the head are busy with while every worker sleeps (the
least of any two seconds: give `--seconds 60`), and the memory (proportional set size) of the
driver, of the GCS, of the raylet and of what the slots keep on the head and on their workers'
nodes. A second table has the seconds of a core that each kind of process took, a trial, without
the start of Ray; what a process does within the two seconds before its end is not seen. Then, for
each number of trials, the seconds and the memory of a report over 4,000 validation images.
"""

import argparse
import json
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE.parent))  # for the tests' made-up runs

from children import figures_of  # noqa: E402
from ray_processes import KINDS, Watched  # noqa: E402

from orchestrator.plan import Resources  # noqa: E402
from orchestrator.ray_environment import prepare_environment  # noqa: E402
from orchestrator.run_store import RunStore, trial_name  # noqa: E402
from trainers.architectures import ARCHITECTURES  # noqa: E402
from trainers.recipe import RECIPES  # noqa: E402
from trainers.resilience import Resilience  # noqa: E402
from trainers.spec import TrialSpec  # noqa: E402

_SAMPLE_S = 2.0


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

    names = _names(trials)
    made = write_run(work / "made", MadeUpRun(trials=names, states={}, validation_images=8)).root
    ray_run.TrainRun = _sleeping(made, seconds)
    ray_run.num_cores = lambda: slots
    root, seen, ended = work / "run", Watched(), threading.Event()

    def watch() -> None:
        while not ended.wait(_SAMPLE_S):
            seen.sample()

    watching = threading.Thread(target=watch, daemon=True)
    with ray_run.ray_session(None):
        seen.begin()
        watching.start()
        begin = time.perf_counter()
        grid = ray_run.run_trials(
            _specs(names, root, work),
            Resources(1, 0, slots, full=True),
            0,
            RunStore.at(root),
            on_stop=lambda: None,
        )
        errors = ray_run.errors_of(grid)
        took = time.perf_counter() - begin
        ended.set()
        watching.join()
        seen.sample()
    if errors:
        raise SystemExit(str(next(iter(errors.items()))))
    found = {"seconds": took, "titles": sorted(seen.titles), "cores": seen.quiet_cores}
    return found | {"MiB": seen.peak, "core-seconds": seen.core_seconds}


def _sleeping(made: Path, seconds: float) -> type:
    """`TrainRun` with workers that sleep, then have the result that was made up in `made`."""
    from orchestrator.train_run import TrainRun

    class Sleeping(TrainRun):
        """A Train run of a worker that sleeps."""

        def _fit_once(self, spec: TrialSpec) -> None:
            import ray.train

            from orchestrator.ray_private.lean_trainer import LeanTrainer

            LeanTrainer(
                sleep,
                train_loop_config={"spec": spec, "seconds": seconds, "made": str(made)},
                scaling_config=ray.train.ScalingConfig(
                    num_workers=1, resources_per_worker={"CPU": 1}
                ),
                run_config=ray.train.RunConfig(
                    name=spec.name, storage_path=str(spec.run_dir / ".train")
                ),
            ).fit()

    return Sleeping


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
    kinds, spent = ("driver", *KINDS), []
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
