"""What checkpoints cost ResNet152, whose state is the largest: 720 MB.

    python benchmarks/checkpoint_cost.py WORKDIR [--steps 120] [--every 20]

One epoch (drawn faces of 76 pixels, batch 8, one thread) with a checkpoint each so many steps. What
the steps take longer in which one is copied, for which training stands still, or beside which one
is written, than the others do between them, is what it costs. Prints it as a share of the default
interval; exits 1 at 1 % or more.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from children import figures_of
from training_times import RECIPE, Enough, Times, watch

from datasets.prepare import synth
from trainers.checkpoint import Checkpoint
from trainers.context import LocalContext
from trainers.resilience import Resilience
from trainers.spec import TrialSpec

LIMIT = 0.01
_WARM = 2  # steps, of which the first traces the graph


@dataclass(frozen=True)
class Cost:
    """What checkpoints took of a run's steps; seconds."""

    plain: list[float]
    """Steps without."""
    guarded: list[float]
    """Steps in which a checkpoint was copied, or beside which it was written."""
    checkpoints: int

    @property
    def step(self) -> float:
        """A step without."""
        return statistics.mean(self.plain)

    @property
    def seconds(self) -> float:
        """What one checkpoint costs."""
        return sum(one - self.step for one in self.guarded) / self.checkpoints

    @property
    def interval(self) -> float:
        """The default time between two."""
        return 60 * Resilience().checkpoint_minutes


class Watched(LocalContext):
    """Notes from when to when there was a checkpoint on its way."""

    def __init__(self, trial_dir: Path, resilience: Resilience, times: Times) -> None:
        super().__init__(trial_dir, resilience)
        self._times = times
        self.handed_over: list[float] = []
        self.written: list[float] = []

    def save(self, checkpoint: Checkpoint) -> None:
        """See `TrialContext`."""
        self.handed_over.append(self._times.now())
        super().save(checkpoint)

    def _save(self, checkpoint: Checkpoint) -> None:
        super()._save(checkpoint)
        self.written.append(self._times.now())


def cost_of(steps: Sequence[float], handed_over: Sequence[float], written: Sequence[float]) -> Cost:
    """Tell the steps apart by their ends, up to the last checkpoint, which itself is not counted.

    So it is no matter how fast that one was written.
    """
    if len(handed_over) < 2:
        raise SystemExit("fewer than two checkpoints: take --steps of more than twice --every")
    following = zip(handed_over, written, handed_over[1:], strict=False)
    whole = [(given, stored) for given, stored, after in following if stored < after]
    plain, guarded = [], []
    for begin, end in pairwise(end for end in steps[_WARM - 1 :] if end <= handed_over[-1]):
        busy = any(begin < stored and given < end for given, stored in whole)
        (guarded if busy else plain).append(end - begin)
    if not plain or len(whole) < len(handed_over) - 1:
        raise SystemExit("a checkpoint was not written before the next one: take a larger --every")
    return Cost(plain, guarded, len(whole))


def train_here(workdir: Path, every: int) -> Cost:
    """Train one epoch in this process, from the start."""
    from trainers.trial import run_trial

    folder = Path(tempfile.mkdtemp(dir=workdir))
    spec = TrialSpec(
        name="resnet152-s0",
        architecture="resnet152",
        seed=0,
        recipe=RECIPE.model_copy(update={"epochs": 1}),
        shards=str(workdir / "shards"),
        cache_dir=workdir / "cache",
        cache_mode="auto",
        trial_dir=folder,
        threads=1,
        resilience=Resilience(checkpoint_minutes=10_000, checkpoint_steps=every),
    )
    times = Times("training")
    watch(times)
    context = Watched(folder, spec.resilience, times)
    with suppress(Enough):
        run_trial(spec, context)
    return cost_of(times.steps, context.handed_over, context.written)


def checkpoint_cost(workdir: Path, *, steps: int, every: int) -> Cost:
    """Train in a process of its own."""
    synth(workdir / "shards", train=steps * RECIPE.batch_size, validation=16, size=76, seed=0)
    return Cost(**figures_of("checkpoint_cost.py", workdir, "--child", "--every", every))


def main() -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--every", type=int, default=20, help="steps between checkpoints")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    workdir = chosen.workdir.absolute()
    if chosen.child:
        print(json.dumps(asdict(train_here(workdir, chosen.every))))
        return 0
    cost = checkpoint_cost(workdir, steps=chosen.steps, every=chosen.every)
    share = cost.seconds / cost.interval
    print(
        f"a step without: {cost.step:.2f} s; one checkpoint takes {cost.seconds:.2f} s from "
        f"{len(cost.guarded) / cost.checkpoints:.1f} steps\n"
        f"at the default interval of {cost.interval:.0f} s: {share:.2%} of training time"
    )
    return 0 if share < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
