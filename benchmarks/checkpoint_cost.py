"""What checkpoints cost ResNet152, whose state is the largest: 720 MB.

    python benchmarks/checkpoint_cost.py WORKDIR [--steps 120] [--every 20] [--repetitions 2]

The same steps (drawn faces of 76 pixels, batch 8, one thread) are trained without and with a
checkpoint each so many steps, in turn, each time in a new process. The difference, over the
checkpoints, is what one costs: the copy, for which training stands still, and what the writing
thread takes from the steps beside it. Prints it as a share of the default interval; exits 1 at 1 %
or more.
"""

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from datasets.prepare import synth
from trainers.recipe import RECIPES
from trainers.resilience import Resilience
from trainers.spec import TrialSpec

LIMIT = 0.01
BATCH = RECIPES["demo"].batch_size


def run_here(workdir: Path, folder: Path, every: int) -> None:
    """Train one epoch in this process and print its seconds as JSON."""
    from trainers.context import LocalContext
    from trainers.trial import run_trial

    spec = TrialSpec(
        name="resnet152-s0",
        architecture="resnet152",
        seed=0,
        recipe=RECIPES["demo"].model_copy(update={"epochs": 1}),
        shards=str(workdir / "shards"),
        cache_dir=workdir / "cache",
        cache_mode="auto",
        trial_dir=folder,
        threads=1,
        resilience=Resilience(checkpoint_minutes=10_000, checkpoint_steps=every),
    )
    result = run_trial(spec, LocalContext(folder, spec.resilience))
    figures = {
        # Without the first step, which traces the graph.
        "training": result.train_images * (1 - 1 / result.steps_per_epoch),
        "rate": result.train_images_per_s,
        "standing": result.checkpoint_seconds,
    }
    print(json.dumps(figures))


def seconds(workdir: Path, name: str, every: int) -> tuple[float, float]:
    """Seconds in the steps of one run, and standing still for checkpoints."""
    words = [sys.executable, __file__, str(workdir), "--trial", name, "--every", str(every)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    return figures["training"] / figures["rate"], figures["standing"]


@dataclass(frozen=True)
class Cost:
    """What a run of so many repetitions found; seconds."""

    plain: list[float]
    """In the steps of a run without checkpoints."""
    guarded: list[float]
    """The same with checkpoints."""
    copy: float
    """Of one checkpoint, for which training stands still."""
    beside: float
    """What one takes from the steps beside its writing."""

    @property
    def seconds(self) -> float:
        """What one costs."""
        return self.copy + max(0.0, self.beside)

    @property
    def interval(self) -> float:
        """The default time between two."""
        return 60 * Resilience().checkpoint_minutes


def checkpoint_cost(workdir: Path, *, steps: int, every: int, repetitions: int) -> Cost:
    """Train without and with a checkpoint each `every` steps, in turn."""
    synth(workdir / "shards", train=steps * BATCH, validation=16, size=76, seed=0)
    plain, guarded, standing = [], [], []
    for number in range(repetitions):
        plain.append(seconds(workdir, f"plain-{number}", 0)[0])
        busy, still = seconds(workdir, f"guarded-{number}", every)
        guarded.append(busy)
        standing.append(still)
    beside = (steps - 1) // every  # what is written after the last step takes from none
    return Cost(
        plain,
        guarded,
        copy=statistics.mean(standing) / (steps // every + 1),  # one more at the epoch's end
        beside=(statistics.mean(guarded) - statistics.mean(plain)) / beside,
    )


def main() -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--every", type=int, default=20, help="steps between checkpoints")
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--trial", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    workdir = chosen.workdir.absolute()
    if chosen.trial:
        run_here(workdir, workdir / chosen.trial, chosen.every)
        return 0
    cost = checkpoint_cost(
        workdir, steps=chosen.steps, every=chosen.every, repetitions=chosen.repetitions
    )
    share = cost.seconds / cost.interval
    print("| training | seconds in steps |\n|---|---|")
    print(f"| without checkpoints | {', '.join(f'{one:.1f}' for one in cost.plain)} |")
    print(
        f"| one each {chosen.every} steps | {', '.join(f'{one:.1f}' for one in cost.guarded)} |\n"
    )
    print(
        f"one checkpoint: {cost.copy:.2f} s standing still, {cost.beside:.2f} s by slower steps "
        "beside it"
    )
    print(f"at the default interval of {cost.interval:.0f} s: {share:.2%} of training time")
    return 0 if share < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
