"""Where a run's figures go besides its files: a look at that before anything starts."""

import os
import re
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from rich.console import Console

from datasets.errors import ConfigError
from orchestrator.config import RunConfig
from orchestrator.run_store import RunStore

if TYPE_CHECKING:
    from ray.tune.logger import LoggerCallback

_ENVIRONMENT = {
    # A server that is away is to be told of at once: `orchestrator.ray_tracking` tries again.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    # The terminal is kept for progress.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "WANDB_SILENT": "true",
    # Nothing about the user goes anywhere that they have not named.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "WANDB_ERROR_REPORTING": "false",
}
_NAMED_BY = {"mlflow": "MLFLOW_EXPERIMENT_NAME", "wandb": "WANDB_PROJECT"}
_OF_NO_NAME = "fer-orch"
_AWAY_S = 10


def trackers(
    config: RunConfig, store: RunStore, name: str, console: Console
) -> "list[LoggerCallback]":
    """What is to hear what Tune hears of the run of this name, beside its own files.

    Raises `OSError` where the run's directory can't be written to.
    """
    if config.tracking == "none":
        return []
    # Ray's callbacks import MLflow and W&B where they are installed, which takes seconds.
    from orchestrator.ray_tracking import callbacks

    return callbacks(config, store, name, console)


def prepare_tracking() -> None:
    """Set what MLflow and W&B read when they are imported, where the user has not."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def check_tracking(config: RunConfig) -> None:
    """Refuse a run whose figures can't go where `tracking` says, by a `ConfigError`."""
    check = _CHECKS.get(config.tracking)
    if check is None:
        return
    prepare_tracking()
    found = find_spec(config.tracking)
    if found is None or found.origin is None:  # a folder `wandb`, as W&B leaves it
        raise ConfigError(
            f"tracking is {config.tracking}, whose package is not installed: "
            f"pip install 'fer-orch[{config.tracking}]', or set tracking=none"
        )
    check(config)


def experiment_of(config: RunConfig) -> str:
    """The name of MLflow's experiment, or of W&B's project."""
    told = os.environ.get(_NAMED_BY[config.tracking])
    return config.tracking_experiment or told or _OF_NO_NAME


def without_secrets(text: str) -> str:
    """The text on one line, and addresses in it without users and passwords."""
    return re.sub(r"://\S*@", "://", " ".join(text.split()))


def _check_mlflow(config: RunConfig) -> None:
    import mlflow
    from mlflow.tracking import MlflowClient

    uri, name = config.tracking_uri or mlflow.get_tracking_uri(), experiment_of(config)
    try:
        known = MlflowClient(tracking_uri=uri).get_experiment_by_name(name)
    except Exception as error:  # of requests, of a database's driver, or MLflow's own
        raise _refused(f"MLflow at {uri}", error, "name its server by tracking_uri") from error
    if known is not None and known.lifecycle_stage != "active":
        raise ConfigError(
            f"MLflow's experiment {name} is deleted: restore it, or set tracking_experiment"
        )


def _check_wandb(config: RunConfig) -> None:
    import wandb

    if os.environ.get("WANDB_MODE") in ("offline", "disabled", "dryrun"):
        return
    try:
        known = wandb.login(prompt=False, verify=True, timeout=_AWAY_S)
    except Exception as error:  # of its service, or W&B's own
        raise _refused("Weights & Biases", error, "set WANDB_MODE=offline") from error
    if not known:
        raise ConfigError(
            "tracking is wandb, and there is no API key: run `wandb login`, set WANDB_API_KEY, "
            "or set WANDB_MODE=offline"
        )


def _refused(where: str, error: Exception, way_out: str) -> ConfigError:
    return ConfigError(
        without_secrets(f"{where} can't be reached: {error}; {way_out}, or set tracking=none")
    )


_CHECKS: dict[str, Callable[[RunConfig], None]] = {"mlflow": _check_mlflow, "wandb": _check_wandb}
