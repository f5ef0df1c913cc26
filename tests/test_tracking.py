"""What MLflow and Weights & Biases have of a run: each trial once, each epoch once."""

import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from rich.console import Console
from typer.testing import CliRunner

from datasets.errors import ConfigError
from orchestrator.cli import app
from orchestrator.config import RunConfig
from orchestrator.config_differences import differences
from orchestrator.config_sources import load_config
from orchestrator.plan import Resources
from orchestrator.ray_environment import prepare_environment
from orchestrator.run import Machines, refuse_unfit_place
from orchestrator.run_store import RunStore
from orchestrator.tracking import check_tracking, prepare_tracking, trackers, without_secrets

prepare_environment()
prepare_tracking()

import wandb  # noqa: E402
from mlflow.entities import Run  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402
from ray import tune  # noqa: E402
from ray.tune.logger import LoggerCallback  # noqa: E402
from wandb.proto import wandb_internal_pb2  # noqa: E402

from orchestrator import ray_run, ray_tracking  # noqa: E402
from orchestrator.ray_tracking import Aside  # noqa: E402
from tests.interrupted_trial import spec_of  # noqa: E402
from tests.made_up_runs import finish  # noqa: E402
from tests.ports import free_port  # noqa: E402
from tests.tracking_servers import Line, mlflow_server  # noqa: E402
from trainers.spec import TrialSpec  # noqa: E402

NAME, OTHER = "resnet50-s0", "mobilenet-s1"
KEY = "feedface" * 5
PASSWORD = "opensesame"
SECONDS = count(1_700_000_000)  # told again it is later: MLflow takes an equal point for the same
Row = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """A trial as Tune shows it to callbacks."""

    name: str = NAME

    @property
    def config(self) -> dict[str, str]:
        return {"trial": self.name}


def config_with(**settings: object) -> RunConfig:
    return load_config(settings=[f"{key}={value}" for key, value in settings.items()])


def row(epoch: int, **more: float) -> Row:
    """What Tune hears of an epoch, with some of what Tune adds."""
    ours = {"epoch": epoch, "loss": 1 / epoch, "validation_accuracy": epoch / 10} | more
    return ours | {
        "timestamp": next(SECONDS),
        "training_iteration": epoch,
        "done": False,
        "pid": 7,
        "hostname": "there",
        "checkpoint_path": "/somewhere",
    }


@dataclass
class Command:
    """One command of a run: what Tune tells the tracker."""

    config: RunConfig
    root: Path
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.root.mkdir(exist_ok=True)
        made = trackers(self.config, RunStore(self.root), "faces", Console())
        self.aside = made[0]
        self.aside._warn = self.said.append
        self.aside.setup()

    def tell(self, trial: Trial, rows: Sequence[Row], failed: bool | None = False) -> None:
        """Tell of these epochs, and of the trial's end unless that is None."""
        if rows and rows[0]["epoch"] == 1:
            self.aside.on_trial_start(0, [trial], trial)
        for one in rows:
            self.aside.on_trial_result(0, [trial], trial, one)
        if failed is not None:
            over = self.aside.on_trial_error if failed else self.aside.on_trial_complete
            over(0, [trial], trial)

    def end(self) -> list[str]:
        self.aside.on_experiment_end([])
        return self.said


# Before anything starts


def test_an_unknown_tracker_is_refused_and_the_valid_ones_are_named():
    with pytest.raises(ConfigError, match=r"tracking is 'tensorboard'.*'mlflow' or 'wandb'"):
        config_with(tracking="tensorboard")


@pytest.mark.parametrize("user", [f"me:{PASSWORD}", f"me:/{PASSWORD}", PASSWORD])
def test_a_password_in_the_configuration_is_refused_and_not_printed(user: str):
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_PASSWORD") as caught:
        config_with(tracking="mlflow", tracking_uri=f"https://{user}@192.0.2.7")
    assert PASSWORD not in str(caught.value)


def test_the_address_of_an_mlflow_server_is_not_wandbs():
    with pytest.raises(ConfigError, match="WANDB_BASE_URL"):
        config_with(tracking="wandb", tracking_uri="http://192.0.2.7:5000")


def test_tracking_may_change_between_two_starts_of_a_run():
    before = config_with().model_dump(mode="json")
    now = config_with(tracking="mlflow", tracking_uri="http://192.0.2.7", tracking_experiment="a")
    assert differences(before, now.model_dump(mode="json")) == []


def test_what_is_said_of_an_address_has_no_password():
    said = without_secrets(f"API request to http://me:{PASSWORD}@192.0.2.7/api\nfailed")
    assert said == "API request to http://192.0.2.7/api failed"


def run_all(root: Path, *settings: str) -> Result:
    def no_start(*_: object) -> None:
        raise AssertionError("training was started")

    words = ["run-all", "--run-dir", str(root)]
    for setting in settings:
        words += ["--set", setting]
    return CliRunner().invoke(app, words, obj=Machines(refuse_unfit_place, no_start))


def test_a_server_that_is_not_there_is_refused_before_anything_starts(tmp_path: Path):
    where = f"http://127.0.0.1:{free_port()}"
    done = run_all(tmp_path / "run", "tracking=mlflow", f"tracking_uri={where}")
    assert done.exit_code == 2, done.output
    assert f"MLflow at {where} can't be reached" in " ".join(done.output.split())
    assert "Traceback" not in done.output
    assert not (tmp_path / "run").exists()


def test_a_password_of_the_environment_is_not_printed(monkeypatch: pytest.MonkeyPatch):
    there = f"http://me:{PASSWORD}@127.0.0.1:{free_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", there)
    with pytest.raises(ConfigError, match="can't be reached") as caught:
        check_tracking(config_with(tracking="mlflow"))
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_package_that_is_not_installed_is_named(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("orchestrator.tracking.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=rf"pip install 'fer-orch\[{name}\]'"):
        check_tracking(config_with(tracking=name))


@pytest.fixture
def no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No account with W&B, and nothing that would ask its server."""
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setattr(wandb, "login", lambda **_: False)


@pytest.mark.usefixtures("no_account")
def test_without_a_key_wandb_is_refused():
    with pytest.raises(ConfigError, match=r"wandb login.*WANDB_MODE=offline"):
        check_tracking(config_with(tracking="wandb"))


@pytest.mark.usefixtures("no_account")
def test_wandb_that_refuses_or_is_away_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch):
    def login(**_: object) -> bool:
        raise wandb.errors.AuthenticationError(f"no answer\nof https://me:{PASSWORD}@192.0.2.7")

    monkeypatch.setattr(wandb, "login", login)
    with pytest.raises(ConfigError) as caught:
        check_tracking(config_with(tracking="wandb"))
    assert "Weights & Biases can't be reached: no answer of https://192.0.2.7" in str(caught.value)


# In a run, whatever the tracker does


class Stand(LoggerCallback):
    """A tracker that fails as it is told to, or hangs, and notes what it did."""

    title = "MLflow"

    def __init__(self) -> None:
        self.failures: list[Exception] = []
        self.refused = False
        self.hangs = threading.Event()
        self.hangs.set()
        self.epochs: list[int] = []

    def log_trial_result(self, iteration: int, trial: Any, result: Row) -> None:
        self.hangs.wait()
        if self.failures:
            raise self.failures.pop()
        self.epochs.append(result["epoch"])

    def is_refused(self, error: Exception) -> bool:
        return self.refused


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_tracking, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(ray_tracking, "LAST_S", 60.0)


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def tell(stand: Stand, *epochs: int, heard: Sequence[int] = ()) -> list[str]:
    """What is said when a tracker is told of epochs, by a run that ends once it `heard` these."""
    said: list[str] = []
    aside, trial = Aside(stand, said.append), Trial()  # type: ignore[arg-type]
    aside.setup()
    for epoch in epochs:
        aside.on_trial_result(epoch, [trial], trial, row(epoch))
    until(lambda: stand.epochs == list(heard))
    aside.on_experiment_end([])
    return said


def away() -> Exception:
    return ConnectionError(f"http://me:{PASSWORD}@192.0.2.7 is away")


def test_what_fails_is_warned_of_once_and_told_later():
    stand = Stand()
    stand.failures = [away(), away(), away()]
    said = tell(stand, 1, 2, heard=[1, 2])
    assert len(said) == 1
    assert said[0].startswith("MLflow misses figures: http://192.0.2.7 is away. The run goes on")


def test_a_server_that_stays_away_is_warned_of_once_and_the_run_ends():
    stand = Stand()
    stand.failures = [away() for _ in range(100_000)]
    assert len(tell(stand, 1, 2, 3)) == 1
    assert stand.epochs == []


def test_what_is_refused_holds_up_nothing():
    stand = Stand()
    stand.failures, stand.refused = [ValueError("no such run")], True
    assert len(tell(stand, 1, 2, 3, heard=[2, 3])) == 1


def test_a_tracker_that_hangs_holds_up_no_trial(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ray_tracking, "LAST_S", 0.1)
    stand = Stand()
    stand.hangs.clear()
    begun = time.monotonic()
    said = tell(stand, 1, 2, 3)
    assert time.monotonic() - begun < 30
    assert len(said) == 1
    stand.hangs.set()


def test_tune_keeps_nothing_of_it_in_its_files():
    kept = pickle.loads(pickle.dumps(Aside(Stand(), print)))  # type: ignore[arg-type]
    assert type(kept) is LoggerCallback


# MLflow, by a real server


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


def runs_of(config: RunConfig) -> dict[str, Run]:
    """MLflow's runs by name, each of which must be there once."""
    client = MlflowClient(config.tracking_uri)
    experiment = client.get_experiment_by_name(str(config.tracking_experiment))
    if experiment is None:
        return {}
    runs = client.search_runs([experiment.experiment_id])
    assert len({run.info.run_name for run in runs}) == len(runs)
    return {run.info.run_name: run for run in runs}


def points(config: RunConfig, run: Run) -> dict[str, list[tuple[int, float]]]:
    client = MlflowClient(config.tracking_uri)
    return {
        key: [(one.step, one.value) for one in client.get_metric_history(run.info.run_id, key)]
        for key in run.data.metrics
    }


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_run_in_another_directory_of_the_same_name_is_another(
    mlflow_config: RunConfig, tmp_path: Path
):
    for place in ("one", "two"):
        command = Command(mlflow_config, tmp_path / place)
        command.tell(Trial(NAME if place == "one" else OTHER), [row(1)])
        assert command.end() == []
    tags = [run.data.tags["fer_orch.id"] for run in runs_of(mlflow_config).values()]
    assert len({tag.partition("-")[0] for tag in tags}) == 2


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_run_that_is_deleted_there_holds_up_no_other(mlflow_config: RunConfig, tmp_path: Path):
    command = Command(mlflow_config, tmp_path / "run")
    command.tell(Trial(), [row(1)], None)
    until(lambda: NAME in runs_of(mlflow_config))
    gone = runs_of(mlflow_config)[NAME]
    MlflowClient(mlflow_config.tracking_uri).delete_run(gone.info.run_id)
    command.tell(Trial(), [row(2)])
    command.tell(Trial(OTHER), [row(1)])
    assert len(command.end()) == 1
    assert runs_of(mlflow_config).keys() == {OTHER}


@pytest.mark.slow
def test_an_experiment_that_is_deleted_is_refused(mlflow_config: RunConfig):
    client = MlflowClient(mlflow_config.tracking_uri)
    client.delete_experiment(client.create_experiment(str(mlflow_config.tracking_experiment)))
    with pytest.raises(ConfigError, match="is deleted"):
        check_tracking(mlflow_config)


@pytest.mark.slow
def test_what_tune_hears_of_a_run_is_there(mlflow_config: RunConfig, tmp_path: Path):
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


# Weights & Biases, without a network


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    return config_with(tracking="wandb")


def records(file: Path) -> Iterator[wandb_internal_pb2.Record]:
    """What a `.wandb` file holds: LevelDB's log of blocks of 32 KiB, after a head of 7 bytes."""
    data, at, parts = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (room := -at % 2**15) and room < 7:
            at += room
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        parts += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last part of one
            yield wandb_internal_pb2.Record.FromString(parts)
            parts = b""


@pytest.mark.slow
def test_wandb_has_one_run_a_trial_with_its_epochs_and_no_secret(
    offline: RunConfig, tmp_path: Path
):
    check_tracking(offline)
    root = tmp_path / "run"
    for epochs in ([row(1)], [row(1), row(2)]):
        command = Command(offline, root)
        command.tell(Trial(), epochs, failed=True)
        assert command.end() == []
    files = sorted(root.glob("wandb/offline-run-*/*.wandb"))
    assert len(files) == 2
    found = [list(records(file)) for file in files]
    begun = [one.run for all_of in found for one in all_of if one.HasField("run")]
    assert {(run.display_name, run.project, run.run_group) for run in begun} == {
        (NAME, "fer-orch", "faces")
    }
    assert len({run.run_id for run in begun}) == 1
    told = {one.key or one.nested_key[0]: one.value_json for one in begun[0].config.update}
    assert (told["architecture"], told["seed"]) == ('"resnet50"', "0")
    assert [one.history.step.num for one in found[1] if one.HasField("history")] == [1, 2]
    assert [one.exit.exit_code for one in found[1] if one.HasField("exit")] == [1]
    for file in root.rglob("*"):
        assert file.is_dir() or KEY.encode() not in file.read_bytes(), file


class Continued:
    """A run that W&B has up to epoch 2."""

    starting_step = 3

    def __init__(self) -> None:
        self.logged: list[int] = []
        self.summary: dict[str, float] = {}
        self.exit_code: int | None = None

    def log(self, figures: Row, step: int) -> None:
        self.logged.append(step)

    def finish(self, exit_code: int) -> None:
        self.exit_code = exit_code


def test_wandb_is_not_told_again_what_it_has(
    offline: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run, asked = Continued(), []

    def init(**how: object) -> Continued:
        asked.append((how["id"], how["resume"], how["reinit"]))
        return run

    monkeypatch.setattr(wandb, "init", init)
    command = Command(offline, tmp_path / "run")
    command.tell(Trial(), [row(1), row(2, macro_f1=0.5), row(3)])
    assert command.end() == []
    known = (tmp_path / "run" / "tracking.id").read_text(encoding="utf-8")
    assert asked == [(f"{known}-{NAME}", "allow", "create_new")]
    assert run.logged == [3]
    assert run.summary["macro_f1"] == 0.5
    assert run.exit_code == 255


def test_a_run_that_is_not_tracked_imports_neither():
    code = (
        "import sys\n"
        "from orchestrator.ray_environment import prepare_environment\n"
        "prepare_environment()\n"
        "import orchestrator.ray_run, orchestrator.run, orchestrator.tracking\n"
        "print({'mlflow', 'wandb'} & sys.modules.keys())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
