"""Rows of the whole demo: against bare Keras one after another, and against its lower bound."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench_work import BARE_STEPS, Bench, trained
from best_order import least_makespan
from measuring import BenchmarkError, say
from rows import Baseline, Row, Target, compare
from training_times import RECIPE

from orchestrator.config import RunConfig
from orchestrator.config_sources import load_config
from orchestrator.plan import Plan, Resources, make_plan
from orchestrator.run_store import RunStore, trial_name
from trainers.architectures import ARCHITECTURES
from trainers.entries import ATTEMPTS_FILE, Attempt, parse_entries
from trainers.result import RESULT_FILE

SLOTS = range(1, 17)


@dataclass(frozen=True)
class Demo:
    """What `make run-all` took after set-up, seconds; and images/s of each architecture."""

    whole: float
    spans: dict[str, tuple[float, float]]
    """Of each trial: its worker's first line of training code, and its result. Since 1970."""
    rates: dict[str, float]
    slots: int

    @property
    def seconds(self) -> dict[str, float]:
        """How long each trial had its place."""
        return {name: end - start for name, (start, end) in self.spans.items()}


def measure_demo(bench: Bench) -> tuple[Demo, list[float]]:
    """The demo once, and the seconds of bare runs of its steps, one after another.

    Where there is no time for all fourteen, those of the trials that took least are left out; the
    longest is always taken.
    """
    demo = run_demo(bench.work / "demo")
    longest_first = sorted(ARCHITECTURES, key=lambda name: -demo.seconds[trial_name(name, 0)])
    found, longest = [], 0.0
    for name in longest_first:
        if name in bench.bare or not found or bench.in_time(longest):
            begin = time.monotonic()
            found.append(_bare_seconds(bench, name))
            longest = max(longest, time.monotonic() - begin)
    return demo, found


def demo_rows(bench: Bench) -> list[Row]:
    """The demo beside the bare runs and beside its bound; the paper's makespan, simulated."""
    ((demo, bare),) = bench.found["demo"]
    seconds = list(demo.seconds.values())
    begin = min(start for start, _ in demo.spans.values())
    end = max(end for _, end in demo.spans.values())
    bound = max(sum(seconds) / demo.slots, *seconds)
    return [
        compare(
            "the whole demo, after set-up",
            "s",
            [demo.whole],
            _one_after_another(bare),
            Target(most=0.75),
        ),
        compare(
            f"makespan, the demo's fourteen on {demo.slots} slots",
            "s",
            [end - begin],
            Baseline("max(sum / slots, longest)", [bound]),
            Target(most=1.05),
        ),
        makespan_row(demo.rates),
    ]


def _one_after_another(bare: Sequence[float]) -> Baseline:
    name = f"{len(bare)} bare Keras runs of the same steps, one after another"
    if len(bare) < len(ARCHITECTURES):
        name += f"; with all {len(ARCHITECTURES)}, for which there was no time, the ratio is lower"
    return Baseline(name, [sum(bare)])


def run_demo(run_dir: Path) -> Demo:
    """Run it as a user does, in a process of its own."""
    begin = time.perf_counter()
    words = [sys.executable, "-m", "orchestrator", "run-all", "--run-dir", str(run_dir)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    whole = time.perf_counter() - begin
    if done.returncode:
        raise BenchmarkError(f"run-all exits with {done.returncode}:\n{done.stdout[-2000:]}")
    spans, rates = {}, {}
    for record in RunStore.at(run_dir).trials():
        assert record.result is not None
        entries = parse_entries((record.directory / ATTEMPTS_FILE).read_bytes())
        start = next(one.started_at for one in entries if isinstance(one, Attempt))
        spans[record.name] = start, (record.directory / RESULT_FILE).stat().st_mtime
        rates[record.architecture] = record.result.train_images_per_s or 0.0
    return Demo(whole, spans, rates, _slots())


def _slots() -> int:
    from orchestrator.resources import local_node, trial_resources

    return trial_resources(load_config(preset="demo"), [local_node()]).concurrent


def _bare_seconds(bench: Bench, name: str) -> float:
    """A bare run of the demo's steps, from a shorter one: the steps left take its steady rate.

    The demo's evaluations are not counted, which favours the bare run.
    """
    if name not in bench.bare:
        say(f"demo: bare {name}")
        work = bench.images(BARE_STEPS)
        bench.bare[name] = BARE_STEPS, trained("bare", work, name, "--until", "training")
    done, figures = bench.bare[name]
    drawn = load_config(preset="demo").data.drawn.train
    steps = RECIPE.epochs * -(-drawn // RECIPE.batch_size)
    left = RECIPE.batch_size * (steps - done) / figures["images_per_s"]
    return figures["trained_s"] + left


def makespan_row(rates: Mapping[str, float]) -> Row:
    """The paper's fourteen at the measured rates, simulated; of all numbers of slots the worst.

    It is named beside what no order ends before: the bound may be out of reach.
    """
    config = load_config(preset="paper", shards="measured")
    (ratio, least), slots = max((_ratios(config, rates, slots), slots) for slots in SLOTS)
    return compare(
        f"makespan, the paper's fourteen simulated at measured rates, worst of 1 to {SLOTS[-1]} "
        f"slots: {slots}, where no order does better than {least:.3f}",
        "× bound",
        [ratio],
        Baseline("max(sum / slots, longest)", [1.0]),
        Target(most=1.05),
    )


def _ratios(config: RunConfig, rates: Mapping[str, float], slots: int) -> tuple[float, float]:
    """The plan's makespan, and the least there is, over the bound."""
    plan: Plan = make_plan(
        config, {"train": 287_651, "validation": 3_999}, Resources(1, 0, slots), rates
    )
    hours = [trial.hours or 0.0 for trial in plan.trials]
    bound = max(sum(hours) / slots, *hours)
    return (plan.hours or 0.0) / bound, least_makespan(hours, slots) / bound
