"""One trial under Ray: the worker's side, and the Train run around it."""

import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray.train

from datasets.errors import FerOrchError
from orchestrator.plan import Resources
from trainers.context import LocalContext
from trainers.result import LOG_FILE
from trainers.spec import TrialSpec


class RayContext(LocalContext):
    """A trial in a Ray Train worker.

    Checkpoints go to the trial's own directory, as without Ray: a resume depends on nothing that
    Ray keeps. Ray hears of each epoch, and is asked whether the node is about to go.
    """

    def report(self, metrics: dict[str, float]) -> None:
        """Forward an epoch's figures to Train. Tune gets none: it would need a queue, in a process
        of its own for each trial, to carry what the trial's files say already.
        """
        ray.train.report(dict(metrics))

    def preemption_notice(self) -> bool:
        """True once Ray says that this worker's node is being drained."""
        return ray.train.get_preemption_info() is not None


def work(config: dict[str, Any]) -> None:
    """What the Train worker runs. Its output goes to the trial's log, not to the terminal.

    An error of ours (diverged, damaged data, another trial's checkpoint) would come again: it is in
    `failure.json` by now, and returning keeps Train from starting the trial anew.
    """
    from trainers.trial import run_trial  # heavy, and Ray's other processes import this module

    spec: TrialSpec = config["spec"]
    spec.trial_dir.mkdir(parents=True, exist_ok=True)
    _send_output_to(spec.trial_dir / LOG_FILE)
    try:
        run_trial(spec, RayContext(spec.trial_dir))
    except FerOrchError:
        logging.getLogger(__name__).exception("the trial can't go on")


def _send_output_to(path: Path) -> None:
    """Point the process' standard output and error, TensorFlow's C++ too, at a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )


@dataclass(frozen=True)
class TrainRun:
    """How one trial becomes a Ray Train run. `scratch` is Ray's own; nothing of ours is in it."""

    resources: Resources
    max_failures: int
    scratch: Path

    def fit(self, spec: TrialSpec) -> None:
        """Run the trial in one Train worker; raises what ended the run when it failed."""
        # Heavy, and the worker, which imports this module too, does not need it.
        from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

        gpus = self.resources.gpus
        DataParallelTrainer(
            work,
            train_loop_config={"spec": spec},
            scaling_config=ray.train.ScalingConfig(
                # One worker a trial, also on a laptop: Keras 3 does not train over several.
                num_workers=1,
                use_gpu=gpus > 0,
                resources_per_worker={"CPU": self.resources.cpus} | ({"GPU": gpus} if gpus else {}),
            ),
            run_config=ray.train.RunConfig(
                name=spec.name,
                storage_path=str(self.scratch / "train"),
                failure_config=ray.train.FailureConfig(max_failures=self.max_failures),
            ),
        ).fit()
