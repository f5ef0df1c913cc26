"""A real `run-all` under random faults on a Ray cluster of several nodes: is every byte the same?

    python benchmarks/chaos.py WORKDIR [--faults 50] [--seed 0] [--epochs 60] [--s3]

Four small trials run twice: left alone on this machine, and on a local cluster (a head and two
nodes) under faults drawn by the seed. Two faults come at a time, the next two when as many
trials as before are at work again, further than they were. Prints a table as Markdown, writes it to
WORKDIR/chaos.md, and compares every output; exits 1 if one differs or a fault was not recovered
from. With `--s3` the run is in a bucket of a stand-in for S3, which is away for a minute at times.
"""

import argparse
import random
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from chaos_faults import GIVE_UP_S, TRIALS, Victim
from chaos_processes import is_alive

from orchestrator.ray_environment import prepare_environment
from orchestrator.run_store import RunStore
from tests.object_stores import Gate, s3
from trainers.checkpoint import Position
from trainers.result import RESULT_FILE, TrialResult, read_record

# So many faults before the work may recover: one would leave the other trial in peace.
AT_ONCE = 2

COMPARED = ("history.csv", "predictions.parquet")


@dataclass(frozen=True)
class Recovery:
    """One fault and what came after it."""

    kind: str
    trial: str
    seconds: float | None
    """Until as many trials were at work as before, each with a new step; None: never."""
    steps: int
    """Done again until then, for this fault and the one that came with it."""


@dataclass
class Chaos:
    """Deals out faults, and waits for the recovery from each."""

    victim: Victim
    rng: random.Random
    recoveries: list[Recovery] = field(default_factory=list)

    def torment(self, faults: int) -> None:
        """Deal out the faults, each kind about as often, two at a time."""
        kinds = [getattr(self.victim, name) for name in self.victim.kinds]
        deck = [kinds[place % len(kinds)] for place in range(faults)]
        self.rng.shuffle(deck)
        while deck and (trial := self.wait_for_work()):
            hand, deck = deck[:AT_ONCE], deck[AT_ONCE:]
            self.hit(hand, trial)

    def hit(self, acts: list[Callable[[str], None]], trial: str) -> None:
        """A few faults in a row, the first at `trial`, and the wait until all work is on again."""
        time.sleep(self.rng.uniform(0, 3))
        busy = self.victim.running()
        stood = {name: self.victim.stood(name) for name in self.left()}
        before = sum(map(self.victim.repeated, stood))
        begun = []
        for act in acts:
            begun.append((act.__name__, trial, time.monotonic()))
            act(trial)
            trial = self.rng.choice([name for name in busy if name != trial] or [trial])
        over = self.wait_for_steps(stood, len(busy))
        steps = sum(map(self.victim.repeated, stood)) - before
        for kind, name, begin in begun:
            seconds = None if over is None else over - begin
            self.recoveries.append(Recovery(kind, name, seconds, steps))
            shown = "never" if seconds is None else f"{seconds:.0f} s"
            number = len(self.recoveries)
            print(f"{number}: {kind} at {name}: {shown}", file=sys.stderr, flush=True)

    def wait_for_work(self) -> str | None:
        """A running trial by chance; None when all are over."""
        end = time.monotonic() + GIVE_UP_S
        while time.monotonic() < end:
            if all(self.victim.is_over(trial) for trial in TRIALS):
                return None
            self.victim.revive_driver()
            if self.victim.driver.poll() is not None:
                raise SystemExit(f"the driver ended: see {self.victim.workdir / 'driver.log'}")
            if found := self.victim.running():
                return self.rng.choice(found)
            time.sleep(0.1)
        raise SystemExit("no trial is at work: see the driver's log")

    def left(self) -> list[str]:
        """The trials that are not over."""
        return [trial for trial in TRIALS if not self.victim.is_over(trial)]

    def wait_for_steps(self, stood: dict[str, Position], busy: int) -> float | None:
        """When as many trials as before are over, or at work further than they stood; or None.

        They need not be the same ones: a trial that lost its place may have to wait for another.
        """
        begin = time.monotonic()
        while time.monotonic() - begin < GIVE_UP_S:
            self.victim.revive_driver()
            if sum(self.is_on(trial, position) for trial, position in stood.items()) >= busy:
                return time.monotonic()
            time.sleep(0.05)
        return None

    def is_on(self, trial: str, stood: Position) -> bool:
        """True when a trial is over, or at work beyond a position."""
        if self.victim.is_over(trial):
            return True
        return is_alive(self.victim.pid_of(trial)) and self.victim.stood(trial) > stood


def table(recoveries: list[Recovery], kinds: Sequence[str]) -> str:
    """Faults by kind, as Markdown; the steps are a median too, of a fault and its neighbour."""
    by_kind: dict[str, list[Recovery]] = defaultdict(list)
    for one in recoveries:
        by_kind[one.kind].append(one)
    lines = [
        "| fault | count | recovered | seconds to recover, median | longest | steps repeated |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for kind in kinds:
        ours = by_kind[kind]
        seconds = [one.seconds for one in ours if one.seconds is not None]
        shown = (
            (f"{statistics.median(seconds):.0f}", f"{max(seconds):.0f}") if seconds else ("–", "–")
        )
        steps = f"{statistics.median(one.steps for one in ours):.0f}" if ours else "–"
        cells = (kind.replace("_", " "), str(len(ours)), str(len(seconds)), *shown, steps)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def accounts(store: RunStore) -> str:
    """What the books of each trial say, as Markdown."""
    lines = ["| trial | restarts by cause | steps repeated | seconds lost |", "|---|---|--:|--:|"]
    for trial in TRIALS:
        result = read_record(store.trial_dir(trial) / RESULT_FILE, TrialResult)
        if result is None:
            lines.append(f"| {trial} | not finished | – | – |")
            continue
        causes = ", ".join(f"{name} {count}" for name, count in result.restarts_by_cause.items())
        lines.append(
            f"| {trial} | {causes or '–'} | {result.steps_repeated} | {result.seconds_lost:.0f} |"
        )
    return "\n".join(lines)


def differences(*stores: RunStore) -> list[str]:
    """Outputs that are not equal to the byte."""
    found = []
    for trial in TRIALS:
        for name in COMPARED:
            paths = [store.trial_dir(trial) / name for store in stores]
            if not all(path.exists() for path in paths):
                found.append(f"{trial}/{name} is missing")
            elif paths[0].read_bytes() != paths[1].read_bytes():
                found.append(f"{trial}/{name}")
    return found


def main() -> int:
    """See the module; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--faults", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--s3", action="store_true")
    chosen = parser.parse_args()
    workdir = chosen.workdir.absolute()
    if (workdir / "undisturbed").exists():
        parser.error(f"{workdir} holds an earlier run: name an empty folder")
    workdir.mkdir(parents=True, exist_ok=True)
    gate = Gate()
    with s3(gate=gate) if chosen.s3 else nullcontext() as bucket:
        rng = random.Random(chosen.seed)
        return compared(Victim(workdir, chosen.epochs, rng, bucket, gate), chosen)


def compared(victim: Victim, chosen: argparse.Namespace) -> int:
    """The run undisturbed and under faults; returns the exit code."""
    workdir, rng = victim.workdir, victim.rng
    with (workdir / "undisturbed.log").open("wb") as log:
        subprocess.run(victim.command(workdir / "undisturbed"), stdout=log, stderr=log, check=True)
    begin = time.monotonic()
    recoveries, code = tormented(victim, rng, chosen.faults)
    different = differences(RunStore(workdir / "undisturbed"), victim.store)
    parts = [
        f"{len(recoveries)} faults in {time.monotonic() - begin:.0f} s, seed {chosen.seed}; exit "
        f"code {code}; outputs {'differ: ' + ', '.join(different) if different else 'equal'}.",
        table(recoveries, victim.kinds),
        accounts(victim.store),
    ]
    text = "\n\n".join(parts) + "\n"
    print(text)
    (workdir / "chaos.md").write_text(text, encoding="utf-8")
    lost = [one for one in recoveries if one.seconds is None]
    return 1 if different or lost or code else 0


def tormented(victim: Victim, rng: random.Random, faults: int) -> tuple[list[Recovery], int]:
    """The run under faults, to its end: the recoveries, and the exit code."""
    prepare_environment()
    chaos = Chaos(victim, rng)
    victim.start_cluster()
    try:
        victim.start_driver()
        chaos.torment(faults)
        victim.driver.wait(timeout=3600)
        victim.revive_driver()
        return chaos.recoveries, victim.driver.wait(timeout=3600)
    finally:
        victim.cluster.shutdown()


if __name__ == "__main__":
    sys.exit(main())
