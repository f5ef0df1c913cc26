"""What MLflow, by a real server, has of a run: each trial once, each epoch once."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from datasets.errors import ConfigError
from orchestrator.config import RunConfig
from orchestrator.plan import Resources
from orchestrator.run_store import RunStore
from orchestrator.tracking import check_tracking, trackers
from tests.interrupted_trial import spec_of
from tests.made_up_runs import finish
from tests.tracked_runs import NAME, OTHER, Command, Trial, config_with, row, short_pauses, until
from tests.tracking_servers import Line, mlflow_server
from trainers.spec import TrialSpec

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    short_pauses(monkeypatch)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as address:
        line = Line(address)
        yield line
        line.close()


@pytest.fixture
def mlflow_config(line: Line, tmp_path: Path) -> RunConfig:
    """Tracks in an experiment of this test's own."""
    line.is_cut = False
    return config_with(
        tracking="mlflow", tracking_uri=line.address, tracking_experiment=tmp_path.name
    )


def client_of(config: RunConfig) -> "MlflowClient":
    from mlflow.tracking import MlflowClient

    return MlflowClient(config.tracking_uri)


def runs_of(config: RunConfig) -> "dict[str, Run]":
    """MLflow's runs by name, each of which must be there once."""
    client = client_of(config)
    experiment = client.get_experiment_by_name(str(config.tracking_experiment))
    if experiment is None:
        return {}
    runs = client.search_runs([experiment.experiment_id])
    assert len({run.info.run_name for run in runs}) == len(runs)
    return {run.info.run_name: run for run in runs}


def points(config: RunConfig, run: "Run") -> dict[str, list[tuple[int, float]]]:
    client = client_of(config)
    return {
        key: [(one.step, one.value) for one in client.get_metric_history(run.info.run_id, key)]
        for key in run.data.metrics
    }


def test_each_trial_is_one_run_with_its_epochs_and_parameters(
    mlflow_config: RunConfig, tmp_path: Path
):
    check_tracking(mlflow_config)
    command = Command(mlflow_config, tmp_path / "run")
    finish(RunStore(tmp_path / "run"), NAME)
    command.tell(Trial(), [row(1), row(2, macro_f1=0.5)])
    command.tell(Trial(OTHER), [row(1)], failed=True)
    command.tell(Trial("xception-s0"), [row(1)])
    assert command.end() == []
    runs = runs_of(mlflow_config)
    states = {name: run.info.status for name, run in runs.items()}
    assert states == {NAME: "FINISHED", OTHER: "FAILED", "xception-s0": "KILLED"}
    assert points(mlflow_config, runs[NAME]) == {
        "loss": [(1, 1.0), (2, 0.5)],
        "validation_accuracy": [(1, 0.1), (2, 0.2)],
        "macro_f1": [(2, 0.5)],
    }
    assert runs[NAME].data.tags["fer_orch.run"] == "faces"
    told = runs[OTHER].data.params
    assert (told["architecture"], told["seed"]) == ("mobilenet", "1")
    assert told["learning_rate"] == str(mlflow_config.recipe.learning_rate)


def test_a_continued_run_goes_on_with_its_runs_and_doubles_nothing(
    mlflow_config: RunConfig, tmp_path: Path
):
    root = tmp_path / "run"
    first = Command(mlflow_config, root)
    finish(RunStore(root), OTHER)
    first.tell(Trial(OTHER), [row(1, loss=float("nan")), row(2)])
    first.tell(Trial(), [row(1, loss=float("nan")), row(2)], failed=True)
    assert first.end() == []
    before = points(mlflow_config, runs_of(mlflow_config)[OTHER])
    again = Command(mlflow_config, root)
    again.tell(Trial(OTHER), [row(1, loss=float("nan")), row(2)])
    # The second had other figures, as happens where `deterministic` is off.
    again.tell(Trial(), [row(1, loss=float("nan")), row(2, loss=0.4, macro_f1=0.5), row(3)], None)
    until(lambda: runs_of(mlflow_config)[NAME].data.metrics["loss"] == 1 / 3)
    assert runs_of(mlflow_config)[NAME].info.status == "RUNNING"
    finish(RunStore(root), NAME)
    again.tell(Trial(), [])
    assert again.end() == []
    runs = runs_of(mlflow_config)
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    assert str(points(mlflow_config, runs[OTHER])) == str(before)
    told = points(mlflow_config, runs[NAME])
    assert [step for step, _ in told["validation_accuracy"]] == [1, 2, 3]
    assert [step for step, _ in told["loss"]] == [1, 2, 2, 3]
    assert told["macro_f1"] == [(2, 0.5)]


def test_a_run_in_another_directory_of_the_same_name_is_another(
    mlflow_config: RunConfig, tmp_path: Path
):
    for place in ("one", "two"):
        command = Command(mlflow_config, tmp_path / place)
        command.tell(Trial(NAME if place == "one" else OTHER), [row(1)])
        assert command.end() == []
    tags = [run.data.tags["fer_orch.id"] for run in runs_of(mlflow_config).values()]
    assert len({tag.partition("-")[0] for tag in tags}) == 2


def test_a_server_that_goes_away_and_comes_back_has_all(
    mlflow_config: RunConfig, line: Line, tmp_path: Path
):
    command = Command(mlflow_config, tmp_path / "run")
    command.tell(Trial(), [row(1)], None)
    until(lambda: NAME in runs_of(mlflow_config))
    line.is_cut = True
    asked = line.asked
    for epoch in (2, 3):
        command.tell(Trial(), [row(epoch)], None)
    command.tell(Trial(OTHER), [row(1)], None)
    until(lambda: line.asked > asked + 3)
    line.is_cut = False
    until(lambda: OTHER in runs_of(mlflow_config))
    assert len(command.end()) == 1
    told = {
        name: points(mlflow_config, run)["loss"] for name, run in runs_of(mlflow_config).items()
    }
    assert told == {NAME: [(1, 1.0), (2, 1 / 2), (3, 1 / 3)], OTHER: [(1, 1.0)]}


def test_a_run_that_is_deleted_there_holds_up_no_other(mlflow_config: RunConfig, tmp_path: Path):
    command = Command(mlflow_config, tmp_path / "run")
    command.tell(Trial(), [row(1)], None)
    until(lambda: NAME in runs_of(mlflow_config))
    gone = runs_of(mlflow_config)[NAME]
    client_of(mlflow_config).delete_run(gone.info.run_id)
    command.tell(Trial(), [row(2)])
    command.tell(Trial(OTHER), [row(1)])
    assert len(command.end()) == 1
    assert runs_of(mlflow_config).keys() == {OTHER}


def test_an_experiment_that_is_deleted_is_refused(mlflow_config: RunConfig):
    client = client_of(mlflow_config)
    client.delete_experiment(client.create_experiment(str(mlflow_config.tracking_experiment)))
    with pytest.raises(ConfigError, match="is deleted"):
        check_tracking(mlflow_config)


def test_what_tune_hears_of_a_run_is_there(mlflow_config: RunConfig, tmp_path: Path):
    from ray import tune

    from orchestrator import ray_run

    def drive(config: dict[str, Any]) -> None:
        for epoch in (1, 2):
            tune.report({"epoch": epoch, "loss": 1 / epoch})

    store = RunStore(tmp_path / "run")
    specs = [finished(store, name) for name in (NAME, OTHER)]
    heard = trackers(mlflow_config, store, "faces", Console())
    with ray_run.ray_session(None):
        tuner = ray_run._tuner(drive, specs, Resources(1, 0, 2), store.root, heard)
        assert not tuner.fit().errors
    runs = runs_of(mlflow_config)
    assert runs.keys() == {NAME, OTHER}
    for run in runs.values():
        assert run.info.status == "FINISHED"
        assert points(mlflow_config, run) == {"loss": [(1, 1.0), (2, 0.5)]}


def finished(store: RunStore, name: str) -> TrialSpec:
    """A trial that is finished."""
    finish(store, name)
    return replace(spec_of(store.root / "shards", store.root), name=name)
