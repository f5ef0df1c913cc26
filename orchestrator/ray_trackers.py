"""Ray's callbacks for MLflow and Weights & Biases, as a run of fer-orch needs them.

Tune is told of all epochs anew by each command of a run. So a trial is known by an id that lies in
the run's directory, its run there is gone on with, and what it has is not told again.
"""

import os
import uuid
from collections.abc import Mapping
from typing import Any

from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.air.integrations.wandb import WandbLoggerCallback
from ray.tune.result import AUTO_RESULT_KEYS

from datasets.folder import write_bytes
from orchestrator.config import RunConfig
from orchestrator.config_keys import flatten
from orchestrator.run_store import RunStore, split_trial_name
from orchestrator.tracking import experiment_of
from trainers.home import TRIALS_DIR
from trainers.result import FAILURE_FILE, RESULT_FILE

TRACKING_FILE = "tracking.id"
"""In the run's directory: what its trials are known by there. Another run's is another."""

_ID_TAG, _RUN_TAG = "fer_orch.id", "fer_orch.run"

LAST_S = 20.0
"""How long the end of a run waits for what is not told yet."""


class TrackedRun:
    """What a tracker is to know of a run and its trials."""

    def __init__(self, config: RunConfig, store: RunStore, name: str) -> None:
        self.name = name
        self.experiment = experiment_of(config)
        self.root = store.root.absolute()
        self._config = config
        self._folder = store.folder
        if not self._folder.has(TRACKING_FILE):
            write_bytes(self._folder, TRACKING_FILE, uuid.uuid4().hex[:16].encode())
        self._id = self._folder.read(TRACKING_FILE).decode().strip()

    def id_of(self, trial: str) -> str:
        """The same in each command of the run, and no other trial's."""
        return f"{self._id}-{trial}"

    def parameters(self, trial: str) -> dict[str, Any]:
        """Architecture, seed, and the recipe by the names of its keys."""
        architecture, seed = split_trial_name(trial)
        recipe = flatten(self._config.recipe.model_dump(mode="json"))
        return {"architecture": architecture, "seed": seed, "preset": self._config.preset} | recipe

    def end_of(self, trial: str, failed: bool) -> str:
        """How a trial ended, in MLflow's words; one that stopped, to go on later, is KILLED."""
        files = self._folder.below(f"{TRIALS_DIR}/{trial}")
        if files.has(RESULT_FILE):
            return "FINISHED"
        return "FAILED" if failed or files.has(FAILURE_FILE) else "KILLED"


class MLflowTracker(MLflowLoggerCallback):  # type: ignore[misc]  # Ray's class has no types
    """One MLflow run a trial, which later commands go on with."""

    title = "MLflow"

    def __init__(self, run: TrackedRun, uri: str | None) -> None:
        super().__init__(tracking_uri=uri, experiment_name=run.experiment)
        self._run = run
        self._known: dict[Any, dict[str, dict[int, float]]] = {}

    def log_trial_start(self, trial: Any) -> None:
        """Find the trial's run or begin it; one that is finished has all."""
        from mlflow.entities import Param

        client, name = self.mlflow_util._get_client(), _name(trial)
        tags = {_ID_TAG: self._run.id_of(name), _RUN_TAG: self._run.name}
        found = client.search_runs(
            [self.mlflow_util.experiment_id], f"tags.`{_ID_TAG}` = '{tags[_ID_TAG]}'", max_results=1
        )
        if found and found[0].info.status == "FINISHED":
            return
        if found:
            client.update_run(found[0].info.run_id, status="RUNNING")
            self._known[trial] = {}
        run = found[0] if found else self.mlflow_util.start_run(run_name=name, tags=tags)
        told = run.data.params
        params = {key: one for key, one in self._run.parameters(name).items() if key not in told}
        client.log_batch(run.info.run_id, params=[Param(*one) for one in params.items()])
        self._trial_runs[trial] = run.info.run_id

    def log_trial_result(self, iteration: int, trial: Any, result: Mapping[str, Any]) -> None:
        """Tell of an epoch in one request; what the run has of it already is left out."""
        from mlflow.entities import Metric

        if trial not in self._trial_runs:
            return
        run_id, step = self._trial_runs[trial], int(result["epoch"])
        told = [
            Metric(key, value, int(1000 * result["timestamp"]), step)
            for key, value in _figures(result).items()
            if not self._has(trial, key, step, value)
        ]
        self.mlflow_util._get_client().log_batch(run_id, metrics=told)

    def log_trial_end(self, trial: Any, failed: bool = False) -> None:
        """Say how the trial ended."""
        if trial in self._trial_runs:
            status = self._run.end_of(_name(trial), failed)
            self.mlflow_util._get_client().set_terminated(self._trial_runs[trial], status)

    def is_refused(self, error: Exception) -> bool:
        """Whether another try would end as this one: where the run was deleted there, as such."""
        if isinstance(error, OSError):
            return False
        status = getattr(error, "get_http_status_code", lambda: 400)()
        return status < 500 and status not in (401, 403, 408, 429)

    def _has(self, trial: Any, key: str, step: int, value: float) -> bool:
        """Whether a run that was found has this point. An epoch that was trained again, where that
        gives other figures, counts as another.
        """
        known = self._known.get(trial)
        if known is None:
            return False
        if key not in known:
            history = self.mlflow_util._get_client().get_metric_history
            known[key] = {one.step: one.value for one in history(self._trial_runs[trial], key)}
        return step in known[key] and repr(known[key][step]) == repr(float(value))


class WandbTracker(WandbLoggerCallback):  # type: ignore[misc]  # Ray's class has no types
    """One W&B run a trial, which later commands go on with.

    Ray's own has two processes a trial, hands them the API key in their runtime environment, which
    Ray logs, and does not say that W&B is away. W&B's runs can share a process now.
    """

    title = "Weights & Biases"

    def __init__(self, run: TrackedRun) -> None:
        super().__init__(project=run.experiment, group=os.environ.get("WANDB_RUN_GROUP", run.name))
        self._run = run
        self._runs: dict[Any, Any] = {}

    def log_trial_start(self, trial: Any) -> None:
        """Begin the trial's run, or go on with it."""
        import wandb

        name = _name(trial)
        self._runs[trial] = wandb.init(
            project=self.project,
            group=self.group,
            name=name,
            id=self._run.id_of(name),
            resume="allow",
            reinit="create_new",
            config=self._run.parameters(name),
            allow_val_change=True,
            dir=os.environ.get("WANDB_DIR", str(self._run.root)),
            settings=wandb.Settings(
                silent=True,
                console="off",  # it is the whole run's
                x_disable_stats=True,  # of this machine, which need not be the trial's
                init_timeout=LAST_S,
                finish_timeout=LAST_S,
            ),
        )

    def log_trial_result(self, iteration: int, trial: Any, result: Mapping[str, Any]) -> None:
        """Tell of an epoch, unless the run has it already."""
        run, step = self._runs[trial], int(result["epoch"])
        if step >= run.starting_step:
            run.log(_figures(result), step=step)
        else:  # what the result adds to the last epoch
            run.summary.update(_figures(result))

    def log_trial_end(self, trial: Any, failed: bool = False) -> None:
        """Say how the trial ended; 255 is what W&B takes for Ctrl-C."""
        codes = {"FINISHED": 0, "FAILED": 1, "KILLED": 255}
        code = codes[self._run.end_of(_name(trial), failed)]
        self._runs.pop(trial).finish(exit_code=code)

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """Let go of the trials whose end Tune has not told."""
        for trial in list(self._runs):
            self.log_trial_end(trial)

    def is_refused(self, error: Exception) -> bool:
        """Whether another try would end as this one."""
        import wandb

        return not isinstance(error, OSError | wandb.Error)


def _name(trial: Any) -> str:
    return str(trial.config["trial"])


def _figures(result: Mapping[str, Any]) -> dict[str, float]:
    """Ours alone: Tune's own would be of the driver's process."""
    return {
        name: float(value)
        for name, value in result.items()
        if isinstance(value, int | float)
        and not isinstance(value, bool)
        and name not in ("epoch", *AUTO_RESULT_KEYS)
    }
