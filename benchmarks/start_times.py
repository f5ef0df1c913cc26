"""Child: how soon Ray has a trial training, at first, in a place that fell free, and after a kill.

    python benchmarks/start_times.py WORKDIR ARCHITECTURE

WORKDIR holds the `shards` of `bench.py`. Two trials of the architecture go through Ray one after
the other in one place, as `run-all` starts them. Then one goes alone, checkpoints after each step,
and its worker is killed in mid-epoch: with a second one waiting, that would take the place. Prints
`Figures` as JSON.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

from datasets.parallel import num_cores
from orchestrator.plan import Resources
from orchestrator.ray_environment import prepare_environment
from trainers.books import last_position
from trainers.checkpoint import Position
from trainers.entries import ATTEMPTS_FILE, Attempt, Restored, parse_entries
from trainers.recipe import RECIPES
from trainers.resilience import Resilience
from trainers.result import RESULT_FILE
from trainers.spec import TrialSpec

T = TypeVar("T")

KILL_AT = Position(0, 10)
_LIMIT_S = 300.0


@dataclass(frozen=True)
class Figures:
    """Seconds."""

    import_keras: float
    """A bare Python process that imports Keras, from its start to its end."""
    first_line: float
    """From the call that schedules the first trial to its worker's first line of training code."""
    next_line: float
    """The same for the second trial, from the first one's result on."""
    first_step: float
    """From such a call to the first step done of the trial that goes alone."""
    resumed_step: float
    """From the death of its worker to the next step done."""


class Killer:
    """Kills the worker of a trial once it has done the step `KILL_AT`; then waits for a step."""

    def __init__(self, trial_dir: Path) -> None:
        self._trial_dir = trial_dir
        self.first_step_at = self.killed_at = self.resumed_at = 0.0
        self._thread = threading.Thread(target=self._run, name="killer", daemon=True)

    def start(self) -> None:
        """Begin to watch the trial."""
        self._thread.start()

    def join(self) -> None:
        """Return once the trial trains again."""
        self._thread.join(_LIMIT_S)
        if not self.resumed_at:
            raise SystemExit(f"no step after the kill: see {self._trial_dir / 'log.txt'}")

    def _run(self) -> None:
        self.first_step_at = self._await_step(Position(0, 1))
        self._await_step(KILL_AT)
        self.killed_at = time.time()
        os.kill(attempts(self._trial_dir)[-1].pid, signal.SIGKILL)
        while len(found := entries(self._trial_dir, Restored)) < 2:  # the first: from nothing
            time.sleep(0.001)
        self.resumed_at = self._await_step(Position(found[-1].epoch, found[-1].step + 1))

    def _await_step(self, least: Position) -> float:
        """When a step as far as this was finished, seconds since 1970."""
        while last_position(self._trial_dir) < least:
            time.sleep(0.001)
        return time.time()


def attempts(trial_dir: Path) -> list[Attempt]:
    """All starts of a trial."""
    return entries(trial_dir, Attempt)


def entries(trial_dir: Path, kind: type[T]) -> list[T]:
    """What its books hold of a kind."""
    path = trial_dir / ATTEMPTS_FILE
    found = parse_entries(path.read_bytes()) if path.exists() else []
    return [one for one in found if isinstance(one, kind)]


def specs(work: Path, root: Path, architecture: str) -> list[TrialSpec]:
    """Two trials of one epoch that checkpoint after each step."""
    first = TrialSpec(
        name=f"{architecture}-s0",
        architecture=architecture,
        seed=0,
        recipe=RECIPES["demo"].model_copy(update={"epochs": 1}),
        shards=str(work / "shards"),
        cache_dir=work / "cache",
        cache_mode="auto",
        trial_dir=root / "trials" / f"{architecture}-s0",
        threads=num_cores(),
        resilience=Resilience(checkpoint_steps=1),
        session="bench",
    )
    name = f"{architecture}-s1"
    return [first, replace(first, name=name, seed=1, trial_dir=root / "trials" / name)]


def through_ray(specs: list[TrialSpec], root: Path, killer: Killer | None = None) -> float:
    """Run them to their end; when they were scheduled, seconds since 1970."""
    from orchestrator.ray_run import errors_of, ray_session, run_trials
    from orchestrator.run_store import RunStore

    store, resources = RunStore.at(root), Resources(num_cores(), 0, 1, full=True)
    with ray_session(None):
        if killer:
            killer.start()
        scheduled_at = time.time()
        errors = errors_of(run_trials(specs, resources, 3, store, on_stop=lambda: None))
    if errors:
        raise SystemExit(str(errors))
    return scheduled_at


def main() -> None:
    """Measure and print."""
    work, architecture = Path(sys.argv[1]), sys.argv[2]
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import keras"], check=True, capture_output=True)
    import_keras = time.perf_counter() - begin
    prepare_environment()
    root, other = (Path(tempfile.mkdtemp(dir=work)) for _ in range(2))
    pair = specs(work, root, architecture)
    scheduled_at = through_ray(pair, root)
    alone = specs(work, other, architecture)[:1]
    alone[0].trial_dir.mkdir(parents=True)
    killer = Killer(alone[0].trial_dir)
    alone_at = through_ray(alone, other, killer)
    killer.join()
    first, second = (attempts(spec.trial_dir)[0].started_at for spec in pair)
    figures = Figures(
        import_keras=import_keras,
        first_line=first - scheduled_at,
        next_line=second - (pair[0].trial_dir / RESULT_FILE).stat().st_mtime,
        first_step=killer.first_step_at - alone_at,
        resumed_step=killer.resumed_at - killer.killed_at,
    )
    print(json.dumps(asdict(figures)))


if __name__ == "__main__":
    main()
