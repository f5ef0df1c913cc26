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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from children import figures_of
from measuring import BenchmarkError, say
from rows import Baseline, Row, Target, as_table, compare, write_rows
from training_times import RECIPE, VALIDATION

from datasets.cache import stage
from datasets.labels import NUM_CLASSES
from datasets.parallel import num_cores
from datasets.prepare import synth
from trainers.backend import allocator_environment, keras_environment, processor_name, versions

STEPS = 40
STEADY = ("mobilenetv2", "resnet50", "densenet121")
STARTS = ("mobilenet", "densenet121", "nasnetmobile")
_FIGURES = (
    ("training, steady", "images/s", "images_per_s", STEADY, Target(least=0.98)),
    ("start, model built to first step done", "s", "first_step_s", STARTS, Target(most=0.4)),
    ("memory, peak", "MiB", "peak_mib", STEADY, Target(most=1.15)),
)
_RESULTS = Path(__file__).with_name("results.json")


@dataclass(frozen=True)
class Bench:
    """Where things are made, and how often each is measured."""

    work: Path
    repetitions: int


def input_rows(bench: Bench) -> list[Row]:
    """Shuffled batches of 224 pixels: from the cache, and as a notebook reads them."""
    rates = figures_of(
        "input_rates.py", bench.work / "input", bench.repetitions, environment=_worker()
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
    work = _images(bench.work / "training")
    rows = []
    for name in sorted({*STEADY, *STARTS}):
        say(f"training: {name}")
        trial, bare = zip(
            *(
                (_trained("trial", work, name), _trained("bare", work, name))
                for _ in range(bench.repetitions)
            ),
            strict=True,
        )
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


def _trained(way: str, work: Path, name: str) -> dict[str, float]:
    environment = _worker() if way == "trial" else {}
    figures: dict[str, float] = figures_of(
        "training_times.py", way, work, name, environment=environment
    )
    return figures


def _worker() -> dict[str, str]:
    """The environment that `run-all` gives its workers."""
    return {**keras_environment(), **allocator_environment()}


def _images(work: Path) -> Path:
    """Draw the faces, as shards for a trial and as arrays for bare Keras."""
    work.mkdir(parents=True)
    size = RECIPE.image_size
    synth(
        work / "shards", train=STEPS * RECIPE.batch_size, validation=VALIDATION, size=size, seed=0
    )
    staged, one_hot = stage(work / "shards", work / "cache", size), np.eye(NUM_CLASSES)
    arrays = {}
    for prefix, split in (("", staged.split("train")), ("validation_", staged.split("validation"))):
        arrays[f"{prefix}images"] = split.gather(np.arange(len(split)))
        arrays[f"{prefix}labels"] = one_hot[split.labels].astype(np.float32)
    np.savez(work / "images.npz", **arrays)
    return work


def report_rows(bench: Bench) -> list[Row]:
    """A report of 14 architectures, 3 seeds and 4,000 images."""
    seconds = [
        figures_of("report_time.py", bench.work / f"report-{number}")
        for number in range(bench.repetitions)
    ]
    limit = Baseline("limit", [30.0] * len(seconds))
    return [compare("report: 14 × 3 × 4,000", "s", seconds, limit, Target(most=1))]


PARTS: dict[str, Callable[[Bench], list[Row]]] = {
    "input": input_rows,
    "training": training_rows,
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
