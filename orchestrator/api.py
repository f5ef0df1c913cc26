"""A whole run from Python, as from a notebook: `orchestrator.run_all(...)`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from datasets.errors import ConfigError
from orchestrator.config_sources import load_config, repeated_run
from orchestrator.run import Machines, RunRequest, refuse_unfit_place, train_on_ray
from orchestrator.run import run_all as carry_out
from orchestrator.run_store import RunStore

if TYPE_CHECKING:
    from ray.train import Checkpoint, Result
    from ray.tune import ResultGrid


@dataclass(frozen=True)
class RunResult:
    """A run that has ended.

    `exit_code` is that of the command: 0, or 1 when some trial did not finish. `grid` has what Ray
    Tune has heard: a row for each epoch of each trial; None where all were finished before.
    """

    exit_code: int
    store: RunStore
    grid: "ResultGrid | None" = None

    @property
    def report(self) -> Path:
        """The report's page; of a run in an object store, in this machine's view of it."""
        return self.store.report_dir / "index.html"

    def train_result(self, trial: str) -> "Result":
        """Ray Train's own result of a trial, such as `resnet50-s0`, with its checkpoints.

        Raises `RuntimeError` where the trial keeps none (`resilience.keep_last_checkpoint`), and
        `ConfigError` for a trial that the run does not have.
        """
        from ray.train import Result

        from orchestrator.ray_storage import storage_of

        names = [record.name for record in self.store.trials()]
        if trial not in names:
            raise ConfigError(f"{self.store.place} has no trial {trial!r}: {', '.join(names)}")
        storage = storage_of(self.store.checkpoints(trial).folder, patience_s=60)
        return Result.from_path(storage.path, storage.filesystem)

    def checkpoint(self, trial: str) -> "Checkpoint | None":
        """The last checkpoint of a trial: its `state.npz` holds weights, optimizer and position."""
        return self.train_result(trial).checkpoint


def run_all(
    run_dir: str | Path | None = None,
    *,
    preset: str | None = None,
    config: str | Path | None = None,
    data: str | None = None,
    only: Sequence[str] | None = None,
    seeds: Sequence[int] | None = None,
    settings: Mapping[str, Any] | None = None,
    address: str | None = None,
    console: Console | None = None,
) -> RunResult:
    """Train all architectures and write the report, as `fer-orch run-all` does; see there.

    `settings` maps keys to values, as `{"recipe.epochs": 10}`. The same call continues a run, and
    trains nothing that is finished. Raises `FerOrchError` for a request that can't be carried out,
    and `KeyboardInterrupt` once the trials have stopped, after Ctrl-C or `fer-orch stop`.
    Ray must not be running in this process: the run starts its own, or connects to `address`.
    """
    file = None if config is None else Path(config)
    resolved = load_config(
        preset=preset,
        file=file,
        shards=data,
        only=None if only is None else list(only),
        seeds=None if seeds is None else list(seeds),
        settings=[f"{key}={_yaml(value)}" for key, value in (settings or {}).items()],
    )
    place, repeats = run_dir or Path("runs") / resolved.preset, repeated_run(file)
    request = RunRequest(resolved, place, address, repeats=repeats)
    grids: list[ResultGrid] = []
    machines = Machines(refuse_unfit_place, lambda *run: grids.append(train_on_ray(*run)))
    code = carry_out(request, console or Console(), machines)
    return RunResult(code, RunStore.at(request.run_dir), grids[0] if grids else None)


def _yaml(value: Any) -> str:
    """A value as `--set` reads it."""
    import yaml

    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").strip()
