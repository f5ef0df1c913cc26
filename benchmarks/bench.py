"""How fast the parts of a run are, each beside a baseline of the same run on the same machine.

    python benchmarks/bench.py [--only NAME] [--repetitions N] [--out FILE]

Prints one table and writes `benchmarks/results.json`. A repetition takes each baseline right beside
what is compared with it; `spread` is the least and the greatest ratio. No timing fails anything:
the exit code is 1 only if something could not be measured.
"""

import argparse
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from bench_work import BARE_STEPS, Bench, trained, worker_environment
from checkpoint_cost import checkpoint_cost
from children import figures_of
from demo_rows import demo_rows
from measuring import BenchmarkError, say
from rows import Baseline, Row, Target, as_table, compare, write_rows

from datasets.parallel import num_cores
from trainers.backend import processor_name, versions

STEPS = 40
STEADY = ("mobilenetv2", "resnet50", "densenet121")
STARTS = ("mobilenet", "densenet121", "nasnetmobile")
THROUGH_RAY = "mobilenetv2"
_FIGURES = (
    ("training, steady", "images/s", "images_per_s", STEADY, Target(least=0.98)),
    ("start, model built to first step done", "s", "first_step_s", STARTS, Target(most=0.4)),
    ("memory, peak", "MiB", "peak_mib", STEADY, Target(most=1.15)),
)
_RESULTS = Path(__file__).with_name("results.json")


def input_rows(bench: Bench) -> list[Row]:
    """Shuffled batches of 224 pixels: from the cache, and as a notebook reads them."""
    rates = figures_of(
        "input_rates.py", bench.work / "input", bench.repetitions, environment=worker_environment()
    )
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


def training_rows(bench: Bench) -> list[Row]:
    """Steps, start and memory of a trial, and of bare Keras."""
    rows = []
    for name in sorted({*STEADY, *STARTS}):
        say(f"training: {name}")
        trial, bare = zip(*(_pair(bench, name) for _ in range(bench.repetitions)), strict=True)
        rows += [
            compare(
                f"{what}: {name}",
                unit,
                [one[key] for one in trial],
                Baseline("bare `fit`", [one[key] for one in bare]),
                target,
            )
            for what, unit, key, names, target in _FIGURES
            if name in names
        ]
    return sorted(rows, key=lambda row: row.name.partition(":")[0])


def _pair(bench: Bench, name: str) -> tuple[dict[str, float], dict[str, float]]:
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


def report_rows(bench: Bench) -> list[Row]:
    """A report of 14 architectures, 3 seeds and 4,000 images."""
    seconds = [
        figures_of("report_time.py", bench.work / f"report-{number}")
        for number in range(bench.repetitions)
    ]
    limit = Baseline("limit", [30.0] * len(seconds))
    return [compare("report: 14 × 3 × 4,000", "s", seconds, limit, Target(most=1))]


def ray_rows(bench: Bench) -> list[Row]:
    """How soon Ray has a trial training: at first, in a place that fell free, after a kill."""
    work = bench.images(STEPS)
    found = [
        figures_of("start_times.py", work, THROUGH_RAY) for _ in range(max(2, bench.repetitions))
    ]
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


def _column(found: Sequence[dict[str, float]], name: str) -> list[float]:
    return [one[name] for one in found]


def checkpoint_rows(bench: Bench) -> list[Row]:
    """Training time with checkpoints at the default interval, for the largest state."""
    cost = checkpoint_cost(bench.work / "checkpoint", steps=30, every=10, repetitions=1)
    return [
        compare(
            f"checkpoint: {cost.interval:.0f} s of training ResNet152, with the one it takes",
            "s",
            [cost.interval + cost.seconds],
            Baseline("without checkpoints", [cost.interval]),
            Target(most=1.01),
        )
    ]


PARTS: dict[str, Callable[[Bench], list[Row]]] = {
    "input": input_rows,
    "training": training_rows,
    "ray": ray_rows,
    "checkpoint": checkpoint_rows,
    "demo": demo_rows,
    "report": report_rows,
}


def machine() -> dict[str, str]:
    """What the figures are of."""
    here = {"processor": processor_name(), "cores": str(num_cores()), "system": platform.system()}
    return here | versions()


def main() -> int:
    """Measure, print, write; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=tuple(PARTS), action="append")
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--out", type=Path, default=_RESULTS)
    chosen = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="fer-orch-bench-") as folder:
        bench = Bench(Path(folder), chosen.repetitions)
        try:
            for name in chosen.only or PARTS:
                say(name)
                rows += PARTS[name](bench)
        except BenchmarkError as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            print(as_table(rows))
    write_rows(chosen.out, machine(), rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
