"""Runs three small trials that share one GPU, for which the processor stands.

`python -m tests.sharing_trials SHARDS ROOT`: ROOT becomes a run directory. While a trial has but a
part of the GPU, the first has no memory for its second step, and the second is killed after its
fourth. A first session trains the first trial for one epoch, a second one to its end. Each attempt
is noted in ROOT/attempts when it begins and when it ends: what, name, part of the GPU, the time.
"""

import json
import sys
import time
import uuid
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.ray_environment import prepare_environment

prepare_environment(None)

import ray  # noqa: E402

from orchestrator import ray_run  # noqa: E402
from orchestrator.plan import Resources, Sharing  # noqa: E402
from orchestrator.ray_trial import work  # noqa: E402
from orchestrator.run_store import RunStore  # noqa: E402
from orchestrator.train_run import TrainRun  # noqa: E402
from orchestrator.trial_files import placed  # noqa: E402
from tests import interrupted_trial, small_net  # noqa: E402
from trainers.result import FAILURE_FILE  # noqa: E402
from trainers.spec import TrialSpec  # noqa: E402

SHARE = 0.5


def starve() -> None:
    """What TensorFlow raises when a tensor finds no room on a GPU."""
    import tensorflow as tf

    raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


def vanish(spec: TrialSpec) -> None:
    """What the kernel does to a process where memory is short."""
    note("end", spec)
    interrupted_trial.kill()


def train(config: dict[str, Any]) -> None:
    """What a worker runs: a trial as it is, but for its GPU and its memory."""
    spec = config["spec"]
    small_net.register()
    interrupted_trial.on_devices(1)
    if spec.shares_gpu and spec.seed == 0:
        interrupted_trial.at_step(2, starve)
    if spec.shares_gpu and spec.seed == 1:
        interrupted_trial.at_step(4, lambda: vanish(spec))
    note("begin", spec)
    try:
        work(config)
    finally:
        note("end", spec)
        assert not (spec.trial_dir / FAILURE_FILE).exists()  # or the run would count it as over


def note(what: str, spec: TrialSpec) -> None:
    """Add a line to ROOT/attempts."""
    given = ray.get_runtime_context().get_assigned_resources()["GPU"]
    with (spec.run_dir / "attempts").open("a", encoding="utf-8") as notes:
        notes.write(json.dumps([what, spec.name, given, time.time()]) + "\n")


def session(shards: Path, root: Path, until: dict[int, int | None]) -> dict[str, str]:
    """Run the trials with these seeds up to an epoch each; their errors."""
    sharing = Sharing({small_net.NAME: SHARE}, whole=1, concurrent=2)
    name = uuid.uuid4().hex
    specs = [
        placed(
            replace(
                interrupted_trial.spec_of(shards, root),
                name=f"{small_net.NAME}-s{seed}",
                seed=seed,
                trial_dir=root / "trials" / f"{small_net.NAME}-s{seed}",
                gpus=SHARE,
                session=name,
                until_epoch=epoch,
            )
        )
        for seed, epoch in until.items()
    ]
    resources = Resources(1, 1.0, 2, sharing=sharing)
    grid = ray_run.run_trials(specs, resources, 1, RunStore.at(root), lambda: None)
    return ray_run.errors_of(grid)


def main(shards: Path, root: Path) -> None:
    """Run the trials."""
    ray_run.TrainRun = partial(TrainRun, work=train)  # type: ignore[misc, assignment]
    ray_run.local_gpus = lambda: 1
    with ray_run.ray_session(None):
        errors = session(shards, root, {0: 1, 1: None, 2: None})
        errors |= session(shards, root, {0: None})
    print(json.dumps(errors))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
