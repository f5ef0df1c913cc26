"""How fast the parts of a run are, each beside a baseline of the same run on the same machine.

    python benchmarks/bench.py [--only NAME] [--repetitions N] [--minutes M] [--out FILE]

Prints one table and writes `benchmarks/results.json`. A repetition takes each baseline right beside
what is compared with it; `spread` is the least and the greatest ratio. On a slow machine what takes
longest is not repeated, and not all fourteen bare runs are made that the demo is compared with: all
is done within `--minutes` (36), if the rest takes no longer. No timing fails anything: the exit
code is 1 only if something could not be measured.
"""

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench_work import BARE_STEPS, Bench, trained, worker_environment
from checkpoint_cost import Cost, checkpoint_cost
from children import figures_of
from demo_rows import demo_rows, measure_demo
from measuring import BenchmarkError
from rows import Baseline, Row, Target, as_table, compare, write_rows

from datasets.parallel import num_cores
from trainers.backend import processor_name, versions

STEPS = 40
STEADY = ("mobilenetv2", "resnet50", "densenet121")
STARTS = ("mobilenet", "densenet121", "nasnetmobile")
TRAINED = sorted({*STEADY, *STARTS})
INPUT_ROUNDS = 4
THROUGH_RAY = "mobilenetv2"
_FIGURES = (
    ("training, steady", "images/s", "images_per_s", STEADY, Target(least=0.98)),
    ("start, model built to first step done", "s", "first_step_s", STARTS, Target(most=0.4)),
    ("memory, peak", "MiB", "peak_mib", STEADY, Target(most=1.15)),
)
_RESULTS = Path(__file__).with_name("results.json")


def measure_input(bench: Bench) -> dict[str, list[float]]:
    """Images/s of shuffled batches of 224 pixels, by all ways there are, in turn."""
    rates: dict[str, list[float]] = figures_of(
        "input_rates.py", bench.work / "input", INPUT_ROUNDS, environment=worker_environment()
    )
    return rates


def input_rows(bench: Bench) -> list[Row]:
    """Batches from the cache, and as a notebook reads them."""
    (rates,) = bench.found["input"]
    notebook = Baseline("tf.data: TFRecord, decode_jpeg, autotuned", rates["tf.data"])
    memcpy = Baseline("memcpy of the same bytes into warm memory", rates["memcpy"])
    return [
        compare(f"input: {what}", "images/s", rates[way], baseline, Target(least=least))
        for way, what, baseline, least in (
            ("decoded", "shuffled batches from the cache", notebook, 12),
            ("decoded", "bytes of a shuffled batch", memcpy, 0.7),
            ("encoded", "the encoded fallback", notebook, 1),
            ("fed", "shuffled batches as `fit` gets them", notebook, 1),
        )
    ]


def measure_training(bench: Bench, name: str) -> tuple[dict[str, float], dict[str, float]]:
    """Figures of a trial and of bare Keras, one after the other; no more than will be asked for."""
    if name in STEADY:
        work, steps = bench.images(STEPS), STEPS
        trial, bare = trained("trial", work, name), trained("bare", work, name)
    else:
        work, steps = bench.images(BARE_STEPS), BARE_STEPS
        trial = trained("trial", work, name, "--until", "first-step")
        bare = trained("bare", work, name, "--until", "training")
    bench.bare[name] = steps, bare
    return trial, bare


def training_rows(bench: Bench) -> list[Row]:
    """Steps, start and memory of a trial, and of bare Keras."""
    rows = []
    for name in TRAINED:
        trial, bare = zip(*bench.found[f"training: {name}"], strict=True)
        rows += [
            compare(
                f"{what}: {name}",
                unit,
                _column(trial, key),
                Baseline("bare `fit`", _column(bare, key)),
                target,
            )
            for what, unit, key, names, target in _FIGURES
            if name in names
        ]
    return sorted(rows, key=lambda row: row.name.partition(":")[0])


def measure_report(bench: Bench) -> float:
    """Seconds of a report of 14 architectures, 3 seeds and 4,000 images."""
    number = len(bench.found["report"])
    seconds: float = figures_of("report_time.py", bench.work / f"report-{number}")
    return seconds


def report_rows(bench: Bench) -> list[Row]:
    """The report beside its limit."""
    seconds = bench.found["report"]
    limit = Baseline("limit", [30.0] * len(seconds))
    return [compare("report: 14 × 3 × 4,000", "s", seconds, limit, Target(most=1))]


def measure_ray(bench: Bench) -> dict[str, float]:
    """How soon Ray has a trial training: at first, in a place that fell free, after a kill."""
    figures: dict[str, float] = figures_of("start_times.py", bench.images(STEPS), THROUGH_RAY)
    return figures


def ray_rows(bench: Bench) -> list[Row]:
    """Those starts beside an import of Keras, and beside each other."""
    found = bench.found["ray"]
    scheduled = "start, from scheduling to the first line of training code"
    keras = Baseline("a bare Python process that imports Keras", _column(found, "import_keras"))
    fresh = Baseline("a fresh trial's, from its scheduling", _column(found, "first_step"))
    most = Target(most=1.5)
    return [
        compare(
            f"{scheduled}: a run's first trial", "s", _column(found, "first_line"), keras, most
        ),
        compare(f"{scheduled}: the next one", "s", _column(found, "next_line"), keras, most),
        compare(
            "resume, from a worker's death to the next step",
            "s",
            _column(found, "resumed_step"),
            fresh,
            Target(most=1.2),
        ),
    ]


def _column(found: Sequence[Mapping[str, float]], name: str) -> list[float]:
    return [one[name] for one in found]


def measure_checkpoint(bench: Bench) -> Cost:
    """What a checkpoint of the largest state costs."""
    return checkpoint_cost(bench.work / "checkpoint", steps=32, every=10)


def checkpoint_rows(bench: Bench) -> list[Row]:
    """Training time with checkpoints at the default interval."""
    (cost,) = bench.found["checkpoint"]
    return [
        compare(
            f"checkpoint: {cost.interval:.0f} s of training ResNet152, with the one it takes",
            "s",
            [cost.interval + cost.seconds],
            Baseline("without checkpoints", [cost.interval]),
            Target(most=1.01),
        )
    ]


@dataclass(frozen=True)
class Part:
    """A part of the table: what is measured for it, by name, and the rows that come of it."""

    measurements: Mapping[str, Callable[[Bench], Any]]
    rows: Callable[[Bench], list[Row]]
    repeated: bool = True
    """Whether each is measured again where there is time."""


PARTS = {
    "input": Part({"input": measure_input}, input_rows, repeated=False),
    "training": Part(
        {f"training: {name}": partial(measure_training, name=name) for name in TRAINED},
        training_rows,
    ),
    "ray": Part({"ray": measure_ray}, ray_rows),
    "checkpoint": Part({"checkpoint": measure_checkpoint}, checkpoint_rows, repeated=False),
    "report": Part({"report": measure_report}, report_rows),
    "demo": Part({"demo": measure_demo}, demo_rows, repeated=False),
}


def measure(bench: Bench, names: Iterable[str], repetitions: int) -> None:
    """Measure for some parts.

    All is measured once; then what is repeated is, what took least first, as long as it would be
    done in time.
    """
    parts = [PARTS[name] for name in names]
    for part in parts:
        for name, function in part.measurements.items():
            bench.measure(name, function)
    again = {k: v for part in parts if part.repeated for k, v in part.measurements.items()}
    for _ in range(1, repetitions):
        for name, function in sorted(again.items(), key=lambda one: bench.seconds[one[0]]):
            if bench.in_time(bench.seconds[name]):
                bench.measure(name, function)


def rows_of(bench: Bench, names: Iterable[str]) -> list[Row]:
    """The rows of those parts for which all was measured."""
    parts = [PARTS[name] for name in names]
    whole = [part for part in parts if all(map(bench.found.get, part.measurements))]
    return [row for part in whole for row in part.rows(bench)]


def machine() -> dict[str, str]:
    """What the figures are of."""
    here = {"processor": processor_name(), "cores": str(num_cores()), "system": platform.system()}
    return here | versions()


def main() -> int:
    """Measure, print, write; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=tuple(PARTS), action="append")
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=36, help="of what can be left out")
    parser.add_argument("--out", type=Path, default=_RESULTS)
    chosen = parser.parse_args()
    until = time.monotonic() + 60 * chosen.minutes
    names = chosen.only or list(PARTS)
    with tempfile.TemporaryDirectory(prefix="fer-orch-bench-") as folder:
        bench, lost = Bench(Path(folder), until), ""
        try:
            measure(bench, names, chosen.repetitions)
        except BenchmarkError as error:
            lost = str(error)
    rows = rows_of(bench, names)
    print(as_table(rows))
    if lost:
        print(lost, file=sys.stderr)
        return 1
    write_rows(chosen.out, machine(), rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
