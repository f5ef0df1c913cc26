"""Runs three small trials that share one GPU, for which the processor stands.

`python -m tests.sharing_trials SHARDS ROOT`: ROOT becomes a run directory. The first trial has no
memory for its fourth step while it has but a part of the GPU. Each attempt is noted in
ROOT/attempts: name, part of the GPU, and when it began and ended.
"""

import json
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.ray_environment import prepare_environment

prepare_environment(None)

import ray  # noqa: E402

from orchestrator import ray_run  # noqa: E402
from orchestrator.plan import Resources, Sharing  # noqa: E402
from orchestrator.ray_trial import TrainRun, work  # noqa: E402
from orchestrator.run_store import RunStore  # noqa: E402
from tests import interrupted_trial, small_net  # noqa: E402
from trainers.result import FAILURE_FILE  # noqa: E402

SHARE = 0.5


def starve() -> None:
    """What TensorFlow raises when a tensor finds no room on a GPU."""
    import tensorflow as tf

    raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


def train(config: dict[str, Any]) -> None:
    """What a worker runs: a trial as it is, but for its GPU and its memory."""
    spec = config["spec"]
    small_net.register()
    interrupted_trial.on_devices(1)
    if spec.shares_gpu and spec.name.endswith("s0"):
        interrupted_trial.at_step(4, starve)
    given = ray.get_runtime_context().get_assigned_resources()["GPU"]
    begin = time.time()
    try:
        work(config)
    finally:
        with (spec.run_dir / "attempts").open("a", encoding="utf-8") as notes:
            notes.write(json.dumps([spec.name, given, begin, time.time()]) + "\n")
        assert not (spec.trial_dir / FAILURE_FILE).exists()  # or the run would count it as over


def main(shards: Path, root: Path) -> None:
    """Run the trials."""
    sharing = Sharing({small_net.NAME: SHARE}, whole=1, concurrent=2)
    resources = Resources(1, 1.0, 2, sharing=sharing)
    specs = []
    for seed in range(3):
        spec = interrupted_trial.spec_of(shards, root)
        name = f"{small_net.NAME}-s{seed}"
        place = root / "trials" / name
        specs.append(replace(spec, name=name, seed=seed, trial_dir=place, gpus=SHARE))
    ray_run.TrainRun = partial(TrainRun, work=train)  # type: ignore[misc, assignment]
    ray_run.local_gpus = lambda: 1
    with ray_run.ray_session(None):
        errors = ray_run.run_trials(specs, resources, 1, RunStore.at(root), lambda: None)
    print(json.dumps(errors))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
